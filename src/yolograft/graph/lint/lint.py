"""What is wrong with an index file, found without building anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from yolograft.graph.dialect.align import Nearest
from yolograft.graph.dialect.indexfile import IndexFile, Row, Scale
from yolograft.graph.dialect.nodes import Node
from yolograft.graph.dialect.stock import index_rows
from yolograft.graph.dialect.words import Words
from yolograft.graph.lint.finding import Finding
from yolograft.graph.lint.head import lint_head
from yolograft.graph.lint.keys import lint_keys, scales_line
from yolograft.graph.lint.lineage import Lineage, lineage
from yolograft.graph.lint.mend_row import RowReading
from yolograft.graph.lint.rows import lint_rows, read_rows
from yolograft.graph.lint.scales import lint_scales
from yolograft.graph.lint.shapes import strides
from yolograft.graph.lint.wiring import lint_unread, lint_wiring

_WIRING = frozenset({"YG150", "YG151", "YG152"})


@dataclass(frozen=True, slots=True)
class Lint:
    """A file beside the stock graph it is nearest to.

    line: its rows beside the stock's. readings: each row as its module takes it. strides: of each row's map.
    """

    line: Lineage
    readings: tuple[RowReading, ...]
    strides: tuple[float, ...]
    findings: tuple[Finding, ...]


def lint(
    file: IndexFile,
    found: Nearest,
    *,
    words: Words,
    scale: Scale,
    top: Mapping[str, Node] | None = None,
    foreign: Collection[str] = (),
) -> Lint:
    """Compare a file with its nearest stock graph, and its rows with what their modules take.

    Args:
        scale: the multiples it is read with. top: its top-level keys, for what stands outside the rows.
        foreign: module names that mean a class of the user's own.
    """
    line = lineage(file.rows, stock_rows(found, words), found.places)
    steps = strides(file.rows)
    readings = read_rows(file.rows, words, scale)
    findings = [*lint_wiring(line, steps), *lint_head(file, line, steps, found.stock)]
    settled = all(finding.note or finding.code not in _WIRING for finding in findings)
    if _goes_further(findings, line, steps):
        findings = [replace(found, note=True) if found.code == "YG150" else found for found in findings]
    findings += lint_unread(line, settled=settled)
    findings += lint_rows(readings, steps, words, scale, foreign=foreign)
    keys = top or {}
    findings += [*lint_keys(keys, file.num_classes), *lint_scales(file, scales_line(keys))]
    return Lint(line, readings, steps, tuple(sorted(findings, key=lambda finding: finding.line)))


def _goes_further(findings: Sequence[Finding], line: Lineage, strides: Sequence[float]) -> bool:
    """A head with more levels than the stock's, each on a stride of its own: a design of its own."""
    levels = [strides[index] for index in line.rows[-1].inputs]
    return any(found.key == "more_levels" for found in findings) and levels == sorted(set(levels))


def stock_rows(found: Nearest, words: Words) -> tuple[Row, ...]:
    """The stock graph as rows, with the numbers of the scale it was found at."""
    scale = found.stock.scales.get(found.scale)
    return index_rows(found.stock, words, scale=scale) if scale else index_rows(found.stock, words)
