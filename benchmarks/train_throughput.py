"""Training images per second, loader included: ours, and ultralytics at its best and as delivered.

    python benchmarks/train_throughput.py --data BCCD [--imgsz 320] [--batch 16] [--epochs 5] [--rounds 3]

Every measurement is a process of its own, and the kinds take turns (ours, best, delivered, ours, ...), so
that a slow minute of the machine hits all of them. All train yolov8n from scratch on the same images with
mosaic on; evaluation, saving and plots are off. A figure is images of the split / seconds of an epoch, the
median over the epochs after the first (which fills caches and grows the heap).

ours: as `yolograft train` runs it. best: ultralytics with as many torch threads as there are cores and
glibc told to keep freed memory. delivered: ultralytics as installed. Both run in fp32: ultralytics has no
mixed precision on a CPU, and ours in fp32 can be asked for with --precision fp32.

Needs the extra `peers`; ultralytics runs as a black box. Prints one JSON document: every round, medians,
the two ratios, threads, allocator, versions and the load of the machine before the first process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

KINDS = ("ours", "best", "delivered")
TUNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}


class EpochClock:
    """A progress that notes when every step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        """A group of arms begins."""

    def step(self, runs: Sequence[Any], batch: int) -> None:
        """All arms have taken a step."""
        self.ends.append(time.perf_counter())

    def note(self, text: str) -> None:
        """Nothing worth keeping."""


def ours(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of every epoch after the first, in this process."""
    import torch

    from yolograft.data.loader import TrainStream
    from yolograft.data.source import open_dataset
    from yolograft.engine.arm import Arm
    from yolograft.engine.device import resolve_precision
    from yolograft.engine.recipe import Recipe
    from yolograft.engine.train import Settings, train
    from yolograft.models.build import model_spec

    dataset = open_dataset(options.data)
    records = dataset.split("train")
    size = (options.imgsz, options.imgsz)
    values = {"epochs": options.epochs, "batch": options.batch, "imgsz": size, "close_mosaic": 0}
    recipe = Recipe.model_validate(values | {"precision": options.precision})
    stream = TrainStream(
        records,
        imgsz=size,
        batch=recipe.batch,
        seed=0,
        augment=recipe.augment,
        epochs=recipe.epochs,
        workers=options.workers,
    )
    clock = EpochClock()
    with tempfile.TemporaryDirectory() as folder:
        train(
            [Arm("baseline", model_spec("yolov8n", num_classes=len(dataset.names)))],
            stream,
            recipe,
            seed=0,
            folders=[Path(folder)],
            settings=Settings(checkpoint_seconds=1e9),
            progress=clock,
        )
    marks = clock.ends[stream.steps_per_epoch - 1 :: stream.steps_per_epoch]
    seconds = [later - earlier for earlier, later in itertools.pairwise(marks)]
    return {
        "epoch_seconds": seconds,
        "images": len(records),
        "threads": torch.get_num_threads(),
        "precision": resolve_precision(recipe, "cpu"),
    }


def ultralytics(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of every epoch after the first of their trainer, in this process."""
    import torch
    import ultralytics.utils.torch_utils as settings
    from ultralytics import YOLO

    if options.child == "best":
        settings.NUM_THREADS = os.cpu_count() or 1
    marks: list[float] = []
    images: list[int] = []
    model = YOLO("yolov8n.yaml")
    model.add_callback("on_train_epoch_end", lambda _: marks.append(time.perf_counter()))
    model.add_callback("on_train_start", lambda trainer: images.append(len(trainer.train_loader.dataset)))
    with tempfile.TemporaryDirectory() as folder:
        model.train(
            data=options.peer_data,
            imgsz=options.imgsz,
            batch=options.batch,
            epochs=options.epochs,
            workers=options.workers,
            pretrained=False,
            seed=0,
            device="cpu",
            val=False,
            plots=False,
            save=False,
            verbose=False,
            close_mosaic=0,
            project=folder,
        )
    seconds = [later - earlier for earlier, later in itertools.pairwise(marks)]
    return {
        "epoch_seconds": seconds,
        "images": images[0],
        "threads": torch.get_num_threads(),
        "precision": "fp32",
    }


def in_a_process(kind: str, options: argparse.Namespace, peer_data: Path) -> dict[str, Any]:
    """One measurement in a fresh process; its last line of output is the answer."""
    # An inherited thread count would decide for both sides.
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    if kind == "best":
        environment |= TUNED
    given = [f"--{key}={getattr(options, key)}" for key in ("data", "imgsz", "batch", "epochs", "workers")]
    command = [sys.executable, str(Path(__file__).resolve()), f"--child={kind}", *given]
    command += [f"--peer-data={peer_data}", f"--precision={options.precision}"]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, check=True, encoding="utf-8", cwd=peer_data.parent
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    answer["images_per_second"] = answer["images"] / statistics.median(answer["epoch_seconds"])
    sys.stderr.write(f"{kind}: {answer['images_per_second']:.1f} images/s\n")
    return answer


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All rounds, the kinds in turn."""
    from yolograft.data.convert import convert
    from yolograft.data.source import open_dataset

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "data"
        convert(open_dataset(options.data), to="yolo", out=copy)
        for _ in range(options.rounds):
            for kind in KINDS:
                found[kind].append(in_a_process(kind, options, copy / "data.yaml"))
    medians = {kind: statistics.median(r["images_per_second"] for r in rows) for kind, rows in found.items()}
    return {
        "what": f"yolov8n, {options.imgsz} px, batch {options.batch}, {options.epochs} epochs, with loader",
        "images_per_second": medians,
        "ratio_to_best": medians["ours"] / medians["best"],
        "ratio_to_delivered": medians["ours"] / medians["delivered"],
        "rounds": found,
        "workers": options.workers,
        "cpus": os.cpu_count(),
        "load_average": load,
        "versions": {name: version(name) for name in ("yolograft", "ultralytics", "torch")},
    }


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="dataset folder")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--peer-data", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.data = str(Path(options.data).resolve())
    if options.child:
        answer = ours(options) if options.child == "ours" else ultralytics(options)
        print(json.dumps(answer))
        return
    print(json.dumps(measure(options), indent=1))


if __name__ == "__main__":
    main()
