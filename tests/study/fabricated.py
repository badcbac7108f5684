"""Run folders of synthetic detectors, as a study leaves them behind: no training, real scores and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolograft.data.records import ImageRecord
from yolograft.engine.arm import DIVERGED, DONE
from yolograft.engine.checkpoint import write_json
from yolograft.engine.modelfolder import LAST
from yolograft.engine.runfolder import arm_folder
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.matches import MatchTable
from yolograft.study.scores import score_run

ENVIRONMENT = {
    "yolograft": "0.1.0", "torch": "2.9", "torchvision": "0.24", "python": "3.11", "system": "Linux x86_64",
    "instruction_set": "AVX2", "threads": 1, "device": "cpu", "precision": "fp32",
}  # fmt: skip
BITWISE = ("torch", "instruction_set", "threads", "device", "precision")


def split(images: int, classes: int, *, seed: int = 0) -> list[ImageRecord]:
    """Images of odd sizes with 0 to 6 boxes each, the first one without any."""
    rng = np.random.default_rng(seed)
    records = []
    for i in range(images):
        count = 0 if i == 0 else int(rng.integers(0, 7))
        corner = rng.uniform(0, 200, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(8, 90, (count, 2))], axis=1)
        labels = rng.integers(0, classes, count).astype(np.int64)
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        name = f"val/{i:05d}.png"
        per_class = tuple(np.bincount(labels, minlength=classes).tolist())
        records.append(
            ImageRecord(
                name, Path(name), 301, 299, boxes, labels, np.zeros(count, bool), area, count, per_class
            )
        )
    return records


def detections(
    records: Sequence[ImageRecord], classes: int, *, quality: float, seed: int, fingerprint: str = "eval"
) -> DetectionTable:
    """What a detector of some quality (0..1) finds: jittered boxes, misses and false alarms."""
    rng = np.random.default_rng([seed, 17])
    image, label, score, boxes = [], [], [], []
    for i, record in enumerate(records):
        for box, kind in zip(record.boxes, record.labels, strict=True):
            if rng.random() < 0.35 + 0.6 * quality:
                side = np.tile(box[2:] - box[:2], 2)
                image.append(i)
                label.append(kind)
                score.append(rng.uniform(0.2, 1))
                boxes.append(box + rng.normal(0, 0.14 * (1.05 - quality), 4) * side)
        for _ in range(rng.poisson(1.2 * (1.05 - quality))):
            corner = rng.uniform(0, 200, 2)
            image.append(i)
            label.append(rng.integers(0, classes))
            score.append(rng.uniform(0.01, 0.7))
            boxes.append(np.concatenate([corner, corner + rng.uniform(8, 90, 2)]))
    return DetectionTable(
        np.array(image, np.int32),
        np.array(label, np.int32),
        np.array(score, np.float32),
        np.array(boxes, np.float32).reshape(-1, 4),
        len(records),
        fingerprint=fingerprint,
    )


def manifest_of(
    labels: Sequence[str], seeds: Sequence[int], *, images: int, classes: int, **more: Any
) -> dict[str, Any]:
    """A manifest as `create_study` writes it; the first arm is the baseline."""
    arms = [
        {"label": label, "model": "yolov8n", "expression": "" if i == 0 else f"{label}@neck.p3",
         "baseline": i == 0, "control": "", "of": "", "spec": {}, "spec_sha256": f"{label}-spec",
         "layers": [],
         "notes": []}
        for i, label in enumerate(labels)
    ]  # fmt: skip
    part = {"images": images, "boxes": 3 * images}
    data = {"path": "/somewhere/of mine/tiny", "name": "tiny", "format": "coco",
            "names": [f"class {i}" for i in range(classes)]}  # fmt: skip
    return {
        "schema": 1, "kind": "compare", "created": "2026-01-05T10:00:00+00:00",
        "command": 'yolograft compare --data "/somewhere/of mine/tiny" --runs /somewhere/runs',
        "model": "yolov8n", "models": ["yolov8n"], "across": False, "levels": ["p3", "p4", "p5"],
        "anchors": None, "family": "yolov8",
        "data": {**data, "train": {"split": "train", **part, "fingerprint": "train"},
                 "eval": {"split": "val", **part, "fingerprint": "eval"}},
        "arms": arms, "ablation": None, "weights": "", "weights_sha256": "", "code": {},
        "seeds": list(seeds), "looks": [len(seeds)], "alpha_plan": [0.05], "margin": 0.5,
        "recipe": {"epochs": 40, "imgsz": [320, 320], "batch": 16}, "recipe_sha256": "recipe",
        "recipe_file": None, "batch_choice": "", "device": "cpu", "environment": dict(ENVIRONMENT),
        "sees": "3 seeds see much", "warnings": [], **more,
    }  # fmt: skip


def finish(
    run: Path,
    manifest: Mapping[str, Any],
    label: str,
    seed: int,
    *,
    quality: float | None,
    records: Sequence[ImageRecord],
    luck: int = 0,
) -> Path:
    """Leave one run behind; quality None: it diverged. luck: tells runs of one seed apart."""
    folder = arm_folder(run, label, seed)
    folder.mkdir(parents=True)
    env = {key: manifest["environment"][key] for key in BITWISE}
    scores = {"seed": seed, "steps": 9, "status": DONE, "reason": "", "seconds": 61.5, "history": [],
              "environment": env, "images_per_second": 80.25, "process_peak_mb": 900.0}  # fmt: skip
    if quality is None:
        write_json(folder / "scores.json", scores | {"status": DIVERGED, "reason": "loss nan at step 1"})
        return folder
    names = manifest["data"]["names"]
    mark = sum(map(ord, label)) * 1000 + seed + 100_003 * luck
    table = detections(records, len(names), quality=quality, seed=mark)
    scores |= score_run(folder, records, table, names)
    (folder / LAST).mkdir()
    data = {part: manifest["data"][part]["fingerprint"] for part in ("train", "eval")}
    about = {"sha256": f"{label}-{seed}-{mark}", "recipe_sha256": manifest["recipe_sha256"], "data": data}
    write_json(folder / LAST / "state.json", about)
    write_json(folder / "scores.json", scores)
    return folder


def study(
    run: Path,
    qualities: Mapping[str, float],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    images: int = 40,
    classes: int = 3,
    wobble: float = 0.04,
    records: Sequence[ImageRecord] | None = None,
    planned: Sequence[int] | None = None,
    luck: int = 0,
    **more: Any,
) -> Path:
    """A study whose arms have these mean qualities, run to run different by ``wobble``."""
    records = split(images, classes) if records is None else records
    seeds_planned = list(seeds) if planned is None else list(planned)
    manifest = manifest_of(list(qualities), seeds_planned, images=len(records), classes=classes, **more)
    run.mkdir(parents=True)
    write_json(run / "manifest.json", manifest)
    for label, quality in qualities.items():
        for seed in seeds:
            drawn = np.random.default_rng([seed, luck, *map(ord, label)]).normal(0, wobble)
            finish(run, manifest, label, seed, quality=quality + drawn, records=records, luck=luck)
        write_json(run / "arms" / label / "cost.json", {"params": 3_000_000, "flops": 2_000_000_000})
    return run


def matches_of(images: int, classes: int, *, quality: float = 0.5) -> MatchTable:
    """A match table of a random split."""
    from yolograft.metrics.matches import build_match_table

    records = split(images, classes)
    return build_match_table(records, detections(records, classes, quality=quality, seed=1), classes)
