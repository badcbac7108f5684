"""The table of what readers find odd in a dataset, and what is always done about it.

One code has one action, in every format, so that `data check` and training agree to the box. What cannot be
used at all is refused with a `DataError`; its codes stand in the second table. docs/data.md says why.
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
    "YG315": ("corrected", "a polygon, circle or object in parts, replaced by its bounding box"),
    "YG316": ("kept", "an image without a label file, used as an image without boxes"),
    "YG317": ("dropped", "a listed or annotated image that does not exist"),
    "YG318": ("dropped", "an image that is empty or in no readable format"),
    "YG319": ("corrected", "an annotated image size that is not the size of the image; the image counts"),
    "YG320": ("kept", "a `download:` entry; nothing is ever downloaded or run from it"),
    "YG321": ("dropped", "annotations of an image that the file does not list, or outside every split"),
    "YG322": ("dropped", "an image listed twice in one split; the first one counts"),
    "YG323": ("kept", "more than one annotation format in the folder; the first in reading order counts"),
    "YG324": (
        "kept",
        "`train` has no list of its own; `trainval`, or everything there is, is read as `train`",
    ),
    "YG325": ("kept", "a declared split whose images cannot be found; it is left out"),
    "YG326": ("dropped", "an image without an annotation file, where every annotated image has one"),
    "YG327": ("dropped", "an image that cannot be decoded, found by `data check --decode`"),
    "YG328": ("corrected", "text that is not UTF-8, read as GB18030 or UTF-16"),
    "YG329": ("dropped", "an image file that ends before its end marker"),
    "YG336": (
        "kept",
        "a file that is not what its name says: another suffix, or upper and lower case differ",
    ),
    "YG337": ("corrected", "an image of 16 bits a channel, in CMYK or with alpha, converted to 8-bit RGB"),
    "YG338": ("dropped", "a box on the wrong scale: pixels where fractions belong, or the reverse"),
    "YG339": ("kept", "an image file with several frames or pages; the first one is used"),
    "YG345": ("corrected", "an image that its EXIF orientation turns; boxes are read in the turned image"),
    "YG346": ("dropped", "the same box of the same class a second time in one image"),
    "YG347": ("corrected", "a class name that is empty, used twice or has spaces around it"),
    "YG348": (
        "kept",
        "class 0 has no box, yet all others have or an id is one too high: ids may count from 1",
    ),
    "YG349": ("dropped", "a point, line or other shape without a box"),
    "YG350": ("kept", "nearly the same image in two splits"),
}

REFUSALS: dict[str, str] = {
    "YG301": "nothing there, or no layout that is known",
    "YG302": "no split to read",
    "YG303": "two files stand for one split",
    "YG304": "a split that the dataset does not have",
    "YG305": "a file that cannot be opened, or no image that can be used",
    "YG306": "splits that declare different classes",
    "YG307": "text that is neither UTF-8 nor GB18030",
    "YG308": "a YAML, JSON or XML file that is damaged, unsafe or ambiguous, or splits that contradict",
    "YG309": "labels in another convention throughout: class ids from 1, or numbers on the wrong scale",
    "YG330": "an image that turns out to be damaged while it is in use",
    "YG333": "an image that changed since the dataset was opened",
}


def finding(code: str, file: str, line: int, message: str) -> Finding:
    """A `Finding` with the action its code always has. `line` is 1-based, 0 where a format has no lines.

    What is no text in a file name (bytes that are not UTF-8) is written out, so that it can be printed.
    """
    shown = (text.encode("utf-8", "backslashreplace").decode("utf-8") for text in (file, message))
    file, message = shown
    return Finding(file=file, line=line, code=code, message=message, action=FINDINGS[code][0])
