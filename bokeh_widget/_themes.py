"""Themes of documents: what the user names, checked, and the one that follows the light and dark of a page."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml  # type: ignore[import-untyped]  # comes with Bokeh, its stubs do not
from bokeh.core.property_mixins import FillProps, LineProps, TextProps
from bokeh.document.callbacks import invoke_with_curdoc
from bokeh.model import Model
from bokeh.themes import Theme, built_in_themes, default

from ._hooks import FAILURES
from .errors import InputTypeError, InputValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bokeh.core.has_props import HasProps

    from ._protocol import Scheme
    from ._session import Session

log = logging.getLogger("bokeh_widget")

ThemeLike: TypeAlias = str | Path | dict[str, Any] | Theme

AUTO: Final = "auto"

_TAKES: Final = (
    "theme must be 'auto', the name of a built-in theme or a bokeh.themes.Theme, the path of a .yaml file, or a dict "
    "like {'attrs': {'Plot': {'background_fill_color': '#eeeeee'}}}"
)

# where widgets are drawn in shadow roots, by the variables of BokehJS's own style sheets; what the browser draws
# itself, such as the text of inputs, follows color-scheme
_DARK_CSS: Final = """:host, .bk-Menu {
  color-scheme: dark;
  color: #e0e0e0;
  --color: #e0e0e0;
  --background-color: #20262b;
  --hover-color: #2b3238;
  --disabled-color: #9a9b9d;
  --border-color: #5b6369;
  --divider-color: #3a4147;
  --shortcut-color: #b0b3b6;
  --active-bg: #2c4a5e;
  --active-fg: #9fcdea;
  --inactive-bg: #2b3238;
  --inactive-fg: #b0b3b6;
  --icon-color: #b0b3b6;
  --icon-color-disabled: #5b6369;
  --placeholder-color: #9a9b9d;
  --surface-background-color: #2b3238;
  --disabled-background-color: #2b3238;
  --outline-color: #9a9b9d;
  --default: #2b3238;
  --default-border: #5b6369;
  --default-hover: #363e45;
  --default-hover-border: #7b838a;
  --default-active: #414a52;
  --default-active-border: #7b838a;
  --default-disabled: #2b3238;
  --default-disabled-border: #3a4147;
  --light: #2b3238;
  --light-border: #5b6369;
  --light-hover: #363e45;
  --light-hover-border: #7b838a;
  --light-active: #414a52;
  --light-active-border: #7b838a;
  --file: #2b3238;
  --file-border: #5b6369;
  --file-hover: #363e45;
  --file-hover-border: #7b838a;
  --file-active: #414a52;
  --file-active-border: #7b838a;
  --file-disabled: #2b3238;
  --file-disabled-border: #3a4147;
  --special: #2b3238;
  --odd: #272e34;
  --muted-text: #9a9b9d;
  --selected: #2c4a5e;
}
.noUi-target { background: #2b3238; border-color: #5b6369; box-shadow: none; }
.noUi-handle { background: #b0b3b6; border-color: #7b838a; box-shadow: none; }
.slick-row { background: #20262b; }
.slick-row.selected { background: #2c4a5e; }
.slick-cell.editable, .slick-group-totals { background: #2b3238; border-color: #7b838a; color: #e0e0e0; }
.slick-header-columns, .slick-group { border-bottom-color: #5b6369; }
select:not([multiple]).bk-input, select:not([size]).bk-input {
  background-image: url('data:image/svg+xml;utf8,<svg version="1.1" viewBox="0 0 25 20" \
xmlns="http://www.w3.org/2000/svg"><path d="M 0,0 25,0 12.5,20 Z" fill="white" /></svg>');
}"""

_KEPT: Final = {"outline_line_alpha", "grid_line_alpha"}

_MIXINS: Final = {"line_defaults": LineProps, "fill_defaults": FillProps, "text_defaults": TextProps}
_KEYS: Final = ("attrs", *_MIXINS)

_last_told: list[Scheme] = []
"""What a page of this kernel said last, for documents that no page shows yet; at most one."""

_dark: list[Theme] = []


def checked_theme(theme: object) -> str | Theme | None:
    """Check what the user gives as a theme, and load it.

    Parameters
    ----------
    theme : str, Path, dict, Theme or None
        ``"auto"``, the name of a built-in theme, the path of a YAML file, the JSON of a theme, or a theme.

    Returns
    -------
    str or Theme or None
        A file has been read by then.

    Raises
    ------
    InputTypeError
        If it is something else.
    InputValueError
        If no theme has the name, a file or a dict describes none, or a value in it is not one of its property.
    """
    if theme is None or isinstance(theme, Theme):
        return theme
    if isinstance(theme, dict):
        return _theme_of_json(theme, "the dict")
    if isinstance(theme, Path) or (isinstance(theme, str) and theme.endswith((".yaml", ".yml"))):
        return _theme_of_file(Path(theme).expanduser())
    if not isinstance(theme, str):
        raise InputTypeError(f"{_TAKES}, but got {theme!r:.80}")
    if theme != AUTO and theme not in built_in_themes:
        raise InputValueError(
            f"no theme is called {theme!r}; there are 'auto', which follows the page, and the built-in ones: "
            f"{', '.join(built_in_themes)}"
        )
    return theme


def _theme_of_file(path: Path) -> Theme:
    where = f"the theme file {str(path)!r}"
    try:
        json = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise InputValueError(
            f"{where} cannot be read ({error.strerror}); give the path of a YAML file, relative to {Path.cwd()}"
        ) from error
    except yaml.YAMLError as error:
        raise InputValueError(f"{where} is no YAML ({error}); mend it there") from error
    if not isinstance(json, dict):
        raise InputValueError(f"{where} must have the key 'attrs' with a block for each class, but it is {json!r:.80}")
    return _theme_of_json(json, where)


def _theme_of_json(json: dict[str, Any], where: str) -> Theme:
    strangers = json.keys() - _KEYS
    if strangers:
        raise InputValueError(
            f"{where} has the key {min(map(str, strangers))!r}, which is none of {', '.join(_KEYS)}; values of models "
            "belong into 'attrs', such as {'attrs': {'Plot': {'background_fill_color': '#eeeeee'}}}"
        )
    try:
        theme = Theme(json=copy.deepcopy(json))  # Bokeh adds to what it is given
    except ValueError as error:
        raise InputValueError(f"{where} describes no theme: {error}") from error
    for key, mixin in _MIXINS.items():
        values = json.get(key, {})
        if not isinstance(values, dict):
            raise InputValueError(f"{where} must have a dict of values as {key}, but has {values!r:.80}")
        _check_values(mixin, values, where)
    classes = {cls.__name__: cls for cls in Model.model_class_reverse_map.values()}
    for class_name, values in json.get("attrs", {}).items():
        cls = classes.get(class_name)
        if cls is None:
            log.warning("%s sets values of %s, and there is no model of this name by now", where, class_name)
        else:
            _check_values(cls, values, where)
    return theme


def _check_values(cls: type[HasProps], values: Mapping[str, Any], where: str) -> None:
    for name, value in values.items():
        if name not in cls.properties():
            raise InputValueError(
                f"{where} sets {cls.__name__}.{name}, a property that {cls.__name__} has not; "
                "remove it, or correct its name"
            )
        try:
            cls.lookup(name).property.prepare_value(cls, name, value)
        except ValueError as error:
            raise InputValueError(f"{where} sets {cls.__name__}.{name} to {value!r:.80}: {error}") from error


def theme_for_document(theme: ThemeLike) -> str | Theme | None:
    """Give what Bokeh takes as the theme of a new document: ``"auto"`` is as a page was last said to be."""
    if theme == AUTO:
        return scheme_theme(_last_told[0] if _last_told else "light")
    return checked_theme(theme)


def scheme_theme(scheme: Scheme) -> Theme:
    """Give the theme of light or dark pages. They differ in colours alone, so that a switch moves nothing."""
    if scheme == "light":
        return default
    if not _dark:
        _dark.append(Theme(json={"attrs": dark_attrs()}))
    return _dark[0]


def dark_attrs() -> dict[str, dict[str, Any]]:
    """Give the values of the dark theme by class and property, as JSON: a page applies them before Python can."""
    return {
        **_colours(built_in_themes["dark_minimal"]._json["attrs"]),  # noqa: SLF001  # no public name
        "UIElement": {"stylesheets": [_DARK_CSS]},
        "AbstractSlider": {"bar_color": "#5b6369"},  # an inline style, which no style sheet reaches
    }


def _colours(attrs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: value for key, value in values.items() if key.endswith("_color") or key in _KEPT}
        for name, values in attrs.items()
    }


def note_scheme(scheme: Scheme) -> None:
    """Remember what a page is like, for documents that are made from now on."""
    _last_told[:] = [scheme]


def follow_scheme(session: Session, scheme: Scheme) -> None:
    """Give a document the theme of a page, as one patch. The lock of the session is held.

    Parameters
    ----------
    session : Session
        Whose document it is. What callbacks of changed properties raise is reported there.
    scheme : "light" or "dark"
        What the page is like.
    """
    document = session.document
    theme = scheme_theme(scheme)
    if document.theme is theme:
        return

    def change() -> None:
        document.theme = theme

    try:
        with session.batch():
            invoke_with_curdoc(document, change)
    except FAILURES as error:
        session.report_error(error)
