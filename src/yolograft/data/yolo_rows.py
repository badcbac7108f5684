"""Rows of a YOLO label file, and the two conventions that make a whole set of them wrong.

`class cx cy w h` in fractions of the image. Rows with more numbers in pairs are polygons
(`class x1 y1 x2 y2 ...`, oriented boxes among them) and become their bounding box.
"""

from __future__ import annotations

import math
from pathlib import Path

from yolograft.data.findings import finding
from yolograft.data.records import Finding
from yolograft.data.rows import Row
from yolograft.errors import DataError

# No fraction of a box that touches its image comes near this; a box in pixels is seldom below it.
LARGEST_FRACTION = 2.0


def read_row(text: str, line: int, *, size: tuple[int, int], file: str, found: list[Finding]) -> Row:
    """One row of a label file as a `Row` in pixels.

    Args:
        size: (height, width) of the image in pixels.
        file: the label file as findings name it.
        found: where findings are added.
    """
    words = text.split()
    try:
        number, *values = (float(word) for word in words)
    except ValueError:
        number, values = math.nan, []
    label = int(number) if math.isfinite(number) and number == int(number) else -1
    polygon = len(values) >= 6 and len(values) % 2 == 0
    if not (len(values) == 4 or polygon):
        message = f"expected `class cx cy w h`, got {len(words)} columns: {text[:60]}"
        found.append(finding("YG310", file, line, message))
        return Row(None, label, words[0], line=line)
    finite = all(map(math.isfinite, values))
    if finite and max(map(abs, values)) > LARGEST_FRACTION:
        message = f"not fractions of the image, pixels perhaps: {text[:60]}"
        found.append(finding("YG338", file, line, message))
        return Row(None, label, words[0], line=line)
    height, width = size
    if polygon:
        xs, ys = values[0::2], values[1::2]
        found.append(finding("YG315", file, line, f"polygon of {len(xs)} points replaced by its box"))
        # min and max would hide a NaN behind the first number.
        left, top, right, bottom = (min(xs), min(ys), max(xs), max(ys)) if finite else (math.nan,) * 4
    else:
        cx, cy, w, h = values
        left, top, right, bottom = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    return Row((left * width, top * height, right * width, bottom * height), label, words[0], line=line)


class ClassIds:
    """Where each class id was first used, to tell ids that count from 1 from ids that count from 0."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[str, int]] = {}

    def add(self, row: Row, file: str) -> None:
        """Note the class of a readable row."""
        if row.box is not None:
            self._first.setdefault(row.label, (file, row.line))

    def check(self, names: tuple[str, ...], *, root: Path, found: list[Finding]) -> None:
        """Refuse ids 1 .. K of K classes, each used and 0 never; point out what may be the same fault.

        Ids that count from 1 cost the boxes of the last class and give every other box the wrong name, and
        nothing about the training looks wrong. A stray id K proves nothing where other classes have no box
        either, and neither does a class 0 without boxes where all the others have some.

        Raises:
            DataError: YG309.
        """
        count = len(names)
        if 0 in self._first or not names:
            return
        others = all(label in self._first for label in range(1, count))
        if count in self._first:
            file, line = self._first[count]
            cause = f"class id {count}, ids here are 0 to {count - 1}, and 0 is never used"
            if others:
                fix = "subtract 1 from every class id, or name the missing class"
                raise DataError("YG309", f"{cause}: ids count from 1", where=f"{root / file}:{line}", fix=fix)
            found.append(finding("YG348", file, line, f"{cause}: do the ids count from 1?"))
        elif count > 1 and others:
            file, line = self._first[1]
            message = f"class 0 ('{names[0]}') has no box, every other class has: do the ids count from 1?"
            found.append(finding("YG348", file, line, message))
