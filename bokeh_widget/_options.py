"""The options of a widget, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from bokeh.themes import Theme
from ipywidgets import Layout

from ._transfer import DEFAULT_FRAME_LIMIT_BYTES, MIN_FRAME_LIMIT_BYTES
from .errors import InputTypeError, InputValueError

Fallback = Literal["png"]
"""What a saved notebook shows of a plot where there is no kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``BokehWidget`` takes beside the thing to show; the names and defaults are described there.

    Raises
    ------
    InputTypeError
        If an option is of a type that is not accepted.
    InputValueError
        If no theme has the name, or the limit is too small.
    """

    theme: str | Theme | None = None
    layout: Layout | dict[str, str] | None = None
    pause_when_hidden: bool = True
    frame_limit_bytes: int = DEFAULT_FRAME_LIMIT_BYTES
    fallback: Fallback | None = "png"

    @property
    def given(self) -> dict[str, Any]:
        """The options by name, for another widget."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __post_init__(self) -> None:
        if self.layout is not None and not isinstance(self.layout, (Layout, dict)):
            raise InputTypeError(
                f"layout must be an ipywidgets.Layout or a dict of CSS properties, but got {self.layout!r:.80}"
            )
        if not isinstance(self.pause_when_hidden, bool):
            raise InputTypeError(f"pause_when_hidden must be True or False, but got {self.pause_when_hidden!r:.80}")
        _check_theme(self.theme)
        _check_limit(self.frame_limit_bytes)
        _check_fallback(self.fallback)


def _check_theme(theme: object) -> None:
    if theme is None or isinstance(theme, Theme):
        return
    if not isinstance(theme, str):
        raise InputTypeError(
            f"theme must be the name of a built-in theme or a bokeh.themes.Theme, but got {theme!r:.80}"
        )
    from bokeh.themes import built_in_themes  # noqa: PLC0415  # builds every theme

    if theme not in built_in_themes:
        raise InputValueError(f"no theme is called {theme!r}; the built-in ones are {', '.join(built_in_themes)}")


def _check_limit(limit_bytes: object) -> None:
    if isinstance(limit_bytes, bool) or not isinstance(limit_bytes, int):
        raise InputTypeError(f"frame_limit_bytes must be a whole number of bytes, but got {limit_bytes!r:.80}")
    if limit_bytes < MIN_FRAME_LIMIT_BYTES:
        raise InputValueError(f"frame_limit_bytes must be at least {MIN_FRAME_LIMIT_BYTES}, but got {limit_bytes}")


def _check_fallback(fallback: object) -> None:
    if fallback is None:
        return
    if not isinstance(fallback, str):
        raise InputTypeError(f'fallback must be "png" or None, but got {fallback!r:.80}')
    if fallback != "png":
        raise InputValueError(f'fallback must be "png" or None, but got {fallback!r:.80}')
