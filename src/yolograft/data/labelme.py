"""labelme JSON: one file beside each image, shapes in pixels.

Folders train, val and test below the root are the splits; without one, everything is train. Classes are
those of labels.txt where there is one (labelme's own list, `__ignore__` and `_background_` left out), else
numbered by first appearance, reading the splits in the order train, val, test. Shapes of one label and
`group_id` are parts of one object. Shapes labelled `__ignore__` become crowd regions of every class.
`imageData` is never read. Source: the documentation and examples/instance_segmentation of
github.com/wkentaro/labelme.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

from yolograft.data.findings import finding
from yolograft.data.names import tidy_names
from yolograft.data.paths import IMAGE_SUFFIXES, Folders, files_in, image_id_of, images_in, is_file
from yolograft.data.records import Dataset, Finding, ImageRecord
from yolograft.data.rows import Box, Row, annotated_size, measured_size, record_of
from yolograft.data.text import in_short, read_head, read_json, read_lines
from yolograft.errors import DataError

_SPLITS = ("train", "val", "valid", "test")
_JSON = frozenset({".json"})
# Some writers sort the keys, which puts `shapes` behind the embedded pixels.
_KEYS = re.compile(rb'"shapes"\s*:\s*\[|"imageData"\s*:|"imagePath"\s*:')
_IGNORE = "__ignore__"
_NO_CLASS = frozenset({_IGNORE, "_background_"})
# Points a shape needs to have a box; shapes that are not here have none.
_LEAST_POINTS = {"rectangle": 2, "circle": 2, "polygon": 3, "rotation": 3, "mask": 2}


def labelme_splits(root: Path) -> dict[str, list[Path]]:
    """Split -> its labelme files, sorted; empty when the folder holds none."""
    files = [path for path in files_in(root, _JSON) if _looks_labelme(path)]
    by_split: dict[str, list[Path]] = {split: [] for split in (*_SPLITS, "")}
    for path in files:
        parts = path.relative_to(root).parts[:-1]
        by_split[next((part.lower() for part in parts if part.lower() in _SPLITS), "")].append(path)
    loose = by_split.pop("")
    named = {split: paths for split, paths in by_split.items() if paths}
    if not loose:
        return named
    return {**named, "": loose} if named else {"train": loose}


def _looks_labelme(path: Path) -> bool:
    return _KEYS.search(read_head(path, 4096)) is not None


def read_labelme(root: Path, splits: dict[str, list[Path]]) -> Dataset:
    """Read the files of each split; those of the nameless split lie outside every split and are dropped.

    Raises:
        DataError: YG308 when a file is not such JSON, YG305 when no image is found.
    """
    found: list[Finding] = []
    for path in splits.get("", []):
        found.append(finding("YG321", image_id_of(path, root), 0, "outside the folders train, val and test"))
    documents = {
        split: [(path, _load(path, root, found)) for path in paths]
        for split, paths in splits.items()
        if split
    }
    names = _names(documents, root, found)
    files = Folders()
    records: dict[str, tuple[ImageRecord, ...]] = {}
    used: set[Path] = set()
    for split, members in documents.items():
        seen: set[str] = set()
        read = [_record(root, path, doc, names, files, seen, used, found) for path, doc in members]
        records[split] = tuple(record for record in read if record is not None)
    if not any(records.values()):
        raise DataError("YG305", "none of the annotated images exists", where=str(root))
    for folder in sorted({path.parent for path in used}):
        for path in images_in(folder):
            if path.parent == folder and path not in used:
                found.append(finding("YG326", image_id_of(path, root), 0, "no labelme file for this image"))
    tidy = tidy_names(list(names), file="labels.txt", found=found)
    return Dataset(root, "labelme", tidy, records, tuple(dict.fromkeys(found)))


def _load(path: Path, root: Path, found: list[Finding]) -> dict[str, Any]:
    document = read_json(path, file=image_id_of(path, root), found=found)
    shapes = document.get("shapes") if isinstance(document, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise DataError("YG308", "no labelme file: it needs a list `shapes`", where=str(path))
    # Pixels embedded as text would stay in memory until the whole set is read.
    document.pop("imageData", None)
    return document


def _names(
    documents: dict[str, list[tuple[Path, dict[str, Any]]]], root: Path, found: list[Finding]
) -> dict[str, int]:
    listed = root / "labels.txt"
    if is_file(listed):
        lines = [text for _, text in read_lines(listed, file="labels.txt", found=found)]
    else:
        shapes = (s for members in documents.values() for _, doc in members for s in doc["shapes"])
        lines = [_label(s) for s in shapes if _kind(s) in _LEAST_POINTS]
    wanted = dict.fromkeys(line for line in lines if line and line not in _NO_CLASS)
    return {name: number for number, name in enumerate(wanted)}


def _record(
    root: Path,
    path: Path,
    document: dict[str, Any],
    names: dict[str, int],
    files: Folders,
    seen: set[str],
    used: set[Path],
    found: list[Finding],
) -> ImageRecord | None:
    file = image_id_of(path, root)
    image = _image(path, document, files)
    if image is None:
        found.append(finding("YG317", file, 0, f"image '{_text(document.get('imagePath'))}' does not exist"))
        return None
    used.add(image)
    image_id = image_id_of(image, root)
    if image_id in seen:
        found.append(finding("YG322", file, 0, f"image '{image_id}' is annotated twice"))
        return None
    seen.add(image_id)
    size, trouble = measured_size(image, image_id=image_id)
    found.extend(trouble)
    if size is None:
        return None
    found.extend(annotated_size(_stated_size(document), size, file=file, image_id=image_id))
    rows = _rows(document["shapes"], names, file, found)
    record, more = record_of(rows, image_id=image_id, path=image, size=size, classes=len(names), file=file)
    found.extend(more)
    return record


def _image(path: Path, document: dict[str, Any], files: Folders) -> Path | None:
    stated = _text(document.get("imagePath")).replace("\\", "/")
    if stated and (image := files.find(path.parent / stated)):
        return _straight(image)
    # Files move after they were annotated; the image beside the file with its stem is meant then.
    beside = [name] if (name := Path(stated).name) else []
    beside += [path.stem + suffix for suffix in sorted(IMAGE_SUFFIXES)]
    return next((image for name in beside if (image := files.find(path.with_name(name)))), None)


def _straight(image: Path) -> Path:
    """The path without steps back, so that one image has one path; links on the way keep their meaning."""
    plain = Path(os.path.normpath(image))
    return plain if is_file(plain) and plain.samefile(image) else image.resolve()


def _stated_size(document: dict[str, Any]) -> tuple[int, int] | None:
    try:
        return int(document["imageHeight"]), int(document["imageWidth"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _label(shape: dict[str, Any]) -> str:
    return _text(shape.get("label")).strip()


def _kind(shape: dict[str, Any]) -> str:
    # labelme before 3.0 wrote polygons only and left the field empty or out.
    return _text(shape.get("shape_type")) or "polygon"


def _text(value: Any) -> str:
    """A text or number as text, what should be one and is not in short, nothing for nothing."""
    return str(value) if isinstance(value, str | int | float) else in_short(value) if value else ""


def _rows(shapes: list[dict[str, Any]], names: dict[str, int], file: str, found: list[Finding]) -> list[Row]:
    rows: list[Row] = []
    groups: dict[tuple[str, str], int] = {}
    for number, shape in enumerate(shapes, start=1):
        name, kind = _label(shape), _kind(shape)
        at = f"shape {number} ('{name}')"
        box: Box | None = None
        if kind not in _LEAST_POINTS:
            found.append(finding("YG349", file, 0, f"{at} is a {kind}, which has no box"))
        elif (box := _box(shape.get("points"), kind)) is None:
            found.append(finding("YG310", file, 0, f"{at} has no readable points"))
        elif kind != "rectangle":
            found.append(finding("YG315", file, 0, f"{at}, a {kind}, replaced by its box"))
        ignored = name == _IGNORE
        row = Row(box, names.get(name, -1), name, crowd=ignored, every_class=ignored)
        group = shape.get("group_id")
        if box is None or not isinstance(group, str | int | float):
            rows.append(row)
            continue
        first = groups.setdefault((name, str(group)), len(rows))
        if first == len(rows):
            rows.append(row)
        else:
            rows[first] = rows[first]._replace(box=_around(rows[first].box or box, box))
            found.append(finding("YG315", file, 0, f"{at} is part of the object of group {group}"))
    return rows


def _around(a: Box, b: Box) -> Box:
    # min and max would hide the part that is nowhere behind the other one.
    if not all(map(math.isfinite, (*a, *b))):
        return math.nan, math.nan, math.nan, math.nan
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _box(points: Any, kind: str) -> Box | None:
    try:
        xy = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError, OverflowError):
        return None
    if len(xy) < _LEAST_POINTS[kind]:
        return None
    if not all(map(math.isfinite, (value for point in xy for value in point))):
        return math.nan, math.nan, math.nan, math.nan
    if kind == "circle":
        # The centre and a point of the rim.
        (x, y), radius = xy[0], math.dist(xy[0], xy[1])
        return x - radius, y - radius, x + radius, y + radius
    xs, ys = [x for x, _ in xy], [y for _, y in xy]
    return min(xs), min(ys), max(xs), max(ys)
