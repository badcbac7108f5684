"""Is the head there, last, and on the levels it is meant for?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from yolograft.graph.dialect.indexfile import IndexFile, Row
from yolograft.graph.dialect.stock import STOCK_ANCHORS, Stock
from yolograft.graph.lint.finding import Finding, listed
from yolograft.graph.lint.lineage import Lineage, readers
from yolograft.graph.lint.mend_row import shown
from yolograft.graph.lint.shapes import stride_text
from yolograft.graph.lint.wiring import HEADS, NEAR, head_levels, wrong_inputs


def lint_head(file: IndexFile, line: Lineage, strides: Sequence[float], stock: Stock) -> Iterator[Finding]:
    """Presence and place (YG152), levels (YG151), classes and anchors (YG159)."""
    heads = [row for row in line.rows if row.module in HEADS]
    if not heads:
        yield _no_head(line)
        return
    head = heads[-1]
    for other in heads[:-1]:
        yield Finding("YG152", "two_heads", other.line, {"module": other.module, "last": head.index})
    if head is not line.rows[-1]:
        after = line.rows[head.index + 1]
        values = {"module": head.module, "row": head.index, "after": after.module}
        yield Finding("YG152", "not_last", after.line, values)
    yield from _levels(line, strides, head)
    yield from _classes(file, head)
    yield from _arguments(file, head)
    if file.family == "yolov5":
        yield from _anchors(file, head, stock)


def _no_head(line: Lineage) -> Finding:
    last = line.rows[-1]
    ends_at = max(line.standing, default=-1)
    goes_on = len(line.stock) - 1 - ends_at
    values = {"module": last.module, "row": last.index, "more": goes_on}
    return Finding("YG152", "no_head", last.line, values)


def _levels(line: Lineage, strides: Sequence[float], head: Row) -> Iterator[Finding]:
    modules = listed([line.rows[index].module for index in head.inputs])
    levels = [strides[index] for index in head.inputs]
    values = {"module": head.module, "now": listed(head.inputs), "modules": modules}
    values["strides"] = listed([stride_text(stride) for stride in levels])
    place = line.places[head.index]
    if line.share >= NEAR and place is not None:
        wanted = [line.meant(index) for index in line.stock[place].inputs]
        rows = [line.tail(index) for index in wanted if index is not None]
        values |= {"meant": listed(rows), "count": len(head.inputs), "stock": len(wanted)}
        values["meant_modules"] = listed([line.rows[line.origin(index)].module for index in rows])
        if len(head.inputs) != len(wanted):
            yield _other_count(line, head, place, values)
            return
        if wrong_inputs(line, head, place):
            joined = any(line.rows[line.origin(index)].module == "Concat" for index in head.inputs)
            yield Finding("YG151", "on_concat" if joined else "wrong_levels", head.line, values)
            return
        yield from _in_front_of_grafts(line, head)
    if any(line.rows[index].module == "Concat" and line.origin(index) == index for index in head.inputs):
        yield Finding("YG151", "reads_concat", head.line, values)
    elif levels != sorted(set(levels)):
        yield Finding("YG151", "level_order", head.line, values)


def _other_count(line: Lineage, head: Row, place: int, values: Mapping[str, object]) -> Finding:
    """More levels than the stock head, or fewer: by choice where those it reads are levels of the stock's."""
    stock = line.stock[place].inputs
    if len(head.inputs) > len(stock):
        return Finding("YG151", "more_levels", head.line, values, note=True)
    meant = [line.meant(stock[at]) for at in head_levels(line, head, place)]
    if [line.origin(index) for index in head.inputs] == meant:
        return Finding("YG151", "some_levels", head.line, values, note=True)
    return Finding("YG151", "fewer_levels", head.line, values)


def _in_front_of_grafts(line: Lineage, head: Row) -> Iterator[Finding]:
    """Maps the head takes although a graft on them follows, which the next stock row reads."""
    for position, index in enumerate(head.inputs):
        last = line.tail(index)
        if last != index and readers(line.rows, last):
            values = {"module": head.module, "now": index, "now_module": line.rows[index].module}
            values |= {"graft": line.rows[last].module, "write": last, "position": position}
            yield Finding("YG151", "before_graft", head.line, values, note=True)


def _arguments(file: IndexFile, head: Row) -> Iterator[Finding]:
    """What stands behind the classes in Detect's row: nothing, or the anchors at the top of the file."""
    order = ("nc", "anchors") if file.family == "yolov5" else ("nc",)
    if head.module == "Detect" and head.args[1:] not in ((), order[1:]):
        values = {"module": head.module, "order": listed(order), "args": shown(head.args)}
        yield Finding("YG145", "head_arguments", head.line, values)


def _classes(file: IndexFile, head: Row) -> Iterator[Finding]:
    written = head.args[0] if head.args else "nc"
    if isinstance(written, int) and not isinstance(written, bool) and written != file.num_classes:
        values = {"module": head.module, "written": written, "classes": file.num_classes}
        yield Finding("YG159", "classes", head.line, values)


def _anchors(file: IndexFile, head: Row, stock: Stock) -> Iterator[Finding]:
    if file.anchors:
        if len(file.anchors) != len(head.inputs):
            values = {"anchors": len(file.anchors), "levels": len(head.inputs)}
            yield Finding("YG159", "anchor_levels", head.line, values)
        return
    # Without sides the stock ones stand in, where there are as many.
    each = file.anchors_each or STOCK_ANCHORS
    if stock.anchor_pairs != each * len(head.inputs):
        values = {"each": each, "levels": len(head.inputs), "stock": stock.name, "known": stock.anchor_pairs}
        yield Finding("YG159", "no_sides", head.line, values)
