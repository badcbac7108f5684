"""Run folders with a `results.csv`: ultralytics (`args.yaml`) and YOLOv5 (`opt.yaml`, `hyp.yaml`).

Heads vary over versions: padded with blanks, `metrics/mAP50-95(B)` or `metrics/mAP_0.5:0.95`; YOLOv5 counts
epochs from 0. Source: the documentation of both tools and files that they wrote.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from yolograft.errors import StudyError
from yolograft.study.judge.bounded import Scalar, column, read_columns, read_settings
from yolograft.study.judge.foreign_run import (
    DIVERGED,
    UNFINISHED,
    ForeignRun,
    by_epoch,
    ending,
    in_points,
    whole,
)

RESULTS, ULTRALYTICS, YOLOV5, HYPER = "results.csv", "args.yaml", "opt.yaml", "hyp.yaml"
_AP = ("metrics/mAP50-95(B)", "metrics/mAP50-95", "metrics/mAP_0.5:0.95", "metrics/mAP_0.5-0.95")
_AP50 = ("metrics/mAP50(B)", "metrics/mAP50", "metrics/mAP_0.5")
#: Settings that say where and how a run is kept or shown, or on which machine: not what it learns.
BOOKKEEPING = frozenset({
    "seed", "name", "project", "save_dir", "exist_ok", "resume", "verbose", "plots", "noplots", "save",
    "nosave", "save_period", "save_json", "save_hybrid", "save_txt", "save_conf", "save_crop",
    "save_frames", "show", "show_boxes", "show_conf", "show_labels", "line_width", "visualize", "workers",
    "device", "cache", "profile", "local_rank", "entity", "upload_dataset", "bbox_interval",
    "artifact_alias", "mode", "task", "tracker", "vid_stride", "stream_buffer", "source", "format",
    "keras", "optimize", "dynamic", "simplify", "opset", "workspace", "embed", "retina_masks", "bucket",
    "evolve", "noval", "notest", "log_imgs", "data", "mmdet_tags",
})  # fmt: skip
# Services of others: their keys belong into no report of ours.
_SERVICES = ("neptune_", "s3_", "hf_", "roboflow_", "wandb_", "comet_", "clearml_")


def is_ultralytics(folder: Path) -> bool:
    """Whether ultralytics trained here."""
    return (folder / ULTRALYTICS).is_file() and (folder / RESULTS).is_file()


def is_yolov5(folder: Path) -> bool:
    """Whether YOLOv5 trained here."""
    return (folder / YOLOV5).is_file() and (folder / RESULTS).is_file()


def read_ultralytics(folder: Path) -> ForeignRun:
    """A run folder of ultralytics.

    Raises:
        StudyError: a file in it cannot be read (YG660) or is no training's (YG666).
    """
    predictions = folder / "predictions.json"
    return _run(folder, "ultralytics", read_settings(folder / ULTRALYTICS), predictions, of_best=True)


def read_yolov5(folder: Path) -> ForeignRun:
    """A run folder of YOLOv5.

    Raises:
        StudyError: a file in it cannot be read (YG660) or is no training's (YG666).
    """
    settings = read_settings(folder / YOLOV5)
    if (folder / HYPER).is_file():
        # The file of old versions; newer ones repeat it inside opt.yaml.
        settings = {k: v for k, v in settings.items() if k != "hyp"}
        settings |= {f"hyp.{key}": value for key, value in read_settings(folder / HYPER).items()}
    last, best = folder / "last_predictions.json", folder / "best_predictions.json"
    of_best = not last.is_file()
    return _run(folder, "yolov5", settings, best if of_best else last, of_best=of_best)


def _run(
    folder: Path, tool: str, settings: dict[str, Scalar], predictions: Path, *, of_best: bool
) -> ForeignRun:
    heads, rows, cut = read_columns(folder / RESULTS)
    epoch, ap50, ap = column(heads, ("epoch",)), column(heads, _AP50), column(heads, _AP)
    if epoch is None or ap is None or ap50 is None:
        cause = f"no columns epoch, mAP50 and mAP50-95; there are {', '.join(heads)}"
        raise StudyError("YG666", cause, where=str(folder / RESULTS))
    first = 1 if tool == "yolov5" or (rows and rows[0][epoch] == 0) else 0
    table = by_epoch([(row[epoch] + first, in_points(row[ap50]), in_points(row[ap])) for row in rows])
    epochs, half, full = [r[0] for r in table], [r[1] for r in table], [r[2] for r in table]
    # Old versions count from 0, new ones from 1: what is missing at the front was not this file's.
    planned = whole(settings.get("epochs")) or 0
    patience = whole(settings.get("patience")) or 0
    status, reason, early = ending(epochs, half, full, planned=planned, patience=patience, cut=cut)
    if status != DIVERGED and (head := _lost(heads, rows, none_found=bool(full) and full[-1] == 0)):
        status, reason, early = DIVERGED, f"{head} is no number at epoch {epochs[-1]}", False
    if status == UNFINISHED and settings.get("time") is not None and not cut and epochs:
        # A limit in hours: where it ends nobody planned in epochs.
        status, reason = "done", ""
    return ForeignRun(
        folder=folder,
        tool=tool,
        seed=whole(settings.get("seed")),
        recipe=recipe_of(settings),
        data=str(settings.get("data") or ""),
        planned=planned,
        curve=tuple((e, a) for e, a in zip(epochs, full, strict=True) if math.isfinite(a)),
        status=status,
        reason=reason,
        early=early,
        predictions=predictions if predictions.is_file() else None,
        of_best=of_best,
    )


def _lost(heads: Sequence[str], rows: Sequence[Sequence[float]], *, none_found: bool) -> str:
    """The head of a loss that is no number in the last row, or empty: the tools train on beside an AP of 0.

    Where something was found the weights are sound: one overflow in half precision spoils a mean loss.
    """
    last = zip(heads, rows[-1] if rows and none_found else (), strict=False)
    return next((head for head, value in last if "loss" in head and not math.isfinite(value)), "")


def recipe_of(settings: dict[str, Scalar]) -> dict[str, Scalar]:
    """The settings that make the experiment; seed, names, paths of the run and services left out."""
    return {
        key: value
        for key, value in sorted(settings.items())
        if key not in BOOKKEEPING and not key.startswith(_SERVICES) and "token" not in key.lower()
    }
