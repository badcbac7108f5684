"""Three identical arms in lockstep against three solo runs of the same steps.

    python benchmarks/lockstep.py [--data PATH] [--imgsz 320] [--batch 16] [--epochs 3] [--rounds 3]

One process trains in turn A B A B ...: A is three arms in lockstep on one stream of batches, B is the
same arm three times on its own, each with a stream of its own. The loader is part of both: decoding,
augmentation and the RAM cache start cold in every run. A run's time goes from its first step (not
counted: it grows the heap and fills caches) to its last; building, the final checkpoint and evaluation
are left out of both. The unit of a round is the time of all three arms. After the last round all arms
are compared bit for bit.

Prints one JSON document: times of every round in seconds, medians, their ratio (lockstep / solo, at most
1 wanted), the same for the CPU time of the process, images per second over all arms, threads, allocator,
versions, load of the machine. Run it on a quiet machine; `load_average` says whether it was.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from yolograft.data.loader import TrainStream
from yolograft.data.records import Dataset
from yolograft.data.shapes import shapes
from yolograft.data.source import open_dataset
from yolograft.engine.arm import Arm, ArmRun
from yolograft.engine.device import environment, resolve_precision
from yolograft.engine.memory import keep_freed_memory
from yolograft.engine.recipe import Recipe
from yolograft.engine.train import Settings, train
from yolograft.models.build import model_spec

ARMS = 3
# Clock and CPU time in seconds.
Times = tuple[float, float]


class Stopwatch:
    """A progress that notes when every step ended, by the clock and in CPU time of this process."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        """A group of arms begins."""

    def step(self, runs: Sequence[ArmRun], batch: int) -> None:
        """All arms have taken a step."""
        self.ends.append((time.perf_counter(), time.process_time()))

    def note(self, text: str) -> None:
        """Nothing worth keeping."""

    @property
    def seconds(self) -> Times:
        """From the end of the first step to the end of the last."""
        return self.ends[-1][0] - self.ends[0][0], self.ends[-1][1] - self.ends[0][1]


def train_once(
    arms: Sequence[Arm], dataset: Dataset, recipe: Recipe, device: str
) -> tuple[Times, list[ArmRun]]:
    """Seconds of one run from a cold stream, and its arms."""
    stream = TrainStream(
        dataset.split("train"),
        imgsz=recipe.imgsz,
        batch=recipe.batch,
        seed=0,
        augment=recipe.augment,
        epochs=recipe.epochs,
        close_mosaic=recipe.plain_epochs(),
    )
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as base:
        runs = train(
            arms,
            stream,
            recipe,
            seed=0,
            folders=[Path(base) / arm.label for arm in arms],
            settings=Settings(device=device, checkpoint_seconds=1e9, group=len(arms)),
            progress=watch,
        )
    return watch.seconds, runs


def all_equal(runs: Sequence[ArmRun]) -> bool:
    """True if weights, EMA and optimiser of all runs are equal bit for bit."""
    first = runs[0].tensors()
    return all(torch.equal(first[key], run.tensors()[key]) for run in runs[1:] for key in first)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Alternate lockstep and solo for the rounds asked, and sum up."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    malloc = keep_freed_memory()
    size, path = arguments.imgsz, arguments.data
    dataset = shapes(size=size) if path == "shapes" else open_dataset(path)
    recipe = Recipe.model_validate(
        {
            "epochs": arguments.epochs,
            "batch": arguments.batch,
            "imgsz": (size, size),
            "precision": arguments.precision,
        }
    )
    spec = model_spec(arguments.model, num_classes=len(dataset.names))
    arms = [Arm(f"arm-{number}", spec) for number in range(ARMS)]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    lockstep, solo, runs = [], [], []
    for _ in range(arguments.rounds):
        seconds, together = train_once(arms, dataset, recipe, arguments.device)
        lockstep.append(seconds)
        parts = [train_once([arm], dataset, recipe, arguments.device) for arm in arms]
        solo.append(tuple(sum(times) for times in zip(*(seconds for seconds, _ in parts), strict=True)))
        runs = [*together, *(run for _, alone in parts for run in alone)]
    steps = runs[0].steps
    images = (steps - 1) * recipe.batch * ARMS
    wall, cpu = (
        {
            "lockstep": statistics.median(times[kind] for times in lockstep),
            "solo": statistics.median(times[kind] for times in solo),
        }
        for kind in (0, 1)
    )
    return {
        "what": f"{ARMS} x {arguments.model} on {path}, {size} px, batch {recipe.batch}, {steps} steps",
        "lockstep_seconds": [times[0] for times in lockstep],
        "solo_seconds": [times[0] for times in solo],
        "median_seconds": wall,
        "ratio": wall["lockstep"] / wall["solo"],
        "median_cpu_seconds": cpu,
        "cpu_ratio": cpu["lockstep"] / cpu["solo"],
        "images_per_second": {name: images / seconds for name, seconds in wall.items()},
        "bitwise_equal": all_equal(runs),
        "freed_memory_kept": malloc,
        "cpus": os.cpu_count(),
        "load_average": load,
        "environment": environment(arguments.device, resolve_precision(recipe, arguments.device)),
    }


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="shapes", help="dataset folder, or shapes drawn at the image size")
    parser.add_argument("--model", default="yolov8n")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; its own choice when 0")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--device", default="cpu")
    print(json.dumps(measure(parser.parse_args()), indent=1))


if __name__ == "__main__":
    main()
