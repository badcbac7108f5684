"""A few images of the evaluation split with what every arm found on them, for the report's gallery."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from yolograft.data.images import decode_file
from yolograft.data.records import Dataset
from yolograft.engine.arm import DONE
from yolograft.engine.runfolder import arm_folder
from yolograft.metrics.detections import DetectionTable
from yolograft.study.gallery import Sample
from yolograft.study.scores import DETECTIONS

SAMPLES = 4


def gallery(run: Path, results: Mapping[str, Any], dataset: Dataset) -> tuple[Sample, ...]:
    """Images evenly spaced over the split, chosen without looking at results; first finished seed per arm."""
    records = dataset.split(results["data"]["eval"]["split"])
    tables = {arm["label"]: _first_table(run, arm) for arm in results["arms"]}
    count = min(SAMPLES, len(records))
    picked = sorted({round((i + 0.5) * len(records) / count - 0.5) for i in range(count)}) if count else []
    return tuple(
        Sample(
            image=decode_file(records[index].path),
            image_id=records[index].image_id,
            names=dataset.names,
            boxes=records[index].boxes,
            labels=records[index].labels,
            predictions={label: _found(table, index) for label, table in tables.items() if table is not None},
        )
        for index in picked
    )


def _first_table(run: Path, arm: Mapping[str, Any]) -> DetectionTable | None:
    for item in arm["runs"]:
        if item["status"] == DONE:
            return DetectionTable.load(arm_folder(run, arm["label"], item["seed"]) / DETECTIONS)
    return None


def _found(table: DetectionTable, index: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    rows = table.image == index
    return table.boxes[rows], table.label[rows], table.score[rows]
