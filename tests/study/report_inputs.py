"""Synthetic results and samples for the tests of the report."""

from __future__ import annotations

import copy
import math
import statistics
from typing import Any

import cv2
import numpy as np

from yolograft.study.report.gallery import Sample


def yolov8_layers() -> list[dict[str, Any]]:
    """The layers of a YOLOv8 network with plausible counts."""
    rows: list[tuple[str, str, list[str], int, int]] = [("stem", "conv", ["image"], 16, 2)]
    previous, channels = "stem", {2: 32, 3: 64, 4: 128, 5: 256}
    for level in (2, 3, 4, 5):
        rows.append((f"backbone.p{level}.down", "conv", [previous], channels[level], 2**level))
        rows.append((f"backbone.p{level}", "c2f", [f"backbone.p{level}.down"], channels[level], 2**level))
        previous = f"backbone.p{level}"
    rows.append(("backbone.sppf", "sppf", ["backbone.p5"], 256, 32))
    for name, lower, lateral, width, stride in (
        ("neck.td4", "backbone.sppf", "backbone.p4", 128, 16),
        ("neck.p3", "neck.td4", "backbone.p3", 64, 8),
    ):
        rows.append((f"{name}.up", "upsample", [lower], 256, stride))
        rows.append((f"{name}.cat", "concat", [f"{name}.up", lateral], 384, stride))
        rows.append((name, "c2f", [f"{name}.cat"], width, stride))
    for name, upper, lateral, width, stride in (
        ("neck.p4", "neck.p3", "neck.td4", 128, 16),
        ("neck.p5", "neck.p4", "backbone.sppf", 256, 32),
    ):
        rows.append((f"{name}.down", "conv", [upper], width, stride))
        rows.append((f"{name}.cat", "concat", [f"{name}.down", lateral], 384, stride))
        rows.append((name, "c2f", [f"{name}.cat"], width, stride))
    rows.append(("head", "detect", ["neck.p3", "neck.p4", "neck.p5"], 67, 8))
    keys = ("name", "module", "inputs", "out_channels", "stride")
    return [dict(zip(keys, row, strict=True), params=49664, new=False) for row in rows]


def grafted(layers: list[dict[str, Any]], module: str, *hosts: str) -> list[dict[str, Any]]:
    """`layers` with `module` after every host, all consumers of the host reading it."""
    out = []
    for layer in copy.deepcopy(layers):
        layer["inputs"] = [f"{i}+{module}" if i in hosts else i for i in layer["inputs"]]
        out.append(layer)
        if layer["name"] in hosts:
            added = {"name": f"{layer['name']}+{module}", "module": module, "inputs": [layer["name"]]}
            out.append({**layer, **added, "params": 1544, "new": True})
    return out


def _history(rng: np.random.Generator, epochs: int, ap: float) -> list[dict[str, Any]]:
    steps = []
    for epoch in range(epochs):
        done = 1 - math.exp(-3.2 * (epoch + 1) / epochs)
        loss = 2.4 + 6.6 * math.exp(-epoch / 7) + rng.normal(0, 0.06)
        shown = ap * done / (1 - math.exp(-3.2)) + rng.normal(0, 0.5) if epoch % 2 else None
        steps.append({"epoch": epoch, "loss": loss, "lr": 0.01, "ap": shown, "ap50": None})
    return steps


def _run(rng: np.random.Generator, seed: int, centre: float, names: list[str], epochs: int) -> dict[str, Any]:
    ap = centre + rng.normal(0, 1.6)
    per_class = [
        {"name": n, "ap": ap + 9 - 9 * i + rng.normal(0, 1.5), "ap50": ap + 30, "gt": g}
        for i, (n, g) in enumerate(zip(names, (967, 84, 86), strict=False))
    ]
    found = {"ap": ap, "ap50": ap + 26.1, "ap75": ap + 2, "ap_s": ap - 18, "ap_m": ap - 7, "ap_l": ap + 4}
    rates = {"p": 74.2 + rng.normal(), "r": 80.3 + rng.normal(), "f1": 77.1 + rng.normal()}
    history = _history(rng, epochs, ap)
    return {"seed": seed, "status": "done", **found, **rates, "per_class": per_class, "history": history}


def _arm(label: str, expression: str, runs: list[dict], layers: list[dict], extra: float) -> dict[str, Any]:
    keys = ("ap", "ap50", "ap_s", "ap_m", "ap_l", "p", "r", "f1")
    mean = {k: statistics.fmean(run[k] for run in runs) for k in keys}
    sd = {"ap": statistics.stdev(run["ap"] for run in runs)} if len(runs) > 1 else {}
    return {
        "label": label,
        "expression": expression,
        "baseline": not expression,
        "params": round(3_011_433 * (1 + extra)),
        "flops": round(2_185_996_800 * (1 + extra / 2)),
        "gflops_ultralytics": 8.1 * (1 + extra / 2),
        "latency_ms": {"p50": 11.2 * (1 + 3 * extra), "p90": 12.9 * (1 + 3 * extra)},
        "fps": 89.0 / (1 + 3 * extra),
        "peak_memory_mb": 1400 * (1 + extra),
        "train_seconds": 150.0 * (1 + 2 * extra),
        "images_per_second": 70.0,
        "layers": layers,
        "runs": runs,
        "mean": mean,
        "sd": sd,
        "comparison": None,
    }


