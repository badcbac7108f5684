"""A copy of a dataset in which a stated share of the training boxes is wrong: a defect planted on purpose.

    python benchmarks/label_noise.py DATA OUT [--drop 0.1] [--relabel 0.1] [--shift 0.2] [--by 0.3] [--seed 0]

Every split but train is written as it was, in the dataset's own format, so its ground truth is the same to
the last bit and detectors trained on either copy are judged on one split. Which boxes are hit follows from
the seed alone, and a larger share hits the boxes of a smaller one and more. The dataset is only read.
Prints one JSON document. Shares are of the boxes that count; ignore regions are left alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.data.convert import FORMATS, convert
from yolograft.data.records import Dataset, ImageRecord
from yolograft.data.source import open_dataset
from yolograft.errors import YolograftError
from yolograft.rng import stream

DROP, RELABEL, SHIFT, KEEP = "drop", "relabel", "shift", "keep"
WAY = 0.3  # sides of the box
LEAST_SIDE = 1.0  # pixels of a shifted box that must stay inside its image


@dataclass(frozen=True, slots=True)
class Noise:
    """Shares of boxes that are dropped, relabelled and shifted; by: the way in sides of the box; seed."""

    drop: float = 0.0
    relabel: float = 0.0
    shift: float = 0.0
    by: float = WAY
    seed: int = 0

    def __post_init__(self) -> None:
        shares = (self.drop, self.relabel, self.shift)
        if not all(0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ValueError("shares lie from 0 to 1, and so does their sum")
        if not 0 < self.by <= 1:
            raise ValueError("--by lies above 0 and up to 1")

    def counts(self, boxes: int) -> dict[str, int]:
        """How many of so many boxes meet each fate; never more than there are."""
        ends = np.rint(np.cumsum((self.drop, self.relabel, self.shift)) * boxes).astype(int).clip(0, boxes)
        return dict(zip((DROP, RELABEL, SHIFT), np.diff(ends, prepend=0).tolist(), strict=True))


def disturbed(
    records: Sequence[ImageRecord], noise: Noise, *, classes: int
) -> tuple[list[ImageRecord], dict[str, int]]:
    """The records with the noise in them, and how many boxes met each fate.

    Raises:
        ValueError: boxes are to be relabelled and there is one class.
    """
    if noise.relabel and classes < 2:
        raise ValueError("one class: no box can be relabelled")
    draws = [stream(noise.seed, "label noise", record.image_id) for record in records]
    # The draws that rank a box come first, so that its fate does not depend on what becomes of others.
    ranks = [draw.random(len(record.boxes)) for draw, record in zip(draws, records, strict=True)]
    usable = [~record.crowd for record in records]
    chances = np.concatenate([np.empty(0), *(rank[use] for rank, use in zip(ranks, usable, strict=True))])
    counts = noise.counts(len(chances))
    fates = np.full(len(chances), KEEP, dtype="<U8")
    fates[np.argsort(chances, kind="stable")[: sum(counts.values())]] = np.repeat(
        list(counts), list(counts.values())
    )
    parts = np.split(fates, np.cumsum([use.sum() for use in usable])[:-1]) if records else []
    done = [
        _disturbed(record, part, draw, noise.by, classes)
        for record, part, draw in zip(records, parts, draws, strict=True)
    ]
    return done, {**counts, KEEP: int((fates == KEEP).sum())}


def _disturbed(
    record: ImageRecord, fates: NDArray[np.str_], draw: np.random.Generator, by: float, classes: int
) -> ImageRecord:
    fate = np.full(len(record.boxes), KEEP, dtype="<U8")
    fate[~record.crowd] = fates
    others = draw.integers(1, max(classes, 2), len(fate))
    angle = draw.uniform(0, 2 * np.pi, len(fate))
    labels = np.where(fate == RELABEL, (record.labels + others) % classes, record.labels)
    sides = record.boxes[:, 2:] - record.boxes[:, :2]
    way = by * sides * np.stack((np.cos(angle), np.sin(angle)), axis=1) * (fate == SHIFT)[:, None]
    size = np.array([record.width, record.height], dtype=np.float64)
    # A box at the edge that would leave the image goes the other way.
    low, high = record.boxes[:, :2] + way, record.boxes[:, 2:] + way
    way = np.where((high < LEAST_SIDE) | (low > size - LEAST_SIDE), -way, way)
    moved = np.clip(record.boxes + np.tile(way, 2), 0, np.tile(size, 2))
    # What did not move keeps every bit of its edges and its own area.
    boxes = np.where((fate == SHIFT)[:, None], moved, record.boxes)
    new_sides = boxes[:, 2:] - boxes[:, :2]
    before = np.maximum(sides.prod(axis=1), 1e-9)
    area = np.where(fate == SHIFT, record.area * new_sides.prod(axis=1) / before, record.area)
    stay = fate != DROP
    return dataclasses.replace(
        record,
        boxes=boxes[stay],
        labels=labels[stay].astype(np.int64),
        crowd=record.crowd[stay],
        area=area[stay],
        rows=int(stay.sum()),
        rows_per_class=tuple(np.bincount(labels[stay], minlength=classes).tolist()),
    )


def plant(data: str | Path, out: Path, noise: Noise) -> dict[str, Any]:
    """Write the copy; what was done, and whether every other split kept its ground truth.

    Raises:
        DataError: the dataset cannot be read, has no train, or `out` is no new folder outside it (YG353).
        ValueError: its format cannot be written, or there is one class to relabel to.
    """
    dataset = open_dataset(data)
    if dataset.format not in FORMATS:
        raise ValueError(f"{dataset.format} cannot be written; yolograft data convert it first")
    records, counts = disturbed(dataset.split("train"), noise, classes=len(dataset.names))
    noisy = dataclasses.replace(dataset, splits={**dataset.splits, "train": tuple(records)})
    written = convert(noisy, to=dataset.format, out=out, images="link")
    return {
        "data": dataset.root.name,
        "noise": dataclasses.asdict(noise),
        "boxes": counts,
        "images": written.images,
        "same ground truth": _same(dataset, open_dataset(written.folder)),
    }


def _same(clean: Dataset, noisy: Dataset) -> dict[str, bool]:
    """Split -> whether a detector of either copy may be judged on it; False where a format renames."""
    splits = [split for split in clean.splits if split != "train"]
    return {split: clean.fingerprint(split) == noisy.fingerprint(split) for split in splits}


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    for word in (DROP, RELABEL, SHIFT):
        parser.add_argument(f"--{word}", type=float, default=0.0)
    parser.add_argument("--by", type=float, default=WAY)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main() -> int:
    """Read the options, write the copy, print; 1 where an evaluation split is not what it was."""
    given = options().parse_args()
    try:
        noise = Noise(given.drop, given.relabel, given.shift, given.by, given.seed)
        document = plant(given.data, given.out, noise)
    except (ValueError, YolograftError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
    return 0 if all(document["same ground truth"].values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
