"""Gain and activation maps of a finished study, on the very images of its gallery: pictures and one JSON.

Written once, from the first finished seed of every arm; the report shows them beside the detections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolograft.data.eval_stream import EvalBatch, batch_of_image
from yolograft.data.images import Image, Letterbox, decode_file
from yolograft.data.records import Dataset
from yolograft.engine.activation import class_activation
from yolograft.engine.arm import DONE
from yolograft.engine.checkpoint import write_json
from yolograft.engine.gains import module_gains, on_picture
from yolograft.engine.heat import heat_over
from yolograft.engine.load import load_detector
from yolograft.engine.modelfolder import LAST
from yolograft.engine.runfolder import arm_folder
from yolograft.errors import DataError, MachineError, StudyError
from yolograft.graph.expr import folder_name
from yolograft.models.detector import Detector
from yolograft.study.report.gallery import SCORE
from yolograft.study.report.maps import INDEX, MAPS
from yolograft.study.report.samples import SAMPLES, chosen_images

LONGEST = 1280  # pixels, of a written picture's longer side


@dataclass(frozen=True, slots=True)
class _Seen:
    """One picture as one arm sees it."""

    pixels: Image
    batch: EvalBatch

    @property
    def box(self) -> Letterbox:
        return self.batch.letterboxes[0]


@dataclass(frozen=True, slots=True)
class Explained:
    """What was written and where, and one line where class-activation maps could not be made."""

    folder: Path
    index: dict[str, Any]
    note: str


def explain_study(
    run: Path,
    results: Mapping[str, Any],
    dataset: Dataset,
    *,
    images: int = SAMPLES,
    device: str | None = None,
    code: Sequence[str | Path] = (),
    folder: Path | None = None,
) -> Explained:
    """Write ``maps/*.png`` and ``maps/maps.json`` into the run folder, or into ``folder``.

    Args:
        results: a parsed ``results.json`` of the run. images: how many are spaced evenly over the split;
            the largest win and the largest loss come on top. code: files of the user's own classes.

    Raises:
        StudyError: no arm has a finished run (YG621).
        CheckpointError: a model folder is damaged, or a class of the user's own has no file.
    """
    arms = [(arm, run_) for arm in results["arms"] if (run_ := _first_done(arm)) is not None]
    if not arms:
        raise StudyError(
            "YG621", "no finished run to look into", where=str(run), fix="finish the study first"
        )
    out = folder or run / MAPS
    out.mkdir(parents=True, exist_ok=True)
    records = dataset.split(results["data"]["eval"]["split"])
    wanted = chosen_images(run, results, dataset, images)
    shown: dict[int, list[dict[str, Any]]] = {index: [] for index in wanted}
    note = ""
    for arm, found in arms:
        place = arm_folder(run, arm["label"], found["seed"]) / LAST
        detector, stored = load_detector(place, device=device, code=code)
        for number, index in enumerate(wanted):
            pixels = decode_file(records[index].path)
            batch = batch_of_image(pixels, imgsz=stored.imgsz, stride=detector.stride)
            writer = _Writer(out, f"{number:02d}-{folder_name(arm['label'])}")
            panels, said = _panels(detector, _Seen(pixels, batch), writer, _threshold(found))
            shown[index].append({"arm": arm["label"], "seed": found["seed"], "panels": panels})
            note = note or said
    index_json = {
        "format": 1,
        "split": results["data"]["eval"]["split"],
        "images": [{"image_id": records[i].image_id, "arms": rows} for i, rows in shown.items()],
    }
    write_json(out / INDEX, index_json)
    return Explained(out, index_json, note)


def _panels(
    detector: Detector, seen: _Seen, writer: _Writer, confidence: float
) -> tuple[list[dict[str, Any]], str]:
    """The panels of one arm on one image, and why there is no activation map, if there is none."""
    panels, note = [], ""
    try:
        activation = on_picture(class_activation(detector, seen.batch, confidence=confidence), seen.box)
        panels.append(writer.panel(seen.pixels, activation, 0.0, 1.0, kind="activation", layer=""))
    except MachineError as error:
        note = error.line()
    for gain in module_gains(detector, seen.batch):
        low, high = float(gain.values.min()), float(gain.values.max())
        values = on_picture(gain.values, seen.box)
        panels.append(writer.panel(seen.pixels, values, low, high, kind="gain", layer=gain.layer))
    return panels, note


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the panels of one arm on one image under names that begin alike."""

    folder: Path
    stem: str

    def panel(
        self, pixels: Image, values: NDArray[np.float32], low: float, high: float, *, kind: str, layer: str
    ) -> dict[str, Any]:
        name = "-".join(part for part in (self.stem, kind, folder_name(layer) if layer else "") if part)
        picture = _shrunk(heat_over(pixels, values, low=low, high=high))
        done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if not done:
            raise DataError("YG341", "cannot encode the picture", where=name)
        (self.folder / f"{name}.png").write_bytes(np.asarray(data).tobytes())
        return {"kind": kind, "layer": layer, "file": f"{name}.png", "low": low, "high": high}


def _shrunk(picture: Image) -> Image:
    height, width = picture.shape[:2]
    longer = max(height, width)
    if longer <= LONGEST:
        return picture
    size = (max(round(width * LONGEST / longer), 1), max(round(height * LONGEST / longer), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _first_done(arm: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((run for run in arm["runs"] if run["status"] == DONE), None)


def _threshold(run: Mapping[str, Any]) -> float:
    return run.get("f1_confidence") or SCORE
