"""The stride of every row's map, from the numbers in the file alone."""

from __future__ import annotations

from collections.abc import Sequence

from yolograft.graph.dialect.indexfile import IMAGE_INDEX, Row

_STRIDED = frozenset({"Conv", "DWConv", "GhostConv", "Focus"})
_UPSAMPLE = frozenset({"nn.Upsample", "Upsample"})
# What a row can do to the side of a map, and all rows together.
_MOST_FACTOR, _FINEST, _COARSEST = 8, 2.0**-8, 2.0**16


def strides(rows: Sequence[Row]) -> tuple[float, ...]:
    """Input pixels per pixel of each row's map; a module that is not known keeps what it reads."""
    found: dict[int, float] = {IMAGE_INDEX: 1.0}
    for row in rows:
        stride = found.get(row.inputs[0], 1.0) * _factor(row)
        found[row.index] = min(max(stride, _FINEST), _COARSEST)
    return tuple(found[row.index] for row in rows)


def _factor(row: Row) -> float:
    if row.module == "Focus":
        return 2.0
    if row.module in _STRIDED and len(row.args) > 2:
        return float(row.args[2]) if _is_factor(row.args[2]) else 1.0
    if row.module in _UPSAMPLE:
        factor = row.args[1] if len(row.args) > 1 else 2
        return 1.0 / factor if _is_factor(factor) else 1.0
    return 1.0


def _is_factor(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MOST_FACTOR


def stride_text(stride: float) -> str:
    """8, not 8.0."""
    return f"{stride:g}"
