"""The options of a widget, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ipywidgets import Layout

from ._fallback import FALLBACKS, Fallback
from ._themes import ThemeLike, checked_theme
from ._transfer import DEFAULT_FRAME_LIMIT_BYTES, MIN_FRAME_LIMIT_BYTES
from .errors import InputTypeError, InputValueError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``BokehWidget`` takes beside the thing to show; the names and defaults are described there.

    Raises
    ------
    InputTypeError
        If an option is of a type that is not accepted.
    InputValueError
        If there is no such theme or fallback, or the limit is too small.
    """

    theme: ThemeLike | None = None
    layout: Layout | dict[str, str] | None = None
    aria_label: str | None = None
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
        if self.aria_label is not None and not isinstance(self.aria_label, str):
            raise InputTypeError(f"aria_label must be a text or None, but got {self.aria_label!r:.80}")
        object.__setattr__(self, "theme", checked_theme(self.theme))  # a file is read once
        _check_limit(self.frame_limit_bytes)
        _check_fallback(self.fallback)


def _check_limit(limit_bytes: object) -> None:
    if isinstance(limit_bytes, bool) or not isinstance(limit_bytes, int):
        raise InputTypeError(f"frame_limit_bytes must be a whole number of bytes, but got {limit_bytes!r:.80}")
    if limit_bytes < MIN_FRAME_LIMIT_BYTES:
        raise InputValueError(f"frame_limit_bytes must be at least {MIN_FRAME_LIMIT_BYTES}, but got {limit_bytes}")


def _check_fallback(fallback: object) -> None:
    if fallback is None:
        return
    if not isinstance(fallback, str):
        raise InputTypeError(f'fallback must be "png", "html" or None, but got {fallback!r:.80}')
    if fallback not in FALLBACKS:
        raise InputValueError(f'fallback must be "png", "html" or None, but got {fallback!r:.80}')
