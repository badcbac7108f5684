"""A training step of YOLOv5 and YOLOX: ours against the published package, in turns within one process.

    python benchmarks/family_step.py [yolov5n yolox-nano] [--imgsz 320] [--batch 16] [--rounds 12]

Forward, loss, backward and an SGD step on random images with 8 boxes each, no data loading. Each side runs
its own network and loss; all have the same threads and keep freed memory (mallopt). Ours lies in
channels_last, once in the precision `yolograft train` chooses here and once in fp32; the packages, which
know no mixed precision on a CPU, run in fp32 and in their own layout. Prints one JSON document: medians in
milliseconds, the median of the ratios of neighbouring steps, and the load of the machine before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

import oracles
from yolograft.engine.device import resolve_precision
from yolograft.engine.memory import keep_freed_memory
from yolograft.engine.recipe import Recipe
from yolograft.models.build import build, model_spec
from yolograft.models.layout import to_channels_last
from yolograft.types import Targets

CLASSES = 3
BOXES_PER_IMAGE = 8


def batch_of(batch: int, imgsz: int) -> tuple[torch.Tensor, Targets]:
    """Images in 0..1 and targets, the same for both sides."""
    draws = torch.Generator().manual_seed(0)
    count = batch * BOXES_PER_IMAGE
    images = torch.rand(batch, 3, imgsz, imgsz, generator=draws)
    centre = (0.2 + 0.6 * torch.rand(count, 2, generator=draws)) * imgsz
    half = (0.05 + 0.25 * torch.rand(count, 2, generator=draws)) * imgsz / 2
    boxes = torch.cat((centre - half, centre + half), 1)
    labels = torch.randint(0, CLASSES, (count,), generator=draws)
    image = torch.arange(batch).repeat_interleave(BOXES_PER_IMAGE)
    return images, Targets(boxes, labels, image, batch)


def stepper(network: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], float]:
    """One training step; returns its milliseconds."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.937, nesterov=True)
    network.train()

    def step() -> float:
        began = time.perf_counter()
        loss().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return (time.perf_counter() - began) * 1e3

    return step


def ours(model: str, images: torch.Tensor, targets: Targets, *, bf16: bool) -> Callable[[], float]:
    """Our network and loss."""
    detector = build(model_spec(model, num_classes=CLASSES))
    to_channels_last(detector, torch.device("cpu"))
    criterion = detector.family.criterion(detector.head)
    pixels = (images * 255).to(torch.uint8).contiguous(memory_format=torch.channels_last)
    inputs = detector.normalise(pixels)

    def loss() -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            return criterion(detector(inputs), targets, final=True).total

    return stepper(detector, loss)


def theirs(model: str, images: torch.Tensor, targets: Targets) -> Callable[[], float]:
    """The package's network and loss."""
    size = images.shape[-1]
    if model.startswith("yolox-"):
        network = oracles.yolox_model(model.removeprefix("yolox-"), CLASSES)
        network.head.use_l1 = True
        labels, pixels = oracles.yolox_targets(targets), images * 255
        return stepper(network, lambda: network(pixels, labels)["total_loss"])
    network = oracles.yolov5_model(model.removeprefix("yolov5"), CLASSES)
    oracles.scale_yolov5_gains(network, num_classes=CLASSES, imgsz=size)
    compute, rows = oracles.yolov5_loss(network), oracles.yolov5_targets(targets, height=size, width=size)
    return stepper(network, lambda: compute(network(images), rows)[0])


def measure(model: str, options: argparse.Namespace) -> dict[str, Any]:
    """Medians and ratios of one model."""
    images, targets = batch_of(options.batch, options.imgsz)
    chosen = resolve_precision(Recipe(), "cpu")
    sides = {
        "ours": ours(model, images, targets, bf16=chosen == "bf16"),
        "ours_fp32": ours(model, images, targets, bf16=False),
        "theirs": theirs(model, images, targets),
    }
    for step in sides.values():
        for _ in range(options.warmup):
            step()
    rounds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, step in sides.items():
            rounds[name].append(step())
    ratios = {
        f"theirs / {name}": statistics.median(b / a for a, b in zip(times, rounds["theirs"], strict=True))
        for name, times in rounds.items()
        if name != "theirs"
    }
    medians = {f"{name}_ms": statistics.median(times) for name, times in rounds.items()}
    return {"model": model, **medians, "precision": chosen, **ratios}


def main() -> None:
    """Measure every model asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["yolov5n", "yolox-nano"])
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=3)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    keep_freed_memory()
    torch.manual_seed(0)
    packages = {name: version(name) for name in ("torch", "yolov5", "yolox")}
    facts = {"threads": torch.get_num_threads(), "load_before": load, **packages}
    results = [measure(model, options) for model in options.models]
    sys.stdout.write(json.dumps(facts | {"results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