def synthetic(seeds: int = 3, epochs: int = 40, names: tuple[str, ...] = ("RBC", "WBC", "Platelets")) -> dict:
    """Results of three arms, as `results.json` holds them."""
    rng, layers, names_ = np.random.default_rng(7), yolov8_layers(), list(names)
    double = "double_att:c_n=1,reproject=off@neck.p3,neck.p4,neck.p5"
    coord = "coord_att@neck.p3,neck.p4,neck.p5"
    arms = []
    for label, expression, centre, extra, graph in (
        ("baseline", "", 45.5, 0.0, layers),
        ("coord_att", coord, 46.3, 0.009, grafted(layers, "coord_att", "neck.p3", "neck.p4", "neck.p5")),
        ("double_att", double, 25.4, 0.06, grafted(layers, "double_att", "neck.p3", "neck.p4", "neck.p5")),
    ):
        runs = [_run(rng, seed, centre, names_, epochs) for seed in range(seeds)]
        arms.append(_arm(label, expression, runs, graph, extra))
    said = (
        ("not enough seeds", 3.9, "gains above +4.7 AP ruled out; 12 seeds would see 2 AP"),
        ("hurts", 4.4, "losses below 15.7 AP ruled out"),
    )
    for arm, (verdict, half, known) in zip(arms[1:], said, strict=True):
        delta = arm["mean"]["ap"] - arms[0]["mean"]["ap"]
        ends = f"[{delta - half:+.2f}, {delta + half:+.2f}] 95 % (3+3 seeds, this evaluation split, tried 2)"
        needs = " (needs >= 12)" if verdict == "not enough seeds" else ""
        sentence = f"{arm['label']}: {delta:+.2f} AP {ends} -> {verdict}{needs}"
        around = {"delta": delta, "low": delta - half, "high": delta + half, "level": 0.95, "df": 6}
        arm["comparison"] = {**around, "verdict": verdict, "sentence": sentence, "known": known}
    held = {"split": "val", "images": 87, "boxes": 1137, "fingerprint": "9f2c" * 16}
    data = {"name": "bccd", "format": "voc", "names": names_, "train": {"images": 205, "boxes": 2804}}
    budget = {"seeds": list(range(seeds)), "epochs": epochs, "imgsz": [320, 320], "batch": 16}
    return {
        "schema": 1,
        "kind": "compare",
        "name": "coord_att and double_att on yolov8n",
        "created": "2026-01-05T10:00:00",
        "status": "complete",
        "model": "yolov8n",
        "family": "yolov8",
        "data": {**data, "eval": held},
        "budget": {**budget, "precision": "bf16", "device": "cpu", "threads": 2},
        "sees": "with 3 seeds an arm, a difference of 5.3 AP is seen in 80 of 100 studies",
        "scope": "this evaluation split",
        "margin": 0.5,
        "command": 'yolograft compare yolov8n --data bccd --graft "coord_att@neck.p3,neck.p4,neck.p5"',
        "environment": {"yolograft": "0.1.0", "torch": "2.9.1", "python": "3.11"},
        "arms": arms,
    }


def sample(
    size: tuple[int, int] = (240, 320), names: tuple[str, ...] = ("RBC", "WBC", "Platelets")
) -> Sample:
    """A picture of discs with their boxes, and two arms that see most of them."""
    rng = np.random.default_rng(3)
    height, width = size
    image = np.full((height, width, 3), (236, 214, 205), np.uint8)
    boxes, labels = [], []
    for i in range(9):
        r = int(rng.integers(height // 16, height // 6))
        x, y = int(rng.integers(r, width - r)), int(rng.integers(r, height - r))
        colour = ((205, 96, 92), (92, 70, 150), (150, 110, 170))[i % 3]
        cv2.circle(image, (x, y), r, colour, -1)
        boxes.append((x - r, y - r, x + r, y + r))
        labels.append(i % 3)
    truth, kinds = np.array(boxes, float), np.array(labels)
    predictions = {}
    for label, wobble in (("baseline", 1.5), ("coord_att", 1.0), ("double_att", 14.0)):
        moved = truth + rng.normal(0, wobble, truth.shape)
        predictions[label] = (moved[1:], kinds[1:], rng.uniform(0.2, 0.95, len(truth) - 1))
    return Sample(image, "images/BloodImage_00012.jpg", names, truth, kinds, predictions)
