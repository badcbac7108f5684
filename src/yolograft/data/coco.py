"""COCO JSON: Roboflow's `train/_annotations.coco.json`, `annotations/instances_*.json`, and the like.

Any JSON file at most one folder below the root that holds `images`, `annotations` and `categories` is
one split. Categories are sorted by id and numbered from 0 without gaps; unused ones stay. `iscrowd`
becomes crowd, `area` is the annotation's own. Source: cocodataset.org, "Data format".
"""

from __future__ import annotations

import math
import mmap
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from yolograft.data.findings import finding
from yolograft.data.names import tidy_names
from yolograft.data.paths import Folders, image_id_of, is_file
from yolograft.data.records import Dataset, Finding, ImageRecord
from yolograft.data.rows import Row, annotated_size, measured_size, record_of
from yolograft.data.text import WIDE_MARKS, in_short, read_head, read_json
from yolograft.errors import DataError

_KEYS = (b'"images"', b'"annotations"', b'"categories"')
# The list of a labelme file; a category called "shapes" is no such thing.
SHAPES_KEY = re.compile(rb'"shapes"\s*:\s*\[')
_SPLIT_WORD = re.compile(r"(?<![a-z])(train|valid|validation|val|test)(?![a-z])", re.IGNORECASE)
_ORDER = ("train", "val", "valid", "validation", "test")


def coco_files(root: Path) -> list[Path]:
    """The JSON files of a folder that look like COCO detection files, sorted."""
    candidates = sorted([*root.glob("*.json"), *root.glob("*/*.json")])
    found = [path for path in candidates if is_file(path) and _looks_coco(path)]
    # COCO ships key points of the same images beside the instances: one file a split is wanted.
    instances = [path for path in found if path.name.startswith("instances_")]
    return instances or found


def _looks_coco(path: Path) -> bool:
    head = read_head(path, 4096)
    # The pixels embedded in a labelme file need not be searched.
    if not head or SHAPES_KEY.search(head):
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        if view[:2] not in WIDE_MARKS:
            return all(view.find(key) >= 0 for key in _KEYS)
    text = read_head(path)
    return all(key in text for key in _KEYS)


def split_name(path: Path) -> str:
    """The split a JSON file stands for: a word such as train in its name, then in its folder's name."""
    for text in (path.stem, path.parent.name):
        match = _SPLIT_WORD.search(text)
        if match:
            return match.group(1).lower()
    return path.stem


def coco_root(path: Path) -> Path:
    """The dataset root of one JSON file: above its folder when that holds a split or only annotations."""
    name = path.parent.name.lower()
    inner = name in {"annotations", "derived_coco"} or _SPLIT_WORD.search(name) is not None
    return path.parent.parent if inner else path.parent


def read_coco(root: Path, files: list[Path]) -> Dataset:
    """Read the given COCO files as the splits of one dataset.

    Raises:
        DataError: YG303 when two files stand for one split, YG305 when no image is found, YG306 when
            two files declare different categories, YG308 when a file is not such JSON or two images
            share an id.
    """
    findings: list[Finding] = []
    by_split: dict[str, Path] = {}
    for path in sorted(files, key=lambda p: (_ORDER.index(s) if (s := split_name(p)) in _ORDER else 9, p)):
        split = split_name(path)
        if split in by_split:
            cause = f"{by_split[split].name} and {path.name} both stand for split '{split}'"
            raise DataError("YG303", cause, where=str(root), fix="name one JSON file instead of the folder")
        by_split[split] = path
    splits: dict[str, tuple[ImageRecord, ...]] = {}
    names: tuple[str, ...] | None = None
    ids: dict[int, int] = {}
    for split, path in by_split.items():
        document = _load(path, root=root, found=findings)
        here_ids, here = _categories(document, path)
        if names is None:
            names, ids = here, here_ids
        elif (here, here_ids) != (names, ids):
            raise DataError("YG306", "categories differ from those of the other splits", where=str(path))
        splits[split] = _split(document, path, root=root, ids=ids, names=here, found=findings)
    where = image_id_of(next(iter(by_split.values())), root) if by_split else ""
    tidy = tidy_names(names or (), file=where, found=findings)
    return Dataset(root, "coco", tidy, splits, tuple(findings))


def _load(path: Path, *, root: Path, found: list[Finding]) -> dict[str, Any]:
    document = read_json(path, file=image_id_of(path, root), found=found)
    lists = ("images", "annotations", "categories")
    if not isinstance(document, dict) or not all(isinstance(document.get(key), list) for key in lists):
        raise DataError("YG308", f"no COCO file: it needs the lists {', '.join(lists)}", where=str(path))
    for key in lists:
        for place, item in enumerate(document[key]):
            ids = [item.get(k) for k in ("id", "image_id")] if isinstance(item, dict) else [[]]
            if any(isinstance(value, list | dict) for value in ids):
                raise DataError("YG308", f"{key}[{place}] is not an entry with a plain id", where=str(path))
    _one_image_an_id(document["images"], path)
    return document


