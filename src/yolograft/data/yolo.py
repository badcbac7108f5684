"""YOLO text labels: images/ and labels/ side by side, with a data.yaml or a *.names file.

One row is `class cx cy w h` in fractions of the image. The label file of an image is found by replacing
the last `images` part of its path by `labels`. Rows with more than five numbers are polygons
(`class x1 y1 x2 y2 ...`) and become their bounding box.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from yolograft.data.findings import finding
from yolograft.data.paths import image_id_of, images_in
from yolograft.data.records import Dataset, Finding, ImageRecord
from yolograft.data.rows import Row, measured_size, record_of
from yolograft.data.text import read_lines, read_text
from yolograft.errors import DataError

_SPLITS = ("train", "val", "valid", "test")


def yolo_yaml(root: Path) -> Path | None:
    """The YAML file of a folder that declares class names and splits, or None."""
    preferred = [root / "data.yaml", root / "data.yml", root / "dataset.yaml"]
    for path in [*preferred, *sorted({*root.glob("*.yaml"), *root.glob("*.yml")} - {*preferred})]:
        if not path.is_file():
            continue
        text = path.read_bytes()
        if b"names" in text and (b"train" in text or b"val" in text):
            return path
    return None


def names_file(root: Path) -> Path | None:
    """A file of class names, one a line: *.names, or classes.txt at the root or among the labels."""
    if not ((root / "images").is_dir() and (root / "labels").is_dir()):
        return None
    candidates = [*sorted(root.glob("*.names")), root / "classes.txt", root / "labels" / "classes.txt"]
    return next((path for path in candidates if path.is_file()), None)


def read_yolo_yaml(path: Path) -> Dataset:
    """Read the dataset a data.yaml declares.

    Raises:
        DataError: YG308 when the YAML cannot be used, YG302 when no split has images.
    """
    config = _load(path)
    findings: list[Finding] = []
    names = _names(config, path)
    base = path.parent
    if isinstance(config.get("path"), str):
        declared = (path.parent / config["path"]).resolve()
        base = declared if declared.is_dir() else path.parent
    if "download" in config:
        findings.append(finding("YG320", path.name, 0, "`download:` is not followed"))
    splits: dict[str, tuple[ImageRecord, ...]] = {}
    for split in _SPLITS:
        value = config.get(split)
        if not value:
            continue
        images = _images(value, base=base, beside=path.parent)
        if images is None:
            findings.append(finding("YG325", path.name, 0, f"{split}: '{value}' does not exist"))
            continue
        splits[split] = _records(images, root=base, names=names, found=findings)
    if not splits:
        raise DataError(
            "YG302", "no split whose images exist", where=str(path), fix="correct train: and val:"
        )
    return Dataset(base, "yolo", names, splits, tuple(findings))


def read_yolo_folder(root: Path, names_path: Path) -> Dataset:
    """Read images/{train,val,test}, or {train,val,test}.txt lists, with the classes of a names file.

    Raises:
        DataError: YG302 when there is no split.
    """
    names = tuple(text for _, text in read_lines(names_path))
    findings: list[Finding] = []
    splits: dict[str, tuple[ImageRecord, ...]] = {}
    for split in _SPLITS:
        folder, listed = root / "images" / split, root / f"{split}.txt"
        if folder.is_dir():
            splits[split] = _records(images_in(folder), root=root, names=names, found=findings)
        elif listed.is_file():
            splits[split] = _records(_listed(listed, root), root=root, names=names, found=findings)
    if not splits:
        fix = "make images/train and images/val, or a data.yaml"
        raise DataError("YG302", "images/ and labels/ without splits", where=str(root), fix=fix)
    return Dataset(root, "yolo", names, splits, tuple(findings))


def label_path(image: Path) -> Path:
    """Where the labels of an image lie."""
    parts = list(image.with_suffix(".txt").parts)
    for position in range(len(parts) - 2, -1, -1):
        if parts[position] == "images":
            parts[position] = "labels"
            break
    return Path(*parts)


def _load(path: Path) -> dict[str, Any]:
    try:
        config = YAML(typ="safe", pure=True).load(read_text(path))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise DataError("YG308", f"not YAML: {error.problem}", where=f"{path}:{line}") from None
    except YAMLError as error:
        raise DataError("YG308", f"not YAML: {error}", where=str(path)) from None
    if not isinstance(config, dict) or "names" not in config:
        raise DataError("YG308", "no `names:` in the YAML", where=str(path), fix="list the class names")
    return config


def _names(config: dict[str, Any], path: Path) -> tuple[str, ...]:
    declared = config["names"]
    if isinstance(declared, dict):
        if sorted(declared) != list(range(len(declared))):
            raise DataError("YG308", "`names:` must number the classes 0, 1, 2, ...", where=str(path))
        declared = [declared[index] for index in range(len(declared))]
    if not isinstance(declared, list) or not declared:
        raise DataError("YG308", "`names:` must be a list or a mapping from 0", where=str(path))
    count = config.get("nc", len(declared))
    if count != len(declared):
        raise DataError("YG308", f"nc: {count} but {len(declared)} names", where=str(path))
    return tuple(str(name) for name in declared)


def _images(value: Any, *, base: Path, beside: Path) -> list[Path] | None:
    """The images of one split entry (folder, list file, or a list of both); None when nothing is there."""
    entries = value if isinstance(value, list) else [value]
    images: list[Path] = []
    missing = 0
    for entry in map(str, entries):
        # Exports often write ../train/images although the YAML lies beside train/.
        bare = entry.replace("\\", "/")
        while bare.startswith("../"):
            bare = bare[3:]
        places = [base / entry, beside / entry, beside / bare]
        place = next((p for p in places if p.is_dir() or (p.is_file() and p.suffix == ".txt")), None)
        if place is None:
            missing += 1
        else:
            images.extend(images_in(place) if place.is_dir() else _listed(place, base))
    return None if missing == len(entries) else images


def _listed(path: Path, base: Path) -> list[Path]:
    found: list[Path] = []
    for _, text in read_lines(path):
        places = [path.parent / text] if text.startswith("./") else [base / text, path.parent / text]
        found.append(next((place for place in places if place.is_file()), places[0]))
    return found


def _records(
    images: list[Path], *, root: Path, names: tuple[str, ...], found: list[Finding]
) -> tuple[ImageRecord, ...]:
    records: list[ImageRecord] = []
    seen: set[str] = set()
    for path in images:
        image_id = image_id_of(path, root)
        if image_id in seen:
            found.append(finding("YG322", image_id, 0, "the image is listed twice"))
            continue
        seen.add(image_id)
        size, trouble = measured_size(path, image_id=image_id)
        found.extend(trouble)
        if size is None:
            continue
        labels = label_path(path)
        file = image_id_of(labels, root)
        rows: list[Row] = []
        if labels.is_file():
            rows = [
                _row(text, line, size=size, names=names, file=file, found=found)
                for line, text in read_lines(labels)
            ]
        else:
            found.append(finding("YG316", image_id, 0, f"no label file {file}"))
        record, more = record_of(rows, image_id=image_id, path=path, size=size, classes=len(names), file=file)
        found.extend(more)
        records.append(record)
    return tuple(records)


def _row(
    text: str, line: int, *, size: tuple[int, int], names: tuple[str, ...], file: str, found: list[Finding]
) -> Row:
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
    height, width = size
    if polygon:
        xs, ys = values[0::2], values[1::2]
        found.append(finding("YG315", file, line, f"polygon of {len(xs)} points replaced by its box"))
        # min and max would hide a NaN behind the first number.
        finite = all(map(math.isfinite, values))
        left, top, right, bottom = (min(xs), min(ys), max(xs), max(ys)) if finite else (math.nan,) * 4
    else:
        cx, cy, w, h = values
        left, top, right, bottom = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    return Row((left * width, top * height, right * width, bottom * height), label, words[0], line=line)
