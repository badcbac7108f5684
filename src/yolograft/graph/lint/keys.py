"""What contradicts itself outside the rows: names beside nc, multiples beside scales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from yolograft.graph.dialect.nodes import Node
from yolograft.graph.lint.finding import Finding

MULTIPLES = ("depth_multiple", "width_multiple")


def lint_keys(top: Mapping[str, Node], num_classes: int) -> Iterator[Finding]:
    """Two tables of scales (YG160), and another number of names than classes (YG159)."""
    scales, names = top.get("scales"), top.get("names")
    beside = [top[key].line for key in MULTIPLES if key in top]
    if scales is not None and isinstance(scales.value, dict) and beside:
        yield Finding("YG160", "two_tables", min(beside), {"scales": ", ".join(scales.value)})
    if names is not None and isinstance(names.value, list | dict) and len(names.value) != num_classes:
        values = {"names": len(names.value), "classes": num_classes}
        yield Finding("YG159", "names", names.line, values)


def scales_line(top: Mapping[str, Node]) -> int:
    """The line of the table of scales, 0 where there is none."""
    lines = [top[key].line for key in ("scales", *MULTIPLES) if key in top]
    return min(lines, default=0)
