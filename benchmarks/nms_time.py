"""Time of every method of suppression against hard, on the same candidates.

    python benchmarks/nms_time.py [--candidates 3000] [--classes 1] [--rounds 7]

Candidates in crowds as a detector offers them: objects at random, each with a few dozen displaced boxes whose
scores fall with their displacement, and a floor of single boxes of low score. One thread, 300 boxes at most.
Prints one JSON document: median processor ms a method, and its ratio to hard in this very run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

import numpy as np
import torch

from yolograft.ops.nms import Candidates, suppress
from yolograft.ops.suppression.table import METHODS, read_suppression
from yolograft.rng import stream

VARIANTS = ("soft:method=linear", "cluster:penalty=score")


def crowd(count: int, classes: int) -> Candidates:
    """Three quarters of the candidates round objects, 25 to each, the rest anywhere; 640 pixels."""
    draw = stream(0, "suppression time")
    objects = max(3 * count // 100, 1)
    owner = np.concatenate(
        [draw.integers(0, objects, 3 * count // 4), np.arange(count - 3 * count // 4) + objects]
    )
    centre = draw.uniform(0, 640, (objects + count, 2))[owner]
    size = np.exp(draw.normal(np.log(50), 0.5, (objects + count, 2)))[owner]
    sure = np.where(owner < objects, draw.beta(2, 2, objects + count)[owner], 0.02)
    shift = draw.normal(0, 0.08, (count, 2))
    boxes = np.concatenate([centre + (shift - 0.5) * size, centre + (shift + 0.5) * size], 1)
    scores = sure * np.exp(-((shift / 0.08) ** 2).sum(1)) + draw.uniform(0.001, 0.01, count)
    labels = draw.integers(0, classes, objects + count)[owner]
    density = torch.from_numpy(draw.uniform(0, 0.8, count)).float()
    row = torch.arange(count)
    return Candidates(
        torch.from_numpy(boxes).float(),
        torch.from_numpy(scores).float(),
        torch.from_numpy(labels),
        row,
        density,
    )


def main() -> None:
    """Read the options, time all methods in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, value in (("candidates", 3000), ("classes", 1), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(1)
    offer = crowd(options.candidates, options.classes)
    times: dict[str, list[float]] = {name: [] for name in (*METHODS, *VARIANTS)}
    # In turns, so that a machine that slows down slows all.
    for _ in range(options.rounds + 1):
        for name, took in times.items():
            began = time.process_time()
            suppress(offer, method=read_suppression(name))
            took.append(1e3 * (time.process_time() - began))
    medians = {name: statistics.median(took[1:]) for name, took in times.items()}
    report = {
        "candidates": options.candidates,
        "classes": options.classes,
        "milliseconds": {name: round(ms, 2) for name, ms in medians.items()},
        "to_hard": {name: round(ms / medians["hard"], 2) for name, ms in medians.items()},
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
