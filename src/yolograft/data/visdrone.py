"""VisDrone-DET folders: {images,annotations}/ in VisDrone2019-DET-train, -val, -test-dev, one row an object.

A row is `left,top,width,height,score,category,truncation,occlusion` in pixels. Categories 1 to 10 are the
classes. Category 0 (ignored regions) and 11 (others) become crowd regions of every class, and a row with
score 0 ("not considered in evaluation") a crowd region of its own class: never trained on, and a detection
inside counts neither way. Source: VisDrone2018-DET-toolkit README, "Annotations Format"; Zhu et al.,
Detection and Tracking Meet Drones Challenge, arXiv 2001.06303.
"""

from __future__ import annotations

import re
from pathlib import Path

from yolograft.data.findings import finding
from yolograft.data.paths import Folders, files_in, image_id_of, images_in
from yolograft.data.records import Dataset, Finding, ImageRecord
from yolograft.data.rows import Row, measured_size, record_of
from yolograft.data.text import read_lines
from yolograft.errors import DataError

CATEGORIES = (
    "ignored regions",
    "pedestrian",
    "people",
    "bicycle",
    "car",
    "van",
    "truck",
    "tricycle",
    "awning-tricycle",
    "bus",
    "motor",
    "others",
)
NAMES = CATEGORIES[1:11]
_SPLIT_WORD = re.compile(r"(?<![a-z])(train|val|test-dev|test-challenge|test)(?![a-z])", re.IGNORECASE)
_ORDER = ("train", "val", "test")
_TEXT = frozenset({".txt"})


def visdrone_splits(root: Path) -> dict[str, Path]:
    """Split -> its folder, for the folder of one split or a folder of several; empty for anything else.

    Raises:
        DataError: YG303 when two folders stand for one split.
    """
    folders = [root] if (root / "annotations").is_dir() else sorted(p for p in root.iterdir() if p.is_dir())
    splits: dict[str, Path] = {}
    for folder in folders:
        if not ((folder / "images").is_dir() and _rows_follow(folder / "annotations")):
            continue
        match = _SPLIT_WORD.search(folder.name)
        # The test-dev set is the one with public annotations: it is the `test` of results.
        split = match.group(1).lower().replace("test-dev", "test") if match else "train"
        if split in splits:
            cause = f"{splits[split].name} and {folder.name} both stand for split '{split}'"
            raise DataError("YG303", cause, where=str(root), fix="open one of them, or rename it")
        splits[split] = folder
    return dict(sorted(splits.items(), key=lambda s: (_ORDER.index(s[0]) if s[0] in _ORDER else 9, s[0])))


def _rows_follow(annotations: Path) -> bool:
    if not annotations.is_dir():
        return False
    for path in files_in(annotations, _TEXT)[:20]:
        lines = read_lines(path)
        if lines:
            words = lines[0][1].rstrip(",").split(",")
            return len(words) == 8 and all(_number(word) is not None for word in words)
    return False


def read_visdrone(root: Path, folders: dict[str, Path]) -> Dataset:
    """Read the given split folders.

    Raises:
        DataError: YG305 when no folder holds an image.
    """
    findings: list[Finding] = []
    splits = {split: _split(folder, root, findings) for split, folder in folders.items()}
    if not any(splits.values()):
        raise DataError("YG305", "no annotated image in images/", where=str(root))
    return Dataset(root, "visdrone", NAMES, splits, tuple(findings))


def _split(folder: Path, root: Path, found: list[Finding]) -> tuple[ImageRecord, ...]:
    files, annotated = Folders(), set[str]()
    records: list[ImageRecord] = []
    for path in images_in(folder / "images"):
        image_id = image_id_of(path, root)
        labels = files.find(folder / "annotations" / f"{path.stem}.txt")
        if labels is None:
            found.append(finding("YG326", image_id, 0, f"no annotations/{path.stem}.txt"))
            continue
        annotated.add(labels.name)
        size, trouble = measured_size(path, image_id=image_id)
        found.extend(trouble)
        if size is None:
            continue
        file = image_id_of(labels, root)
        rows = [_row(text, line, file, found) for line, text in read_lines(labels, file=file, found=found)]
        record, more = record_of(rows, image_id=image_id, path=path, size=size, classes=len(NAMES), file=file)
        found.extend(more)
        records.append(record)
    for labels in files_in(folder / "annotations", _TEXT):
        if labels.name not in annotated:
            file = image_id_of(labels, root)
            found.append(finding("YG317", file, 0, "annotations of an image that does not exist"))
    return tuple(records)


def _row(text: str, line: int, file: str, found: list[Finding]) -> Row:
    numbers = [_number(word) for word in text.rstrip(",").split(",")]
    values = [number for number in numbers if number is not None]
    if len(values) != len(numbers) or not 6 <= len(values) <= 8:
        message = f"expected `left,top,width,height,score,category,...`: {text[:60]}"
        found.append(finding("YG310", file, line, message))
        return Row(None, -1, "", line=line)
    left, top, width, height, score, category = values[:6]
    known = category in range(len(CATEGORIES))
    label = int(category) - 1 if known else -1
    region = known and not 0 <= label < len(NAMES)
    return Row(
        (left, top, left + width, top + height),
        -1 if region else label,
        CATEGORIES[int(category)] if known else f"{category:g}",
        crowd=region or score == 0,
        every_class=region,
        line=line,
    )


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
