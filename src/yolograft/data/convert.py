"""Writing a dataset in another format, outside its folder, and saying what that format cannot hold."""

from __future__ import annotations

import dataclasses
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np

from yolograft.data.outside import new_folder, refuse_inside
from yolograft.data.placed import Placed, placed
from yolograft.data.pooled import pooled
from yolograft.data.records import Dataset, ImageRecord
from yolograft.data.write_coco import coco_image, write_coco
from yolograft.data.write_labelme import labelme_image, write_labelme
from yolograft.data.write_voc import voc_image, write_voc
from yolograft.data.write_yolo import write_yolo, yolo_image
from yolograft.errors import DataError

Images = Literal["copy", "link", "none"]
# Labels with a meaning of their own in labelme.
LABELME_MARKS = frozenset({"__ignore__", "_background_"})
SPLITS = ("train", "val", "valid", "test")


class Format(NamedTuple):
    """One format: how it is written and what it can say.

    write: the labels of all splits. image: where an image lies. crowd_and_area: whether it marks ignore
    regions and keeps an annotation's own area. class_list: whether classes without a box are kept.
    by_split: whether an image of two splits has annotations in each.
    """

    write: Callable[..., None]
    image: Callable[[str, str], PurePosixPath]
    crowd_and_area: bool
    class_list: bool
    by_split: bool = True


FORMATS: dict[str, Format] = {
    "yolo": Format(write_yolo, yolo_image, crowd_and_area=False, class_list=True),
    "coco": Format(write_coco, coco_image, crowd_and_area=True, class_list=True),
    "voc": Format(write_voc, voc_image, crowd_and_area=False, class_list=False, by_split=False),
    "labelme": Format(write_labelme, labelme_image, crowd_and_area=False, class_list=True),
}


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written: the folder, images and boxes per split, and sentences on what is different there."""

    folder: Path
    images: dict[str, int]
    boxes: dict[str, int]
    notes: tuple[str, ...]


def convert(dataset: Dataset, *, to: str, out: Path, images: Images = "copy") -> Converted:
    """Write the usable boxes of a dataset into a new folder; the dataset itself is only read.

    Read again, the boxes are the same to 10^-6 pixels (YOLO), to the last bit of an edge (COCO) or bit for
    bit (VOC, labelme), in the same splits. Images are copied byte for byte.

    Args:
        to: ``yolo``, ``coco``, ``voc`` or ``labelme``.
        out: a folder that is not there yet, or empty.
        images: ``copy``; ``link`` makes hard links, where the file system can; ``none`` writes labels only.

    Raises:
        DataError: YG353 when `out` lies inside the dataset or holds something, YG354 for an unknown
            format, YG355 for a split or class name the format cannot hold, YG308 for an image with other
            boxes in another split where the format has one place for both (VOC).
    """
    if to not in FORMATS:
        raise DataError("YG354", f"no format '{to}'", fix=f"one of {', '.join(FORMATS)}")
    form = FORMATS[to]
    place = refuse_inside(out, dataset)
    splits, notes = _renamed(dataset)
    if not form.crowd_and_area:
        notes += _losses(dataset, splits, to)
        splits = {name: [_plain(record) for record in records] for name, records in splits.items()}
    _check_names(dataset, to)
    if not form.by_split:
        pooled(splits, root=dataset.root)
    if not form.class_list:
        notes += _class_notes(dataset.names, splits, to)
    files = placed(splits)
    with new_folder(place) as draft:
        form.write(draft, files, names=dataset.names)
        if images == "none":
            notes.append(f"no image was written: each is looked for as {form.image('SPLIT', 'NAME')}")
        else:
            _place_images(draft, files, form, link=images == "link")
    return Converted(
        place,
        {name: len(records) for name, records in splits.items()},
        {name: sum(len(record.boxes) for record in records) for name, records in splits.items()},
        tuple(notes),
    )


def _renamed(dataset: Dataset) -> tuple[dict[str, list[ImageRecord]], list[str]]:
    """The splits under names every format has, and what was renamed."""
    splits: dict[str, list[ImageRecord]] = {}
    notes: list[str] = []
    for name, records in dataset.splits.items():
        alone = len(dataset.splits) == 1 and name not in (*SPLITS, "validation")
        new = "train" if alone else {"validation": "val"}.get(name, name)
        if new not in SPLITS or new in splits:
            cause = f"split '{name}' has no place beside {', '.join(n for n in dataset.splits if n != name)}"
            raise DataError("YG355", cause, where=str(dataset.root), fix="make it train, val or test first")
        if new != name:
            notes.append(f"split '{name}' is called {new} there")
        splits[new] = list(records)
    return splits, notes


def _plain(record: ImageRecord) -> ImageRecord:
    """The record without its ignore regions."""
    real = ~record.crowd
    fields = {name: getattr(record, name)[real] for name in ("boxes", "labels", "crowd", "area")}
    return dataclasses.replace(record, **fields)


def _losses(dataset: Dataset, splits: Mapping[str, Sequence[ImageRecord]], to: str) -> list[str]:
    crowds: Counter[str] = Counter()
    areas = 0
    for records in splits.values():
        for record in records:
            crowds.update(dataset.names[label] for label in record.labels[record.crowd].tolist())
            sizes = (record.boxes[:, 2:] - record.boxes[:, :2]).prod(axis=1)
            areas += int((~np.isclose(record.area, sizes) & ~record.crowd).sum())
    notes: list[str] = []
    if crowds:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(crowds.items()))
        notes.append(f"{crowds.total()} crowd boxes left out, {to} has no mark for them: {counts}")
    if areas:
        notes.append(f"the areas of {areas} objects become box areas, {to} keeps none: AP_S/M/L will differ")
    return notes


def _class_notes(names: Sequence[str], splits: Mapping[str, Sequence[ImageRecord]], to: str) -> list[str]:
    """What becomes of the class list where a format has none and a reader sees what has boxes."""
    order = [split for split in SPLITS if split in splits]
    seen = {int(label) for split in order for record in splits[split] for label in record.labels}
    unused = [name for label, name in enumerate(names) if label not in seen]
    notes = [f"{to} keeps no class list: classes are numbered anew when it is read"]
    if unused:
        notes.append(f"{len(unused)} classes without a box are not in it: {', '.join(unused)}")
    return notes


def _check_names(dataset: Dataset, to: str) -> None:
    for name in dataset.names:
        strange = any(unicodedata.category(letter) in ("Cc", "Cs", "Cn") for letter in name)
        if (strange and to != "coco") or (to == "labelme" and name in LABELME_MARKS):
            cause = f"class name {name!r} cannot be written as {to}"
            raise DataError("YG355", cause, where=str(dataset.root), fix="rename the class, or --to coco")


def _place_images(folder: Path, files: Mapping[str, Sequence[Placed]], form: Format, *, link: bool) -> None:
    for split, images in files.items():
        for image in images:
            target = folder / form.image(split, image.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                continue
            if link:
                try:
                    # The file itself: a second name of a symbolic link would lead nowhere from there.
                    os.link(image.record.path.resolve(), target)
                except OSError:
                    # Another file system, or one without hard links.
                    shutil.copyfile(image.record.path, target)
            else:
                shutil.copyfile(image.record.path, target)
