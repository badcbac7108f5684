"""A model file in the index dialect of YOLOv5 and YOLOv8, as data: rows that name each other by position.

Nothing is built or judged here; `dialect` reads and writes it, `align` finds the stock layers in it, `lint`
says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IMAGE_INDEX = -1  # the row in front of row 0


@dataclass(frozen=True, slots=True)
class Row:
    """One row ``[from, number, module, args]``.

    index: its position. sources: ``from`` as written, one entry per map. inputs: the same as absolute row
    numbers, `IMAGE_INDEX` for the image. repeats: ``number`` as written, unscaled. module: the name as
    written. args: as written: numbers, text, None, bool and lists of these; a bare word such as ``nc`` is
    text. line: in the file, from 1.
    """

    index: int
    sources: tuple[int, ...]
    inputs: tuple[int, ...]
    repeats: int
    module: str
    args: tuple[Any, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Scale:
    """Multiples of one scale; max_channels caps the unscaled channel count."""

    depth: float
    width: float
    max_channels: float = float("inf")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A whole file.

    name: file name, for messages. family: ``yolov5`` or ``yolov8``. scales: name -> multiples; a file with
    ``depth_multiple`` and ``width_multiple`` has the one scale ``""``. anchors: (width, height) pairs in
    input pixels per level, flat; empty for an anchor-free head and where only their number is given.
    anchors_each: that number, 0 where there is none. num_classes: ``nc``.
    """

    name: str
    family: str
    num_classes: int
    scales: Mapping[str, Scale]
    rows: tuple[Row, ...]
    anchors: tuple[tuple[float, ...], ...] = ()
    anchors_each: int = 0
