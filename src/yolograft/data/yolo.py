"""YOLO text labels: images/ and labels/ side by side, with a data.yaml or a *.names file.

One row is `class cx cy w h` in fractions of the image (rows: ``yolo_rows.py``). The label file of an image is
found by replacing the last `images` part of its path by `labels`; a label file beside its image counts when
there is none at that place.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from yolograft.data.findings import finding
from yolograft.data.names import tidy_names
from yolograft.data.paths import IMAGE_SUFFIXES, Folders, image_id_of, images_in, is_file, is_folder
from yolograft.data.records import Dataset, Finding, ImageRecord
from yolograft.data.rows import Row, measured_size, record_of
from yolograft.data.text import in_short, read_head, read_lines, read_text
from yolograft.data.yolo_rows import ClassIds, read_row
from yolograft.errors import DataError

_SPLITS = ("train", "val", "valid", "test")
_NOT_LABELS = frozenset({"classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt"})


def yolo_yaml(root: Path) -> Path | None:
    """The YAML file of a folder that declares class names and splits, or None."""
    preferred = [root / "data.yaml", root / "data.yml", root / "dataset.yaml"]
    for path in [*preferred, *sorted({*root.glob("*.yaml"), *root.glob("*.yml")} - {*preferred})]:
        if not is_file(path):
            continue
        text = read_head(path)
        if b"names" in text and (b"train" in text or b"val" in text):
            return path
    return None


def names_file(root: Path) -> Path | None:
    """A file of class names, one a line: *.names, or classes.txt at the root or among the labels."""
    if not (is_folder(root / "images") and is_folder(root / "labels")):
        return None
    candidates = [*sorted(root.glob("*.names")), root / "classes.txt", root / "labels" / "classes.txt"]
    return next((path for path in candidates if is_file(path)), None)


def read_yolo_yaml(path: Path) -> Dataset:
    """Read the dataset a data.yaml declares.

    Raises:
        DataError: YG308 when the YAML cannot be used, YG302 when no split has images, YG309 when the class
            ids count from 1.
    """
    findings: list[Finding] = []
    config = _load(path, findings)
    names = tidy_names(_names(config, path), file=path.name, found=findings)
    base = _base(config.get("path"), path.parent)
    if "download" in config:
        findings.append(finding("YG320", path.name, 0, "`download:` is not followed"))
    reader = _Reader(base, names, findings)
    splits: dict[str, tuple[ImageRecord, ...]] = {}
    for split in _SPLITS:
        value = config.get(split)
        if not value:
            continue
        if not all(map(_scalar, value if isinstance(value, list) else [value])):
            raise DataError("YG308", f"`{split}:` must be a path or a list of paths", where=str(path))
        images = _images(value, reader, beside=path.parent)
        if images is None:
            findings.append(finding("YG325", path.name, 0, f"{split}: '{_shown(value)}' does not exist"))
            continue
        splits[split] = reader.records(images)
    if not splits:
        raise DataError(
            "YG302", "no split whose images exist", where=str(path), fix="correct train: and val:"
        )
    return reader.dataset(splits)


def read_yolo_folder(root: Path, names_path: Path) -> Dataset:
    """Read images/{train,val,test}, or {train,val,test}.txt lists, with the classes of a names file.

    Raises:
        DataError: YG302 when there is no image, YG308 for a gap in the names, YG309 when the class ids
            count from 1.
    """
    findings: list[Finding] = []
    file = image_id_of(names_path, root)
    lines = read_lines(names_path, file=file, found=findings)
    for place, (number, _) in enumerate(lines, start=lines[0][0] if lines else 1):
        if number != place:
            # Whether the blank line is a class decides the number of every class after it.
            fix, where = "name the class or remove the line", f"{names_path}:{place}"
            raise DataError("YG308", "a blank line between class names", where=where, fix=fix)
    names = tidy_names([text for _, text in lines], file=file, found=findings)
    reader = _Reader(root, names, findings)
    splits: dict[str, tuple[ImageRecord, ...]] = {}
    for split in _SPLITS:
        folder, listed = root / "images" / split, root / f"{split}.txt"
        if is_folder(folder):
            splits[split] = reader.records(images_in(folder))
        elif is_file(listed):
            splits[split] = reader.records(_listed(listed, reader))
    if not splits and (images := images_in(root / "images")):
        findings.append(finding("YG324", "images", 0, "no splits; all images are read as train"))
        splits["train"] = reader.records(images)
    if not splits:
        fix = "make images/train and images/val, or a data.yaml"
        raise DataError("YG302", "images/ and labels/ without images", where=str(root), fix=fix)
    return reader.dataset(splits)


def label_path(image: Path) -> Path:
    """Where the labels of an image lie; `Images` has its `Labels`."""
    parts = list(_beside(image).parts)
    for position in range(len(parts) - 2, -1, -1):
        if parts[position].lower() == "images":
            written = {"Images": "Labels", "IMAGES": "LABELS"}
            parts[position] = written.get(parts[position], "labels")
            break
    return Path(*parts)


def _beside(image: Path) -> Path:
    # A list may hold the line `/`, a path without a name.
    return image.with_suffix(".txt") if image.name else image


def _load(path: Path, found: list[Finding]) -> dict[str, Any]:
    try:
        config = YAML(typ="safe", pure=True).load(read_text(path, file=path.name, found=found))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise DataError("YG308", f"not YAML: {error.problem}", where=f"{path}:{line}") from None
    except YAMLError as error:
        raise DataError("YG308", f"not YAML: {error}", where=str(path)) from None
    except (ValueError, RecursionError):
        # A date or a number that cannot be, or brackets without end.
        raise DataError("YG308", "YAML that holds no usable values", where=str(path)) from None
    if not isinstance(config, dict) or "names" not in config:
        raise DataError("YG308", "no `names:` in the YAML", where=str(path), fix="list the class names")
    if config.get("kpt_shape"):
        # Key points in two numbers each cannot be told from polygons.
        fix = "keep the first five columns and remove kpt_shape"
        raise DataError("YG308", "key point labels (`kpt_shape:`) are not boxes", where=str(path), fix=fix)
    return config


def _names(config: dict[str, Any], path: Path) -> tuple[str, ...]:
    declared = config["names"]
    if isinstance(declared, dict):
        if any(type(key) is not int for key in declared) or {*declared} != {*range(len(declared))}:
            raise DataError("YG308", "`names:` must number the classes 0, 1, 2, ...", where=str(path))
        declared = [declared[index] for index in range(len(declared))]
    if not isinstance(declared, list) or not declared:
        raise DataError("YG308", "`names:` must be a list or a mapping from 0", where=str(path))
    for number, name in enumerate(declared):
        if not _scalar(name):
            # Lists that name each other grow without bound once they are written out as text.
            raise DataError("YG308", f"`names:` {number} is not a name but a {_kind(name)}", where=str(path))
    count = config.get("nc", len(declared))
    if count != len(declared):
        raise DataError("YG308", f"nc: {_shown(count)} but {len(declared)} names", where=str(path))
    return tuple(str(name) for name in declared)


def _base(declared: Any, beside: Path) -> Path:
    """The folder that `path:` names, or the one of the YAML."""
    if not isinstance(declared, str) or "\0" in declared:
        return beside
    folder = Path(os.path.realpath(beside / declared))
    return folder if is_folder(folder) else beside


def _scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | date)


def _kind(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else type(value).__name__


def _shown(value: Any) -> str:
    return str(value) if _scalar(value) else in_short(value)


class _Reader:
    """Reads the images of the splits of one dataset and remembers what only the whole of it tells."""

    def __init__(self, root: Path, names: tuple[str, ...], found: list[Finding]) -> None:
        self.root, self.names, self.found = root, names, found
        self.folders = Folders()
        self._ids = ClassIds()
        self._labels: set[Path] = set()
        # Folder of labels -> folder of the images they belong to.
        self._pairs: dict[Path, Path] = {}

    def dataset(self, splits: dict[str, tuple[ImageRecord, ...]]) -> Dataset:
        """The dataset, once every split was read."""
        self._ids.check(self.names, root=self.root, found=self.found)
        self._labels_alone()
        return Dataset(self.root, "yolo", self.names, splits, tuple(dict.fromkeys(self.found)))

    def records(self, images: list[Path]) -> tuple[ImageRecord, ...]:
        """The records of one split."""
        seen: set[str] = set()
        records = (self._record(path, seen) for path in images)
        return tuple(record for record in records if record is not None)

    def _record(self, listed: Path, seen: set[str]) -> ImageRecord | None:
        path = self.folders.find(listed) or listed
        image_id = image_id_of(path, self.root)
        if image_id in seen:
            self.found.append(finding("YG322", image_id, 0, "the image is listed twice"))
            return None
        seen.add(image_id)
        if path.name != listed.name:
            self.found.append(finding("YG336", image_id, 0, f"listed as '{listed.name}'"))
        expected = label_path(path)
        labels = self.folders.find(expected) or self.folders.find(_beside(path))
        self._labels.add(labels or expected)
        self._pairs.setdefault(expected.parent, path.parent)
        size, trouble = measured_size(path, image_id=image_id)
        self.found.extend(trouble)
        if size is None:
            return None
        file = image_id_of(labels or expected, self.root)
        rows: list[Row] = []
        if labels is None:
            self.found.append(finding("YG316", image_id, 0, f"no label file {file}"))
        else:
            for line, text in read_lines(labels, file=file, found=self.found):
                row = read_row(text, line, size=size, file=file, found=self.found)
                self._ids.add(row, file)
                rows.append(row)
        record, more = record_of(
            rows,
            image_id=image_id,
            path=path,
            size=size,
            classes=len(self.names),
            file=file,
            in_pixels=False,
        )
        self.found.extend(more)
        return record

    def _labels_alone(self) -> None:
        for folder, images in sorted(self._pairs.items()):
            stems = {Path(n).stem.casefold() for n in self.folders.names(images) if _is_image(n)}
            for name in self.folders.names(folder):
                path = folder / name
                if path.suffix.lower() != ".txt" or name.lower() in _NOT_LABELS or path in self._labels:
                    continue
                if path.stem.casefold() not in stems:
                    file = image_id_of(path, self.root)
                    self.found.append(finding("YG317", file, 0, "labels of an image that does not exist"))


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def _images(value: Any, reader: _Reader, *, beside: Path) -> list[Path] | None:
    """The images of one split entry (folder, list file, or a list of both); None when nothing is there."""
    entries = value if isinstance(value, list) else [value]
    images: list[Path] = []
    missing = 0
    for entry in map(str, entries):
        # Exports often write ../train/images although the YAML lies beside train/.
        bare = entry.replace("\\", "/")
        while bare.startswith("../"):
            bare = bare[3:]
        places = [reader.root / entry, beside / entry, beside / bare]
        place = next((p for p in places if is_folder(p) or (is_file(p) and p.suffix.lower() == ".txt")), None)
        if place is None:
            missing += 1
        else:
            images.extend(images_in(place) if is_folder(place) else _listed(place, reader))
    return None if missing == len(entries) else images


def _listed(path: Path, reader: _Reader) -> list[Path]:
    images: list[Path] = []
    for _, text in read_lines(path, file=image_id_of(path, reader.root), found=reader.found):
        places: list[Path] = []
        for written in dict.fromkeys((text, text.replace("\\", "/"))):
            near, far = path.parent / written, reader.root / written
            places += [near] if written.startswith("./") else [far, near]
        images.append(next((place for place in places if reader.folders.find(place)), places[0]))
    return images
