"""Reads the golden frames of this folder; README.md describes their format."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

FOLDER: Final = Path(__file__).parent

Direction = Literal["to_client", "to_kernel"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it travels, and what it makes of the described document."""

    name: str
    direction: Direction
    trait: str | None
    content: dict[str, Any]
    buffers: dict[str, bytes]
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InvalidCase:
    """A message that must be refused, and a part of the error's text."""

    description: str
    content: Any
    buffers: list[bytes]
    error: str
    error_type: str


def load(name: str) -> Frame:
    fields = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    buffers = {name: base64.b64decode(text, validate=True) for name, text in fields["buffers"].items()}
    return Frame(
        name=name,
        direction=fields["direction"],
        trait=fields.get("trait"),
        content=fields["content"],
        buffers=buffers,
        result=fields.get("result", {}),
    )


def frame_names(direction: Direction) -> list[str]:
    """Give the names of all frames of one direction."""
    names = sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.startswith("invalid_"))
    return [name for name in names if load(name).direction == direction]


def load_invalid(name: str) -> list[InvalidCase]:
    cases = json.loads((FOLDER / f"invalid_{name}.json").read_text(encoding="utf-8"))
    return [
        InvalidCase(
            description=case["description"],
            content=case["content"],
            buffers=[base64.b64decode(text, validate=True) for text in case["buffers"]],
            error=case["error"],
            error_type=case["error_type"],
        )
        for case in cases
    ]
