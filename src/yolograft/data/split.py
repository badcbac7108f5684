"""Dealing the images of a dataset into train, val and test, and writing the lists outside it.

All images of the dataset are pooled. Images that belong together (a group by name, near-duplicates) are
dealt together, and every class is shared out in nearly the asked proportion: groups with the rarest class
first, each to the split that lacks most of what the group holds. After Sechidis, Tsoumakas, Vlahavas 2011,
"On the Stratification of Multi-Label Data" (doi 10.1007/978-3-642-23808-6_10), with groups in place of
single images and boxes in place of labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.data.duplicates import duplicate_groups
from yolograft.data.listed import SPLIT_FILE, split_document
from yolograft.data.outside import new_folder, refuse_inside
from yolograft.data.pooled import pooled
from yolograft.data.records import Dataset, ImageRecord
from yolograft.data.write_yolo import yaml_text
from yolograft.errors import DataError
from yolograft.rng import stream


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Which image goes where.

    splits: train, val and test (where asked for), ids ascending. groups: number of groups dealt.
    unmatched: images whose id the expression did not match. similar: images dealt together with a
    near-duplicate of theirs.
    """

    splits: dict[str, tuple[ImageRecord, ...]]
    groups: int
    unmatched: int
    similar: int


def plan_split(
    dataset: Dataset,
    *,
    val: float,
    test: float = 0.0,
    group_by: str | None = None,
    seed: int = 0,
    duplicates: bool = True,
) -> SplitPlan:
    """Deal all images of a dataset. The same arguments give the same splits.

    Args:
        val, test: fractions of the whole; the rest is train. 0 makes no such split (`val` must be above 0).
        group_by: regular expression searched in the image id; images with one first capture group (the
            whole match where it has none) stay together.
        duplicates: keep near-duplicate images together; reads every image.

    Raises:
        DataError: YG351 for fractions that leave no train or fewer groups than splits, YG352 for an
            expression that is broken or matches no image, YG308 for an image with other boxes in
            another split.
    """
    fractions = {"train": 1.0 - val - test, "val": val, "test": test}
    if not (0 < val < 1 and 0 <= test < 1 and fractions["train"] > 1e-9):
        cause = f"val {val:g} and test {test:g} do not leave a train split"
        raise DataError("YG351", cause, fix="fractions such as --val .2 --test .1")
    fractions = {name: share for name, share in fractions.items() if share > 0}
    pool = pooled(dataset.splits, root=dataset.root)
    records = [pool[image_id] for image_id in sorted(pool)]
    keys, unmatched = _keys(records, group_by)
    twins = duplicate_groups(records) if duplicates else list(range(len(records)))
    groups = _joined(keys, twins)
    if len(groups) < len(fractions):
        cause = f"{len(groups)} groups of images cannot fill {len(fractions)} splits"
        fix = "a narrower --group-by, or --no-duplicates" if group_by or duplicates else ""
        raise DataError("YG351", cause, where=str(dataset.root), fix=fix)
    chosen = _dealt(records, groups, classes=len(dataset.names), fractions=fractions, seed=seed)
    splits = {
        name: tuple(records[i] for g, s in zip(groups, chosen, strict=True) if s == position for i in g)
        for position, name in enumerate(fractions)
    }
    splits = {name: tuple(sorted(members, key=lambda r: r.image_id)) for name, members in splits.items()}
    alike = np.bincount(twins)[twins] > 1
    return SplitPlan(splits, len(groups), unmatched, int(alike.sum()))


def split_counts(dataset: Dataset, plan: SplitPlan) -> dict[str, dict[str, Any]]:
    """Images, boxes and boxes per class of each split, ready for JSON."""
    answer: dict[str, dict[str, Any]] = {}
    for name, records in plan.splits.items():
        counts = sum((_class_counts(r, len(dataset.names)) for r in records), np.zeros(len(dataset.names)))
        answer[name] = {
            "images": len(records),
            "boxes": sum(len(record.boxes) for record in records),
            "boxes_per_class": dict(zip(dataset.names, counts.astype(int).tolist(), strict=True)),
        }
    return answer


