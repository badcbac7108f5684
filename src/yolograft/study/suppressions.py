"""One detector's candidates under several ways of suppression, judged against the first over the images.

The candidates of an image are computed once and every method is applied to them. Where several input sizes or
calibrated levels are asked for, each method is applied to the plain candidates and to those.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.data.eval_stream import EvalStream
from yolograft.data.records import Dataset, ImageRecord
from yolograft.engine.calibrate import calibrated, fitting_images, level_offsets
from yolograft.engine.candidates import Scene, merged, on_cpu, scenes
from yolograft.engine.evaluate import EvalSettings, evaluate
from yolograft.errors import SpecError
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.influence import grouped, influence
from yolograft.metrics.matches import build_match_table
from yolograft.models.detector import Detector
from yolograft.ops.nms import empty_detections, suppress
from yolograft.ops.suppression.table import Suppression
from yolograft.study.scores import score_table
from yolograft.study.statistics.same_weights import difference_over_images
from yolograft.types import Detections

# What is compared, and the IoU its influences are taken at.
JUDGED: Mapping[str, float | None] = {"ap": None, "ap50": 0.5}


@dataclass(frozen=True)
class Asked:
    """What to compare: the methods, the first of which is the base.

    sizes: input sizes (H, W) whose candidates are merged; none for the plain size alone. calibrate: split the
    levels' offsets are fitted on; None for none.
    """

    methods: tuple[Suppression, ...]
    sizes: tuple[tuple[int, int], ...] = ()
    calibrate: str | None = None
    settings: EvalSettings = field(default_factory=EvalSettings)

    @property
    def several(self) -> bool:
        """Whether there is anything to compare."""
        return bool(len(self.methods) > 1 or self.sizes or self.calibrate is not None)

    @property
    def named(self) -> str:
        """The method where it is one and not the standard one; the rows of a comparison name theirs."""
        return "" if self.several or self.methods == (Suppression(),) else self.methods[0].text()


@dataclass(frozen=True)
class Subject:
    """What is measured: a detector on a split of a dataset, (height, width) `imgsz` input pixels.

    groups: of every image of the split, where groups of images are what is drawn.
    """

    detector: Detector
    dataset: Dataset
    split: str
    imgsz: tuple[int, int]
    batch: int = 16
    groups: Sequence[int] | None = None

    @property
    def fingerprint(self) -> str:
        """Of the split."""
        return self.dataset.fingerprint(self.split)


@dataclass(frozen=True)
class _Row:
    """One way, and what came of it. milliseconds: of suppression, on the CPU, of the median image."""

    about: dict[str, Any]
    found: list[Detections]
    milliseconds: float


def compare_suppressions(subject: Subject, asked: Asked) -> dict[str, Any]:
    """The scores of every way in points and its difference to the first, as JSON values.

    ``rows``: nms, sizes, calibrated, the scores of `score_table`, ``ms`` and, but for the first,
    ``difference`` by metric: delta, low, high (null where unknown) at ``level``, all of which hold together
    at 95 %. ``groups``: how many, null where images count as independent. ``offsets``: of the levels, in
    logits.

    Raises:
        SpecError: levels would be calibrated on the split that is evaluated (YG374); a method takes predicted
            density and there is none (YG370).
        DataError: there is no such split (YG304), or a size the detector cannot take (YG331).
    """
    dataset, imgsz = subject.dataset, subject.imgsz
    if asked.calibrate is not None and dataset.fingerprint(asked.calibrate) == subject.fingerprint:
        cause = f"levels cannot be calibrated on '{asked.calibrate}': it is the split that is evaluated"
        raise SpecError("YG374", cause, fix="--calibrate-levels train")
    records = dataset.split(subject.split)

    def offered(of: Sequence[ImageRecord], sizes: Sequence[tuple[int, int]]) -> Iterator[Scene]:
        # Several passes over the same files: kept in memory once each, they would all be at hand at once.
        streams = [_stream(subject, of, size, cache="none") for size in sizes]
        confidence = asked.settings.confidence
        passes = [scenes(subject.detector, stream, confidence=confidence) for stream in streams]
        return merged(passes) if len(passes) > 1 else passes[0]

    rows = _applied(
        offered(records, (imgsz,)), asked, len(records), {"sizes": [list(imgsz)], "calibrated": False}
    )
    offsets: tuple[float, ...] = ()
    if asked.sizes or asked.calibrate is not None:
        sizes = asked.sizes or (imgsz,)
        pool: Iterable[Scene] = offered(records, sizes)
        if asked.calibrate is not None:
            fitted = fitting_images(dataset.split(asked.calibrate))
            offsets = level_offsets(offered(fitted, sizes), fitted)
            pool = (calibrated(scene, offsets) for scene in pool)
        about = {"sizes": [list(s) for s in sizes], "calibrated": asked.calibrate is not None}
        rows += _applied(pool, asked, len(records), about)
    groups = subject.groups
    about = {"images": len(records), "groups": None if groups is None else len(set(groups))}
    judged = _judged(rows, records, dataset.names, subject.fingerprint, groups)
    return {**about, **judged, "offsets": list(offsets)}


def scores_as_asked(subject: Subject, asked: Asked) -> dict[str, Any]:
    """`compare_suppressions` where several ways are asked for, else the `score_table` of the one."""
    if asked.several:
        return compare_suppressions(subject, asked)
    stream = _stream(subject, subject.dataset.split(subject.split), subject.imgsz)
    how = replace(asked.settings, nms=asked.methods[0].text())
    table = evaluate(subject.detector, stream, fingerprint=subject.fingerprint, settings=how)
    return score_table(stream.records, table, subject.dataset.names)


def _stream(
    subject: Subject, records: Sequence[ImageRecord], size: tuple[int, int], *, cache: str = "ram"
) -> EvalStream:
    return EvalStream(records, imgsz=size, batch=subject.batch, stride=subject.detector.stride, cache=cache)


def _applied(pool: Iterable[Scene], asked: Asked, images: int, about: Mapping[str, Any]) -> list[_Row]:
    """Every method on the same candidates, image by image."""
    how = asked.settings
    found = [[empty_detections() for _ in range(images)] for _ in asked.methods]
    seconds: list[list[float]] = [[] for _ in asked.methods]
    for scene in pool:
        offer = on_cpu(scene.found)
        for place, method in enumerate(asked.methods):
            began = time.perf_counter()
            kept = suppress(offer, method=method, confidence=how.confidence, iou=how.iou, limit=how.limit)
            seconds[place].append(time.perf_counter() - began)
            found[place][scene.image] = kept._replace(boxes=scene.to_original(kept.boxes))
    return [
        _Row({"nms": method.text(), **about}, found[place], 1e3 * float(np.median(seconds[place] or [0.0])))
        for place, method in enumerate(asked.methods)
    ]


def _judged(
    rows: Sequence[_Row],
    records: Sequence[ImageRecord],
    names: Sequence[str],
    fingerprint: str,
    groups: Sequence[int] | None,
) -> dict[str, Any]:
    """The rows with their scores, and each one's differences to the first."""
    told: list[dict[str, Any]] = []
    psi: list[dict[str, NDArray[np.float64]]] = []
    for row in rows:
        table = DetectionTable.from_lists(row.found, settings=row.about, fingerprint=fingerprint)
        matches = build_match_table(records, table, len(names))
        scores = score_table(records, table, names, matches=matches)
        told.append({**row.about, **scores, "ms": round(row.milliseconds, 3)})
        own = {key: 100 * influence(matches, iou=iou) for key, iou in JUDGED.items()}
        psi.append(own if groups is None else {key: grouped(one, groups) for key, one in own.items()})
    others = max(len(rows) - 1, 1) * len(JUDGED)
    for row, mine in zip(told[1:], psi[1:], strict=True):
        row["difference"] = {
            key: _difference(told[0][key], row[key], psi[0][key], mine[key], others) for key in JUDGED
        }
    return {"level": 1 - 0.05 / others, "rows": told}


def _difference(
    base: float | None,
    new: float | None,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    others: int,
) -> dict[str, float | None] | None:
    if base is None or new is None:
        return None
    found = difference_over_images(before, after, delta=new - base, comparisons=others)
    return {
        key: value if math.isfinite(value) else None
        for key, value in (("delta", found.delta), ("low", found.low), ("high", found.high))
    }
