"""Writes mended rows into the text they came from: everything but the rows stays as it is."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolograft.graph.dialect.indexfile import Row
from yolograft.graph.dialect.nodes import parse_nodes

PARTS = ("backbone", "head")
FORM = "# [from, number, module, args]"
_BARE = frozenset({"nc", "anchors"})


def mended_text(text: str, rows: Sequence[Row], *, backbone: int, name: str) -> str:
    """The text with its rows exchanged.

    Args:
        backbone: how many of the rows stand under ``backbone``; the others stand under ``head``.
        name: of the file, for messages.
    """
    top = parse_nodes(text, name=name).value
    starts = {key: node.line for key, node in top.items()}
    lines = text.removeprefix("\ufeff").splitlines()
    blocks = {"backbone": rows[:backbone], "head": rows[backbone:]}
    out = lines[: min(starts.values()) - 1]
    ordered = sorted(starts, key=lambda key: starts[key])
    for key in sorted(
        set(ordered) | set(PARTS),
        key=lambda key: (starts.get(key, math.inf), PARTS.index(key) if key in PARTS else 0),
    ):
        if key in PARTS:
            out += [f"{key}:", f"  {FORM}", *(f"  - {row_text(row)}  # {row.index}" for row in blocks[key])]
        else:
            following = [line for line in starts.values() if line > starts[key]]
            end = min(following) - 1 if following else len(lines)
            out += lines[starts[key] - 1 : end]
    return "\n".join(out).rstrip() + "\n"


def row_text(row: Row) -> str:
    """``[-1, 1, Conv, [64, 3, 2]]``."""
    source = str(row.sources[0]) if len(row.sources) == 1 else str(list(row.sources))
    return f"[{source}, {row.repeats}, {row.module}, {_value(list(row.args))}]"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and value not in _BARE:
        return "'" + value.replace("'", "''") + "'"
    return str(value)


def unified(before: str, after: str, *, old: str, new: str) -> list[str]:
    """The unified diff of two texts, line by line."""
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), old, new, n=2, lineterm=""))


def fixed_path(path: Path) -> Path:
    """``name.fixed.yaml`` beside the file, with a number where that is taken."""
    for number in range(1, 1000):
        mark = "fixed" if number == 1 else f"fixed-{number}"
        candidate = path.with_name(f"{path.stem}.{mark}{path.suffix}")
        if not candidate.exists():
            return candidate
    raise FileExistsError(path)
