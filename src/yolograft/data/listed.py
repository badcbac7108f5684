"""A split of one's own: a folder with `split.json` that names a dataset and which image is in which split.

    {"yolograft": "split", "source": "/data/cells", "splits": {"train": ["a.jpg", ...], "val": [...]}}

Boxes, classes and ids stay those of the source, whatever its format. `train.txt` and `val.txt` beside it
list the same images for other programs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from yolograft.data.findings import finding
from yolograft.data.paths import is_file, is_folder
from yolograft.data.pooled import pooled
from yolograft.data.records import Dataset, Finding, ImageRecord
from yolograft.data.text import read_head, read_json
from yolograft.errors import DataError

SPLIT_FILE = "split.json"
_KIND = "yolograft"
_MARK = b'"yolograft": "split"'


def split_file(path: Path) -> Path | None:
    """The `split.json` that `path`, a folder or a file, stands for, or None."""
    candidate = path / SPLIT_FILE if is_folder(path) else path
    if candidate.name != SPLIT_FILE or not is_file(candidate):
        return None
    return candidate if _MARK in read_head(candidate, 400) else None


def source_of(path: str | Path) -> str:
    """What a dataset path stands for in the end: the source of a split, else the path itself, absolute.

    Raises:
        DataError: YG308 when the split file is damaged.
    """
    if str(path) == "shapes":
        return "shapes"
    place = Path(path).expanduser().resolve()
    listed = split_file(place)
    return str(_load(listed)["source"]) if listed else str(place)


def split_document(source: str, splits: Mapping[str, Sequence[ImageRecord]]) -> str:
    """The text of a `split.json`."""
    ids = {name: [record.image_id for record in records] for name, records in splits.items()}
    document = {_KIND: "split", "source": source, "splits": ids}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def read_listed(path: Path, *, opener: Callable[[str], Dataset]) -> Dataset:
    """Read the source of a `split.json` and deal its images into the splits listed there.

    Args:
        opener: what opens the source, `open_dataset`.

    Raises:
        DataError: YG308 when the file is damaged, its source is a split itself or annotates an image
            differently in two splits, YG301 when the source is gone, YG302 when none of its images is left.
    """
    document = _load(path)
    source = str(document["source"])
    if source != "shapes":
        if split_file(Path(source)) is not None:
            raise DataError("YG308", "the source is a split itself", where=str(path), fix="split its source")
        if not Path(source).exists():
            fix = "put it back, or write the split again with `yolograft data split`"
            raise DataError("YG301", f"the dataset {source} is not there any more", where=str(path), fix=fix)
    dataset = opener(source)
    known = pooled(dataset.splits, root=dataset.root)
    splits: dict[str, tuple[ImageRecord, ...]] = {}
    missing: list[Finding] = []
    for name, ids in document["splits"].items():
        here = dict.fromkeys(ids)
        splits[name] = tuple(known[image_id] for image_id in here if image_id in known)
        text = f"listed in {name}, not in the dataset"
        missing += [finding("YG317", image_id, 0, text) for image_id in here if image_id not in known]
    if not any(splits.values()):
        raise DataError("YG302", "none of the listed images is in the dataset", where=str(path))
    return dataclasses.replace(dataset, splits=splits, findings=(*dataset.findings, *missing))


def _load(path: Path) -> dict[str, Any]:
    document = read_json(path)
    splits = document.get("splits") if isinstance(document, dict) else None
    lists = list(splits.values()) if isinstance(splits, dict) else [None]
    sound = all(isinstance(ids, list) and all(isinstance(i, str) for i in ids) for ids in lists)
    if not sound or not isinstance(document.get("source"), str):
        cause = "no split file: it needs `source` and `splits` with lists of image ids"
        raise DataError("YG308", cause, where=str(path), fix="write it again with `yolograft data split`")
    return document
