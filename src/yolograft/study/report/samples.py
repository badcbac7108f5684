"""A few images of the evaluation split with what every arm found on them, for the report's gallery."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.data.images import decode_file
from yolograft.data.records import Dataset
from yolograft.engine.arm import DONE
from yolograft.engine.runfolder import arm_folder
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.matches import MatchTable, area_index, iou_index
from yolograft.study.holes import number, rows, table, whole, words_of
from yolograft.study.records.studyrecord import MATCHES
from yolograft.study.report.gallery import MATCH_IOU, SCORE, Disagreement, Sample
from yolograft.study.scores import DETECTIONS

SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Found:
    """What the first finished seed of one arm found, and from which score on it is drawn."""

    label: str
    baseline: bool
    table: DetectionTable
    matches: MatchTable
    threshold: float
    model: str = ""


def gallery(run: Path, results: Mapping[str, Any], dataset: Dataset) -> tuple[Sample, ...]:
    """Images evenly spaced over the split, chosen without looking at results, then the largest win and loss.

    Every arm is shown by its first finished seed at the confidence of that run's best F1.
    """
    records = dataset.split(results["data"]["eval"]["split"])
    arms = [found for arm in results["arms"] if (found := _first(run, arm)) is not None]
    picked = _picked(arms, len(records), SAMPLES, results)
    return tuple(
        Sample(
            image=decode_file(records[index].path),
            image_id=records[index].image_id,
            names=dataset.names,
            boxes=records[index].boxes[~records[index].crowd],
            labels=records[index].labels[~records[index].crowd],
            predictions={arm.label: _on_image(arm.table, index) for arm in arms},
            thresholds={arm.label: arm.threshold for arm in arms},
            chosen=chosen,
        )
        for index, chosen in picked.items()
    )


def chosen_images(
    run: Path, results: Mapping[str, Any], dataset: Dataset, count: int = SAMPLES
) -> tuple[int, ...]:
    """Positions of the gallery's images in the split: ``count`` evenly spaced, then a win and a loss."""
    arms = [found for arm in results["arms"] if (found := _first(run, arm)) is not None]
    return tuple(_picked(arms, len(dataset.split(results["data"]["eval"]["split"])), count, results))


def _picked(
    arms: Sequence[Found], images: int, count: int, results: Mapping[str, Any]
) -> dict[int, Disagreement | None]:
    count = min(count, images)
    even = sorted({round((i + 0.5) * images / count - 0.5) for i in range(count)}) if count > 0 else []
    picked: dict[int, Disagreement | None] = dict.fromkeys(even)
    shown = {arm.label for arm in arms}
    by_gain = chosen_by_gain(results, shown, images=images, without=even)
    return picked | (by_gain or disagreements(arms, without=even))


def chosen_by_gain(
    results: Mapping[str, Any], shown: Collection[str], *, images: int, without: Sequence[int]
) -> dict[int, Disagreement]:
    """The image on which a graft gains most AP over all seeds, and the one on which one loses most.

    A gain counts as far as the seeds agree on its sign. Controls are not asked. Empty where
    ``results["images"]`` holds none.
    """
    controls = {
        words_of(arm.get("label")) for arm in map(table, rows(results.get("arms"))) if arm.get("control")
    }
    found: dict[int, Disagreement] = {}
    for key, sign in (("best", 1), ("worst", -1)):
        offered = []
        for entry in map(table, rows(results.get("images"))):
            arm, against = words_of(entry.get("arm")), words_of(entry.get("against"))
            if arm in controls or not {arm, against} <= set(shown):
                continue
            for row in map(table, rows(entry.get(key))):
                index, gain, agree = (
                    whole(row.get("image")),
                    number(row.get("gain")),
                    number(row.get("agree")),
                )
                if index is None or gain is None or agree is None:
                    continue
                if 0 <= index < images and sign * gain > 0 and index not in {*without, *found}:
                    offered.append((sign * gain * agree, index, Disagreement(arm, 0, against, gain, agree)))
        if offered:
            _, index, chosen = max(offered, key=lambda item: item[0])
            found[index] = chosen
    return found


def disagreements(arms: Sequence[Found], *, without: Sequence[int]) -> dict[int, Disagreement]:
    """The image on which a graft saves most errors against its baseline, and the one on which one adds most.

    Errors: missed boxes and false alarms at the arms' thresholds, COCO matching at IoU .5. Of equals the
    first image and arm are taken; where nobody wins or loses there is no such image.
    """
    bases = {arm.model: arm for arm in arms if arm.baseline}
    found: dict[int, Disagreement] = {}
    grafts = [arm for arm in arms if not arm.baseline and arm.model in bases]
    if not grafts:
        return found
    saved = np.stack([errors(bases[arm.model]) - errors(arm) for arm in grafts]).astype(np.float64)
    saved[:, list(without)] = 0
    for sign in (1, -1):
        # Looked for one after the other: the image of the win is taken when the loss is chosen.
        arm, image = np.unravel_index((sign * saved).argmax(), saved.shape)
        if sign * saved[arm, image] > 0:
            found[int(image)] = Disagreement(grafts[int(arm)].label, int(saved[arm, image]))
            saved[:, image] = 0
    return found


def errors(arm: Found) -> NDArray[np.int64]:
    """Missed boxes and false alarms per image, int64 [images]."""
    matches, area, t = arm.matches, area_index("all"), iou_index(MATCH_IOU)
    shown = matches.score >= arm.threshold
    hit = matches.tp[area, :, t] & shown
    false = shown & ~matches.tp[area, :, t] & ~matches.ignored[area, :, t]
    truth = np.zeros(matches.images, dtype=np.int64)
    np.add.at(truth, matches.gt_image, matches.gt_count[:, area])
    per_image = (np.bincount(matches.image[rows], minlength=matches.images) for rows in (hit, false))
    hits, alarms = per_image
    return truth - hits + alarms


def _first(run: Path, arm: Mapping[str, Any]) -> Found | None:
    for item in arm["runs"]:
        if item["status"] == DONE:
            folder = arm_folder(run, arm["label"], item["seed"])
            return Found(
                arm["label"],
                bool(arm["baseline"]),
                DetectionTable.load(folder / DETECTIONS),
                MatchTable.load(folder / MATCHES),
                item.get("f1_confidence") or SCORE,
                arm.get("model") or "",
            )
    return None


def _on_image(table: DetectionTable, index: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    rows = table.image == index
    return table.boxes[rows], table.label[rows], table.score[rows]
