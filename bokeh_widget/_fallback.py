"""What an output has beside the widget, for where there is no kernel, or there are no widgets."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from bokeh.embed.bundle import bundle_for_objs_and_resources
from bokeh.resources import Resources

from ._content import label_of
from ._export import json_of

if TYPE_CHECKING:
    from bokeh.model import Model

    from ._session import Session

Fallback = Literal["png", "html"]
"""What a saved notebook shows of a plot where there is no kernel."""

FALLBACKS: Final[tuple[Fallback, ...]] = ("png", "html")

METADATA_KEY: Final = "bokeh_widget"
"""Says that an output is ours, and which fallback it has; the front end looks for it."""

MAX_LABEL_CHARACTERS: Final = 120

HEIGHT_PX: Final = 400
"""Of the frame until the page in it has its size, and where its scripts do not reach the frame."""

# a page of its own: whatever module loader, style or other Bokeh the page around it has does not matter.
# The front end finds the script with the id, and writes what is shown when the notebook is saved into it
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ display: flow-root; margin: 0; }}</style>
{scripts}
</head>
<body>
<script type="application/json" id="bokeh-widget-saved">{saved}</script>
<script>
function show() {{
  const {{ document: json, root_ids }} = JSON.parse(document.getElementById("bokeh-widget-saved").textContent);
  const is_root = (id) => json.roots.some((root) => root.id === id);
  // a part of a root becomes one more root, since it is defined in it
  json.roots.push(...(root_ids ?? []).filter((id) => !is_root(id)).map((id) => ({{ id }})));
  const ids = json.roots.map(({{ id }}) => id);
  const shown = root_ids ?? ids;
  const roots = Object.fromEntries(ids.map((id) => [id, `root-${{id}}`]));
  for (const id of [...shown, ...ids.filter((id) => !shown.includes(id))]) {{
    const place = document.body.appendChild(document.createElement("div"));
    place.id = roots[id];
    place.hidden = !shown.includes(id);
  }}
  Bokeh.embed.embed_items({{ saved: json }}, [{{ docid: "saved", roots, root_ids: ids }}]);
}}
if (window.Bokeh === undefined) {{
  document.body.append("This plot needs BokehJS from cdn.bokeh.org, which could not be loaded.");
}} else {{
  show();
}}
new ResizeObserver(() => {{
  if (window.frameElement !== null && document.body.offsetHeight > 0) {{
    window.frameElement.style.height = `${{document.body.offsetHeight}}px`;
  }}
}}).observe(document.body);
</script>
</body>
</html>
"""


class Shown(Protocol):
    """What is displayed."""

    aria_label: str

    @property
    def session(self) -> Session:
        """The session of the document; raises after the end."""

    @property
    def roots(self) -> list[Model]:
        """The models that are shown."""


def with_fallback(
    shown: Shown, data: dict[str, Any], fallback: Fallback | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Put what is shown without the widget beside it.

    Parameters
    ----------
    shown : Shown
        The widget.
    data : dict
        Its output, by MIME type; a line of text says how to see the plot, and with ``"html"`` there is a page.
        The picture of ``"png"`` is put beside it when the notebook is saved.
    fallback : {"png", "html"} or None
        What the user wants.

    Returns
    -------
    tuple of dict
        The output, and its metadata.
    """
    label = (shown.aria_label or label_of(shown.roots))[:MAX_LABEL_CHARACTERS]
    beside = {"text/plain": f"Bokeh: {label}. To see it live, run this cell in JupyterLab or Notebook 7."}
    if fallback == "html":
        beside["text/html"] = _frame_of(shown, label)
    return {**data, **beside}, {METADATA_KEY: fallback or "none"}


def _frame_of(shown: Shown, label: str) -> str:
    """Give a frame with the document as it is now, and BokehJS from its CDN; a line where frames are not allowed."""
    session = shown.session
    with session.lock:
        saved = {"document": json_of(session), "root_ids": [root.id for root in shown.roots]}
        scripts = "\n".join(bundle_for_objs_and_resources(session.document.roots, Resources("cdn")))
    page = _PAGE.format(
        title=html.escape(label),
        scripts=scripts,
        saved=json.dumps(saved, separators=(",", ":")).replace("<", "\\u003c"),  # no tag ends the script
    )
    return (
        f'<iframe title="{html.escape(label)}" srcdoc="{html.escape(page)}" '
        f'style="width: 100%; height: {HEIGHT_PX}px; border: 0"></iframe>'
        f"<p>Bokeh: {html.escape(label)}. To make it live, run this cell.</p>"
    )