def _one_image_an_id(images: list[dict[str, Any]], path: Path) -> None:
    """Which of two images the annotations of a shared id belong to, nobody can tell."""
    files: dict[Any, Any] = {}
    for image in images:
        identity, name = image.get("id"), image.get("file_name")
        if files.setdefault(identity, name) != name:
            cause = f"'{files[identity]}' and '{name}' share the image id {identity!r}"
            raise DataError("YG308", cause, where=str(path), fix="give every image an id of its own")


def _categories(document: dict[str, Any], path: Path) -> tuple[dict[int, int], tuple[str, ...]]:
    pairs = [(_whole(item.get("id")), item.get("name")) for item in document["categories"]]
    ordered = sorted((number, str(name)) for number, name in pairs if number is not None and _plain(name))
    if len(ordered) != len(pairs):
        raise DataError("YG308", "a category without id and name", where=str(path))
    ids = {identity: label for label, (identity, _) in enumerate(ordered)}
    if len(ids) != len(ordered):
        raise DataError("YG308", "two categories share one id", where=str(path))
    return ids, tuple(name for _, name in ordered)


def _split(
    document: dict[str, Any],
    path: Path,
    *,
    root: Path,
    ids: dict[int, int],
    names: tuple[str, ...],
    found: list[Finding],
) -> tuple[ImageRecord, ...]:
    file = image_id_of(path, root)
    annotations: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for item in document["annotations"]:
        annotations[item.get("image_id")].append(item)
    folders, files = _image_folders(path, root), Folders()
    records: list[ImageRecord] = []
    seen: set[str] = set()
    for image in document["images"]:
        rows = annotations.pop(image.get("id"), [])
        stated = image.get("file_name")
        name = str(stated) if _plain(stated) else ""
        image_path = _locate(name, folders, files)
        if image_path is None:
            found.append(finding("YG317", file, 0, f"image '{name}' does not exist"))
            continue
        image_id = image_id_of(image_path, root)
        if image_id in seen:
            found.append(finding("YG322", file, 0, f"image '{name}' is listed twice"))
            continue
        seen.add(image_id)
        if not name.endswith(image_path.name):
            found.append(finding("YG336", file, 0, f"image '{name}' is the file '{image_path.name}'"))
        size, trouble = measured_size(image_path, image_id=image_id)
        found.extend(trouble)
        if size is None:
            continue
        found.extend(annotated_size(_stated_size(image), size, file=file, image_id=image_id))
        read = [_row(item, ids, names, file=file, found=found) for item in rows]
        record, more = record_of(
            read, image_id=image_id, path=image_path, size=size, classes=len(names), file=file
        )
        found.extend(more)
        records.append(record)
    for identity, rows in annotations.items():
        found.append(finding("YG321", file, 0, f"{len(rows)} annotations of unlisted image id {identity!r}"))
    if document["images"] and not records:
        looked = ", ".join(str(folder) for folder in folders[:4])
        raise DataError(
            "YG305", "none of the listed images exists", where=str(path), fix=f"looked in {looked}"
        )
    return tuple(records)


def _image_folders(path: Path, root: Path) -> list[Path]:
    split = split_name(path)
    word = path.stem.removeprefix("instances_")
    tails = ("", word, split, f"images/{word}", f"images/{split}", "images")
    folders = [path.parent, *(root / tail for tail in tails), path.parent / "images"]
    return list(dict.fromkeys(folders))


def _locate(name: str, folders: list[Path], files: Folders) -> Path | None:
    if not name:
        return None
    for written in dict.fromkeys((name, name.replace("\\", "/"))):
        for position, folder in enumerate(folders):
            candidate = files.find(folder / written)
            if candidate is not None:
                # The folder that held one image is asked first for the next.
                folders.insert(0, folders.pop(position))
                return candidate
    return None


def _stated_size(image: dict[str, Any]) -> tuple[int, int] | None:
    try:
        return int(image["height"]), int(image["width"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _named(value: object) -> str:
    return value if isinstance(value, str) else in_short(value)


def _whole(value: object) -> int | None:
    """The integer that a number, or text such as "1", stands for."""
    if not _plain(value):
        return None
    try:
        number = int(value)  # pyright: ignore[reportArgumentType]
    except (ValueError, OverflowError):
        return None
    return number if isinstance(value, str) or number == value else None


def _row(
    item: dict[str, Any], ids: dict[int, int], names: tuple[str, ...], *, file: str, found: list[Finding]
) -> Row:
    category, bbox, area = (item.get(key) for key in ("category_id", "bbox", "area"))
    number = _whole(category)
    label = -1 if number is None else ids.get(number, -1)
    name = names[label] if label >= 0 else _named(category)
    crowd = bool(_whole(item.get("iscrowd")))
    try:
        # A text of four digits would be read digit by digit.
        x, y, width, height = (float(value) for value in (bbox if isinstance(bbox, list) else ()))
    except (TypeError, ValueError, OverflowError):
        message = f"annotation {item.get('id')} without a readable bbox: {in_short(bbox)}"
        found.append(finding("YG310", file, 0, message))
        return Row(None, label, name)
    try:
        own = float(area) if isinstance(area, int | float) else math.nan
    except OverflowError:
        own = math.nan
    own = own if math.isfinite(own) else None
    return Row((x, y, x + width, y + height), label, name, crowd=crowd, area=own)
