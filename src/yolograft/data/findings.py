"""The table of what readers find odd in a dataset, and what is always done about it.

One code has one action, in every format, so that `data check` and training agree to the box.
"""

from __future__ import annotations

from yolograft.data.records import Finding

# code -> (action, what it means)
FINDINGS: dict[str, tuple[str, str]] = {
    "YG310": ("dropped", "an annotation row that cannot be read as a box"),
    "YG311": ("dropped", "a coordinate that is not a finite number"),
    "YG312": ("dropped", "a class that the dataset does not declare"),
    "YG313": ("dropped", "a box without area once clipped to the image"),
    "YG314": ("corrected", "a box more than half a pixel outside the image, clipped to it"),
    "YG315": ("corrected", "a polygon row in a box dataset, replaced by its bounding box"),
    "YG316": ("kept", "an image without a label file, used as an image without boxes"),
    "YG317": ("dropped", "a listed image that does not exist"),
    "YG318": ("dropped", "an image whose size cannot be read"),
    "YG319": ("corrected", "an annotated image size that is not the size of the image; the image counts"),
    "YG320": ("kept", "a `download:` entry; nothing is ever downloaded or run from it"),
    "YG321": ("dropped", "annotations of an image that the file does not list"),
    "YG322": ("dropped", "an image listed twice in one split; the first one counts"),
    "YG323": ("kept", "more than one annotation format in the folder; the first in reading order counts"),
    "YG324": ("kept", "`trainval` read as `train` because there is no list of its own for `train`"),
    "YG325": ("kept", "a declared split whose images cannot be found; it is left out"),
    "YG326": ("dropped", "a listed image without an annotation file"),
    "YG327": ("dropped", "an image that cannot be decoded"),
}


def finding(code: str, file: str, line: int, message: str) -> Finding:
    """A `Finding` with the action its code always has. `line` is 1-based, 0 where a format has no lines."""
    return Finding(file=file, line=line, code=code, message=message, action=FINDINGS[code][0])
