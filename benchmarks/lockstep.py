"""Three identical arms in lockstep against three solo runs of the same steps, alternating in one process.

    uv run python benchmarks/lockstep.py --data path/to/dataset --rounds 3

Every run makes its own stream (decoding, augmentation and RAM cache included), as a user's run would. Prints
one JSON document: seconds of each round, medians, and the ratio lockstep / solo (at most 1 is the aim).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from yolograft.data.loader import TrainStream
from yolograft.data.source import open_dataset
from yolograft.engine.arm import Arm
from yolograft.engine.memory import keep_freed_memory
from yolograft.engine.recipe import Recipe
from yolograft.engine.train import Settings, train
from yolograft.models.build import model_spec

ARMS = 3


class Silent:
    """Progress that says nothing."""

    def group(self, *_: Any, **__: Any) -> None: ...
    def step(self, *_: Any) -> None: ...
    def note(self, *_: Any) -> None: ...


def seconds(labels: list[str], data: str, recipe: Recipe) -> float:
    """Wall time to train the arms together, from opening the data to the last step."""
    began = time.perf_counter()
    dataset = open_dataset(data)
    stream = TrainStream(
        dataset.split("train"),
        imgsz=recipe.imgsz,
        batch=recipe.batch,
        seed=0,
        augment=recipe.augment,
        epochs=recipe.epochs,
    )
    spec = model_spec("yolov8n", num_classes=len(dataset.names))
    with tempfile.TemporaryDirectory() as folder:
        train(
            [Arm(label, spec) for label in labels],
            stream,
            recipe,
            seed=0,
            folders=[Path(folder) / label for label in labels],
            settings=Settings(checkpoint_seconds=1e9),
            progress=Silent(),
        )
    return time.perf_counter() - began


def main() -> None:
    """Run the rounds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    kept = keep_freed_memory()
    recipe = Recipe(epochs=options.epochs, imgsz=(options.imgsz, options.imgsz), batch=options.batch)
    seconds(["warm-up"], options.data, recipe.model_copy(update={"epochs": 1}))
    lockstep, solo = [], []
    for _ in range(options.rounds):
        solo.append(sum(seconds([f"arm-{i}"], options.data, recipe) for i in range(ARMS)))
        lockstep.append(seconds([f"arm-{i}" for i in range(ARMS)], options.data, recipe))
    ratios = [a / b for a, b in zip(lockstep, solo, strict=True)]
    print(
        json.dumps(
            {
                "arms": ARMS,
                "imgsz": options.imgsz,
                "batch": options.batch,
                "epochs": options.epochs,
                "lockstep_s": lockstep,
                "solo_s": solo,
                "median_ratio": statistics.median(ratios),
                "ratios": ratios,
                "threads": torch.get_num_threads(),
                "freed_memory_kept": kept,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
