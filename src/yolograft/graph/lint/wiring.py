"""Does every row read what the same row of the stock graph reads, and is every row read?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from yolograft.graph.dialect.indexfile import IMAGE_INDEX, Row
from yolograft.graph.lint.finding import Finding, listed
from yolograft.graph.lint.lineage import Lineage, readers
from yolograft.graph.lint.shapes import stride_text

HEADS = ("Detect", "Segment", "Pose", "OBB")
# Below this share of the stock rows a file is a design of its own, and there is nothing to compare with.
NEAR = 0.5


def lint_wiring(line: Lineage, strides: Sequence[float]) -> Iterator[Finding]:
    """Indices that point at another row than the stock graph means (YG150, YG168), unlike maps (YG158)."""
    for row in line.rows:
        if row.module in HEADS:
            continue
        stale = list(_stale(line, strides, row)) if line.share >= NEAR else []
        yield from stale
        if not stale:
            yield from _unlike(strides, row)
    if line.share < NEAR:
        found, total = len(line.standing), len(line.stock)
        yield Finding("YG168", "far", 0, {"found": found, "total": total}, note=True)
    else:
        yield from _missing(line)


def _stale(line: Lineage, strides: Sequence[float], row: Row) -> Iterator[Finding]:
    place = line.places[row.index]
    if place is None:
        return
    for position, wanted in wrong_inputs(line, row, place):
        actual = row.inputs[position]
        if wanted == actual:
            continue
        values = {
            **{"module": row.module, "now": actual, "meant": wanted, "write": line.tail(wanted)},
            "position": position,
            **described("now", line.rows, strides, actual),
            **described("meant", line.rows, strides, wanted),
        }
        same = values["now_stride"] == values["meant_stride"]
        yield Finding("YG150", "stale_same" if same else "stale", row.line, values)


def wrong_inputs(line: Lineage, row: Row, place: int) -> list[tuple[int, int]]:
    """(position among the row's inputs, row it should read) of every input that goes astray.

    Rows that join more maps than the stock row may read the others as they like.
    """
    wanted = [line.meant(index) for index in line.stock[place].inputs]
    origins = [line.origin(index) for index in row.inputs]
    if len(wanted) != len(origins):
        if len(origins) < len(wanted) or len(wanted) == 1:
            return []
        missing = [index for index in wanted if index is not None and index not in origins]
        free = [position for position, index in enumerate(origins) if index not in wanted]
        return list(zip(free, missing, strict=False))
    pairs = enumerate(zip(origins, wanted, strict=True))
    return [(at, meant) for at, (origin, meant) in pairs if meant is not None and origin != meant]


def head_levels(line: Lineage, head: Row, place: int) -> tuple[int, ...]:
    """Which of the stock head's inputs a head is meant to read, as positions: all, unless it has fewer.

    A head with fewer is taken at its word where each map it reads is one of the stock head's, finest first,
    and no level it leaves out is computed for nothing; else it means the levels that the file still has,
    where they are as many as its inputs.
    """
    wanted = [line.meant(index) for index in line.stock[place].inputs]
    everything = tuple(range(len(wanted)))
    if len(head.inputs) >= len(wanted):
        return everything
    origins = [line.origin(index) for index in head.inputs]
    read = tuple(wanted.index(index) if index in wanted else -1 for index in origins)
    left = tuple(at for at, index in enumerate(wanted) if index is not None)
    idle = [at for at in left if at not in read and not readers(line.rows, line.tail(wanted[at] or 0))]
    if -1 not in read and list(read) == sorted(set(read)) and not idle:
        return read
    return left if len(left) == len(head.inputs) else everything


def described(key: str, rows: Sequence[Row], strides: Sequence[float], index: int) -> dict[str, object]:
    """Module and stride of a row for a sentence."""
    if index <= IMAGE_INDEX:
        return {f"{key}_module": "image", f"{key}_stride": "1"}
    return {f"{key}_module": rows[index].module, f"{key}_stride": stride_text(strides[index])}


def _unlike(strides: Sequence[float], row: Row) -> Iterator[Finding]:
    read = [strides[index] if index > IMAGE_INDEX else 1 for index in row.inputs]
    if len(set(read)) > 1:
        texts = [f"{index} ({stride_text(stride)})" for index, stride in zip(row.inputs, read, strict=True)]
        values = {"module": row.module, "maps": listed(texts), "stride": stride_text(read[0])}
        same = [m for m in range(row.index) if strides[m] == read[0] and m not in row.inputs]
        yield Finding("YG158", "unlike", row.line, {**values, "rows": listed(same[-4:]) or "-"})


def _missing(line: Lineage) -> Iterator[Finding]:
    """Stock rows that were taken out of the middle; an end that is missing is the head's matter."""
    last = max(line.standing, default=IMAGE_INDEX)
    for index in range(last):
        if index not in line.standing:
            before = max((line.standing[i] for i in line.standing if i < index), default=IMAGE_INDEX)
            values = {"module": line.stock[index].module, "stock": index, "before": before}
            yield Finding("YG168", "missing", line.rows[max(before, 0)].line, values, note=True)


def lint_unread(line: Lineage, *, settled: bool) -> Iterator[Finding]:
    """Rows whose output nobody reads (YG153), the last one apart.

    settled: the wiring is otherwise right. Where it is not, a stock row that is not read is the other side of
    an index that has been reported, and only the user's own rows are looked at.
    """
    for row in line.rows[:-1]:
        own = line.places[row.index] is None
        if row.module not in HEADS and (own or settled) and not readers(line.rows, row.index):
            origin = line.origin(row.index) if own else row.index
            others = [r for r in readers(line.rows, origin) if r != row.index]
            values = {"module": row.module, "row": row.index, "readers": listed(others) or "-"}
            yield Finding("YG153", "unread", row.line, values)
