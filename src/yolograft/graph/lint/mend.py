"""The nearest stock graph with the user's own rows at their places: what a stale file was meant to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from yolograft.graph.dialect.indexfile import IMAGE_INDEX, Row
from yolograft.graph.lint.lineage import Lineage
from yolograft.graph.lint.wiring import HEADS, head_levels, wrong_inputs

# A row of the result before it has a number: a row of the file, or a stock row that the file lacks.
Key = tuple[str, int]
IMAGE_KEY: Key = ("image", IMAGE_INDEX)
Arguments = Callable[[Row], tuple[str, tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class _Part:
    """A row on its way: what it is, and what it reads."""

    row: Row
    inputs: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Mended:
    """The rows, and how many of them make the backbone."""

    rows: tuple[Row, ...]
    backbone: int


def mend(line: Lineage, *, neck: int, arguments: Arguments | None = None) -> Mended:
    """Every stock row in its place, every row of the user's own behind the row it stood behind, indices anew.

    A stock row that read a graft, or another row of its own, goes on doing so; one that read something else
    reads what the stock graph means. A graft that nobody read is read by whoever read its input.

    Args:
        neck: the first stock row that is no backbone.
        arguments: corrected name and arguments of a row of the file; as they are when left out.
    """
    order = _order(line)
    parts = {key: _part(line, key, arguments) for key in order}
    parts = _moved_up(line, order, parts)
    parts = _read_by_someone(line, order, parts)
    number = {IMAGE_KEY: IMAGE_INDEX} | {key: index for index, key in enumerate(order)}
    rows = []
    for index, key in enumerate(order):
        part = parts[key]
        inputs = tuple(number[source] for source in part.inputs)
        sources = tuple(_written(part.row, at, index, i) for at, i in enumerate(inputs))
        rows.append(replace(part.row, index=index, inputs=inputs, sources=sources, line=0))
    first = ("file", line.standing[neck]) if neck in line.standing else ("stock", neck)
    return Mended(tuple(rows), order.index(first))


def _written(row: Row, position: int, index: int, source: int) -> int:
    """A source as the row had it, by number or counted back; -1 for the row before where it had none."""
    had = row.sources[position] if position < len(row.sources) else -1
    if row.module in HEADS or index - source > 2 or index == 0:
        return source if index else -1
    return source if had >= 0 else source - index


def _order(line: Lineage) -> list[Key]:
    """Stock rows in their order, each followed by the user's own rows that stood behind it; the head last."""
    behind: dict[int, list[Key]] = {}
    last = IMAGE_INDEX
    for row in line.rows:
        place = line.places[row.index]
        if place is not None:
            last = place
        elif row.module not in HEADS:
            behind.setdefault(last, []).append(("file", row.index))
    order = list(behind.get(IMAGE_INDEX, []))
    needed = _needed(line)
    for index, row in enumerate(line.stock):
        if index not in needed and index not in line.standing:
            order += behind.get(index, [])
            continue
        own = behind.get(index, [])
        standing = line.standing.get(index)
        key: Key = ("stock", index) if standing is None else ("file", standing)
        order += [*own, key] if row.module in HEADS else [key, *own]
    return order


def _needed(line: Lineage) -> set[int]:
    """The stock rows that the head's levels come from: all, unless the file has fewer levels by choice."""
    last = len(line.stock) - 1
    if last not in line.standing:
        return set(range(last + 1))
    levels = head_levels(line, line.rows[line.standing[last]], last)
    needed = {last, *(line.stock[last].inputs[at] for at in levels)}
    for index in range(last - 1, -1, -1):
        if index in needed:
            needed.update(line.stock[index].inputs)
    return needed


def _part(line: Lineage, key: Key, arguments: Arguments | None) -> _Part:
    kind, index = key
    if kind == "stock":
        row = line.stock[index]
        return _Part(row, tuple(_meant(line, source) for source in row.inputs))
    row = line.rows[index]
    if arguments is not None:
        name, args = arguments(row)
        row = replace(row, module=name, args=args)
    place = line.places[index]
    inputs = [_key(line, source) for source in row.inputs]
    if place is not None:
        stock = line.stock[place]
        if row.module in HEADS and len(inputs) <= len(stock.inputs):
            inputs = _head_inputs(line, row, place, inputs)
        elif len(stock.inputs) != len(inputs) and (len(stock.inputs) == 1 or len(inputs) < len(stock.inputs)):
            inputs = [_meant(line, source) for source in stock.inputs]
        else:
            gone = [at for at, source in enumerate(stock.inputs) if source not in line.standing]
            for at, _ in wrong_inputs(line, row, place):
                inputs[at] = _meant(line, stock.inputs[min(at, len(stock.inputs) - 1)])
            if len(stock.inputs) == len(inputs):
                for at in gone:
                    inputs[at] = _meant(line, stock.inputs[at])
    return _Part(row, tuple(inputs))


def _head_inputs(line: Lineage, row: Row, place: int, inputs: list[Key]) -> list[Key]:
    """What a head reads, where that is right; else every level anew, as the message about it says."""
    wanted = [line.stock[place].inputs[at] for at in head_levels(line, row, place)]
    right = [line.meant(source) for source in wanted] == [line.origin(index) for index in row.inputs]
    if right and all(source in line.standing for source in wanted):
        return inputs
    return [_meant(line, source) for source in wanted]


def _key(line: Lineage, index: int) -> Key:
    return IMAGE_KEY if index <= IMAGE_INDEX else ("file", index)


def _meant(line: Lineage, stock_index: int) -> Key:
    """The output that a stock index means: the last graft behind that row, or the row itself."""
    if stock_index <= IMAGE_INDEX:
        return IMAGE_KEY
    standing = line.standing.get(stock_index)
    return ("stock", stock_index) if standing is None else ("file", line.tail(standing))


def _moved_up(line: Lineage, order: list[Key], parts: Mapping[Key, _Part]) -> dict[Key, _Part]:
    """A row may only read what stands before it: one that read the head reads its neighbour instead."""
    seen: set[Key] = {IMAGE_KEY}
    out: dict[Key, _Part] = {}
    for at, key in enumerate(order):
        before = order[at - 1] if at else IMAGE_KEY
        inputs = tuple(source if source in seen else before for source in parts[key].inputs)
        out[key] = replace(parts[key], inputs=inputs)
        seen.add(key)
    return out


def _read_by_someone(line: Lineage, order: list[Key], parts: dict[Key, _Part]) -> dict[Key, _Part]:
    """Grafts that nobody reads take over the readers of what they read."""
    for at, key in enumerate(order):
        own = key[0] == "file" and line.places[key[1]] is None
        if not own or any(key in part.inputs for part in parts.values()) or len(parts[key].inputs) != 1:
            continue
        (source,) = parts[key].inputs
        for later in order[at + 1 :]:
            inputs = tuple(key if read == source else read for read in parts[later].inputs)
            parts[later] = replace(parts[later], inputs=inputs)
    return parts
