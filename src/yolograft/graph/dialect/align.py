"""Which rows of a file are the stock's: a sequence alignment finds inserted rows wherever they stand.

Needleman and Wunsch 1970, "A general method applicable to the search for similarities in the amino acid
sequence of two proteins", with matches between rows of one module only. Indices are not looked at: in the
files this is for they are what has gone stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from yolograft.graph.dialect.indexfile import Row
from yolograft.graph.dialect.stock import Stock, index_rows
from yolograft.graph.dialect.words import Words

SAME_MODULE, SAME_CHANNELS, SAME_NUMBER, SAME_REST, SAME_ARITY = 10, 4, 1, 2, 1
INSERTED, LEFT_OUT = -2, -3
_NEVER = -(10**9)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The stock graph a file is nearest to.

    scale: of whose written-out numbers; empty where the file has unscaled ones. places: for each row the
    stock row it is, None where inserted. score: of the alignment.
    """

    stock: Stock
    scale: str
    places: tuple[int | None, ...]
    score: int


def align(
    rows: Sequence[Row], stock_rows: Sequence[Row], *, words: Words | None = None
) -> tuple[int | None, ...]:
    """For each row the stock row it is, in rising order; None for a row that is inserted.

    Args:
        words: the table that makes two names of one module the same.
    """
    return _align(rows, stock_rows, words or {})[0]


def nearest(rows: Sequence[Row], stocks: Iterable[Stock], *, words: Words) -> Nearest:
    """The stock graph the rows align with best, tried unscaled and with the numbers of each scale."""
    best: Nearest | None = None
    for stock in stocks:
        for name, scale in {"": None, **stock.scales}.items():
            stock_rows = index_rows(stock, words, scale=scale) if scale else index_rows(stock, words)
            places, score = _align(rows, stock_rows, words)
            if best is None or score > best.score:
                best = Nearest(stock, name, places, score)
    if best is None:
        raise ValueError("no stock graph to compare with")
    return best


def _align(
    rows: Sequence[Row], stock_rows: Sequence[Row], words: Words
) -> tuple[tuple[int | None, ...], int]:
    keys = [_key(row, words) for row in rows]
    stock_keys = [_key(row, words) for row in stock_rows]
    # best[i][j]: score of the rows from i on against the stock rows from j on.
    best = [[0] * (len(stock_rows) + 1) for _ in range(len(rows) + 1)]
    for i in range(len(rows), -1, -1):
        for j in range(len(stock_rows), -1, -1):
            best[i][j] = max(_choices(i, j, rows, stock_rows, keys, stock_keys, best), default=0)
    places: list[int | None] = []
    i = j = 0
    while i < len(rows):
        match, insert, _ = _choices(i, j, rows, stock_rows, keys, stock_keys, best)
        # The first of equal rows is the stock's, what follows it is inserted.
        if match == best[i][j]:
            places.append(j)
            i, j = i + 1, j + 1
        elif insert == best[i][j]:
            places.append(None)
            i += 1
        else:
            j += 1
    return tuple(places), best[0][0]


def _choices(
    i: int,
    j: int,
    rows: Sequence[Row],
    stock_rows: Sequence[Row],
    keys: Sequence[str],
    stock_keys: Sequence[str],
    best: Sequence[Sequence[int]],
) -> tuple[int, ...]:
    """Scores of matching row i with stock row j, of taking it as inserted, of leaving the stock row out."""
    if i == len(rows) and j == len(stock_rows):
        return ()
    match = insert = leave = _NEVER
    if i < len(rows):
        insert = best[i + 1][j] + INSERTED
        if j < len(stock_rows) and keys[i] == stock_keys[j]:
            match = best[i + 1][j + 1] + _likeness(rows[i], stock_rows[j])
    if j < len(stock_rows):
        leave = best[i][j + 1] + LEFT_OUT
    return match, insert, leave


def _key(row: Row, words: Words) -> str:
    word = words.get(row.module)
    # Two words of one module that mean different networks (Conv, DWConv) stay apart.
    return word.names[0] if word else row.module


def _likeness(row: Row, stock: Row) -> int:
    score = SAME_MODULE
    score += SAME_CHANNELS * (row.args[:1] == stock.args[:1])
    score += SAME_NUMBER * (row.repeats == stock.repeats)
    score += SAME_REST * (row.args[1:] == stock.args[1:])
    return score + SAME_ARITY * (len(row.sources) == len(stock.sources))
