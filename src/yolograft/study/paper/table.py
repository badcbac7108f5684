"""A table of a paper as data: heads, cells, caption and note, whatever it is written as."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """A column head. text: plain. below: subscript. numeric: right-aligned."""

    text: str
    below: str = ""
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. text: plain, as `notation` writes it. best: set in bold. mark: a part present in the arm."""

    text: str = ""
    best: bool = False
    mark: bool = False


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table with its caption above and its note below; rows as long as ``heads``."""

    label: str
    caption: str
    note: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
