"""What each row of a user's file stands for in the nearest stock graph.

A row that `align` found is a stock row. One that was put in the place of a stock row stands for it. Every
other row is the user's own: a graft, which stands for whatever it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from yolograft.graph.dialect.indexfile import IMAGE_INDEX, Row


@dataclass(frozen=True, slots=True)
class Lineage:
    """Rows of a file beside those of a stock graph.

    places: for each row the stock row it stands for, None for the user's own. standing: the other way round.
    origins: for each row the row whose output its chain of grafts hands on.
    """

    rows: tuple[Row, ...]
    stock: tuple[Row, ...]
    places: tuple[int | None, ...]
    standing: dict[int, int]
    origins: tuple[int, ...]

    @property
    def share(self) -> float:
        """Part of the stock rows, up to the last one that is there, that the file has."""
        return len(self.standing) / (max(self.standing) + 1) if self.standing else 0.0

    def origin(self, index: int) -> int:
        """The row whose output is handed on by a chain of grafts; a row that joins other maps is its own."""
        return self.origins[index] if index > IMAGE_INDEX else IMAGE_INDEX

    def meant(self, stock_index: int) -> int | None:
        """The row that does the work of a stock row; where that was taken out, of the one before it."""
        while stock_index > IMAGE_INDEX and stock_index not in self.standing:
            inputs = self.stock[stock_index].inputs
            if len(inputs) != 1:
                return None
            stock_index = inputs[0]
        return self.standing.get(stock_index, IMAGE_INDEX)

    def tail(self, index: int) -> int:
        """The last graft placed right behind a row, or the row itself."""
        while index + 1 < len(self.rows):
            following = self.rows[index + 1]
            if self.places[index + 1] is not None or following.inputs != (index,):
                break
            index += 1
        return index


def lineage(rows: Sequence[Row], stock: Sequence[Row], places: Sequence[int | None]) -> Lineage:
    """Complete an alignment by the rows that were put in the place of a stock row.

    Where stock rows are missing between two that are there, the user's own rows between these two stand for
    them one by one, from the first on.
    """
    full = list(places)
    standing = {place: index for index, place in enumerate(full) if place is not None}
    for stock_index, model in enumerate(stock):
        if stock_index in standing:
            continue
        before = standing.get(stock_index - 1, IMAGE_INDEX)
        here = before + 1
        later = [index for place, index in standing.items() if place > stock_index]
        takes_as_many = here < len(rows) and len(rows[here].inputs) == len(model.inputs)
        if (stock_index and before == IMAGE_INDEX) or not later or here >= min(later):
            continue
        if full[here] is None and takes_as_many:
            full[here], standing[stock_index] = stock_index, here
    return Lineage(tuple(rows), tuple(stock), tuple(full), standing, _origins(rows, full))


def _origins(rows: Sequence[Row], places: Sequence[int | None]) -> tuple[int, ...]:
    """Where the output of each row comes from; a Concat of grafts on one map comes from that map."""
    found: list[int] = []
    for row, place in zip(rows, places, strict=True):
        read = {found[index] if index > IMAGE_INDEX else IMAGE_INDEX for index in row.inputs}
        found.append(read.pop() if place is None and len(read) == 1 else row.index)
    return tuple(found)


def readers(rows: Sequence[Row], index: int) -> tuple[int, ...]:
    """The rows that read a row."""
    return tuple(row.index for row in rows if index in row.inputs)