def write_split(dataset: Dataset, plan: SplitPlan, *, source: str, out: Path) -> Path:
    """Write `split.json` and a list of absolute image paths per split into a new folder.

    A dataset of YOLO labels also gets a data.yaml, which any YOLO trainer reads. Both name the same images.

    Args:
        source: what `open_dataset` opens: an absolute path or ``shapes``.

    Raises:
        DataError: YG353 when `out` lies inside the dataset or is not empty.
    """
    place = refuse_inside(out, dataset)
    with new_folder(place) as draft:
        for name, records in plan.splits.items():
            lines = "".join(f"{record.path}\n" for record in records)
            # Other programs open what stands there: bytes of a name that are not UTF-8 stay what they are.
            (draft / f"{name}.txt").write_text(lines, encoding="utf-8", errors="surrogateescape")
        if dataset.format == "yolo":
            entries = {name: str(place / f"{name}.txt") for name in plan.splits}
            (draft / "data.yaml").write_text(yaml_text(entries, dataset.names), encoding="utf-8")
        # In JSON the same bytes are written as escapes, which every reader understands.
        document = split_document(source, plan.splits)
        (draft / SPLIT_FILE).write_text(document, encoding="utf-8", errors="backslashreplace")
    return place


def _keys(records: Sequence[ImageRecord], group_by: str | None) -> tuple[list[str | None], int]:
    """The group key of each image, None for one that stands alone, and how many did not match."""
    if group_by is None:
        return [None] * len(records), 0
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise DataError("YG352", f"--group-by {group_by}: {error}", fix="a regular expression") from None
    found = [pattern.search(record.image_id) for record in records]
    keys = [None if m is None else (m.group(1) if pattern.groups else m.group(0)) for m in found]
    if records and not any(keys):
        first = records[0].image_id
        cause = f"--group-by {group_by} matches no image id; the first id is {first}"
        raise DataError("YG352", cause, fix="ids are paths relative to the dataset")
    # An empty match groups nothing: it would put half the dataset into one group unasked.
    keys = [key or None for key in keys]
    return keys, sum(key is None for key in keys)


def _joined(keys: Sequence[str | None], twins: Sequence[int]) -> list[list[int]]:
    """The groups that either relation connects, each ascending, by their first member."""
    neighbours: dict[tuple[str, str | int], list[int]] = {}
    for index, (key, twin) in enumerate(zip(keys, twins, strict=True)):
        neighbours.setdefault(("twin", twin), []).append(index)
        if key is not None:
            neighbours.setdefault(("key", key), []).append(index)
    groups: list[list[int]] = []
    seen: set[int] = set()
    for index in range(len(keys)):
        if index in seen:
            continue
        seen.add(index)
        group, waiting = [], [index]
        while waiting:
            member = waiting.pop()
            group.append(member)
            links = [("twin", twins[member]), ("key", keys[member])]
            for link in links:
                # Taken out once walked, so that a large group is walked once.
                for other in neighbours.pop(link, []):  # pyright: ignore[reportArgumentType]
                    if other not in seen:
                        seen.add(other)
                        waiting.append(other)
        groups.append(sorted(group))
    return groups


def _class_counts(record: ImageRecord, classes: int) -> NDArray[np.int64]:
    return np.bincount(record.labels[~record.crowd], minlength=classes)


def _dealt(
    records: Sequence[ImageRecord],
    groups: Sequence[Sequence[int]],
    *,
    classes: int,
    fractions: dict[str, float],
    seed: int,
) -> list[int]:
    """The split (position in `fractions`) of each group."""
    per_image = np.array([[*_class_counts(r, classes), 1] for r in records], np.float64)
    held = np.array([per_image[list(group)].sum(axis=0) for group in groups])
    totals = held.sum(axis=0)
    target = np.array(list(fractions.values()))[:, None] * totals
    # Images count as one more class, so that the sizes come out as well.
    rarest = np.where(held > 0, totals, np.inf).min(axis=1)
    shuffled = stream(seed, "split").permutation(len(groups))
    order = sorted(shuffled.tolist(), key=lambda g: (rarest[g], -held[g].sum()))
    filled = np.zeros_like(target)
    chosen = [0] * len(groups)
    for place, group in enumerate(order):
        share = held[group] / np.maximum(totals, 1)
        lack = (target - filled) / np.maximum(target, 1e-12)
        need = np.where(held[group] > 0, share * lack, 0).sum(axis=1)
        empty = np.flatnonzero(filled[:, -1] == 0)
        # The last groups go to splits that are still empty: asked for means not empty.
        among = empty if len(order) - place <= len(empty) else np.arange(len(target))
        chosen[group] = int(among[np.argmax(need[among])])
        filled[chosen[group]] += held[group]
    return chosen
