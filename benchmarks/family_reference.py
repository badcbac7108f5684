"""Accuracy of the published YOLOv5 and YOLOX: their network and loss, trained on our batches.

    python benchmarks/family_reference.py yolov5n --data BCCD [--epochs 40] [--imgsz 320] [--seeds 0 1 2 3 4]

The reference for `yolograft train MODEL` at equal settings: the package's own network, initial weights, loss
and decoding run as black boxes; batches, optimiser, schedule, moving average and evaluator are those of our
recipe, so that what differs is the family alone. All in fp32. Prints one JSON document per seed; --save keeps
the network as its package saves it.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import oracles
from yolograft.data.eval_stream import EvalStream
from yolograft.data.source import open_dataset
from yolograft.engine.batches import recipe_stream
from yolograft.engine.evaluate import evaluate
from yolograft.engine.memory import keep_freed_memory
from yolograft.engine.optim import EMA, build_optimizer, lr_factor, set_learning_rate
from yolograft.engine.recipe import Recipe
from yolograft.study.scores import score_table
from yolograft.types import Targets


class Reference:
    """A published network with the methods the evaluator calls on a detector."""

    stride = 32

    def __init__(self, model: str, num_classes: int, imgsz: int) -> None:
        self.is_yolox = model.startswith("yolox-")
        if self.is_yolox:
            self.network = oracles.yolox_model(model.removeprefix("yolox-"), num_classes)
        else:
            self.network = oracles.yolov5_model(model.removeprefix("yolov5"), num_classes)
            oracles.scale_yolov5_gains(self.network, num_classes=num_classes, imgsz=imgsz)
            self._loss = oracles.yolov5_loss(self.network)

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 RGB to what the package trains on."""
        if self.is_yolox:
            return images.flip(1).float().contiguous(memory_format=torch.channels_last)
        return (images.float() / 255).contiguous(memory_format=torch.channels_last)

    def loss(self, images: Tensor, targets: Targets) -> Tensor:
        """The package's own loss, times the batch size as yolov5 has it."""
        height, width = images.shape[-2:]
        if self.is_yolox:
            return self.network(images, oracles.yolox_targets(targets))["total_loss"] * len(images)
        boxes = oracles.yolov5_targets(targets, height=height, width=width)
        return self._loss(self.network(images), boxes)[0]

    def close(self) -> None:
        """The last epochs, without mosaic: YOLOX adds its L1 term."""
        if self.is_yolox:
            self.network.head.use_l1 = True

    def __call__(self, images: Tensor) -> Any:
        return self.network(images)

    def decode(self, raw: Any) -> tuple[Tensor, Tensor]:
        """Boxes xyxy input pixels, scores."""
        rows = raw if self.is_yolox else raw[0]
        centre, size = rows[..., :2], rows[..., 2:4]
        boxes = torch.cat((centre - size / 2, centre + size / 2), -1)
        return boxes, rows[..., 4:5] * rows[..., 5:]

    def save(self, folder: Path, seed: int) -> None:
        """A checkpoint in the package's own form: YOLOX keeps a state dict, yolov5 the module itself."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.is_yolox:
            torch.save({"start_epoch": 0, "model": self.network.state_dict()}, folder / f"{seed}.pth")
        else:
            torch.save({"epoch": -1, "model": self.network, "ema": None}, folder / f"{seed}.pt")

    def parameters(self) -> Any:
        """Of the network."""
        return self.network.parameters()

    @property
    def training(self) -> bool:
        """Of the network."""
        return self.network.training

    def train(self, mode: bool = True) -> None:
        """Set the mode of the network."""
        self.network.train(mode)

    def eval(self) -> None:
        """Evaluation mode."""
        self.network.eval()


def train_one(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One run and its scores at the end."""
    dataset = open_dataset(options.data)
    size = (options.imgsz, options.imgsz)
    recipe = Recipe(epochs=options.epochs, batch=options.batch, imgsz=size)
    stream = recipe_stream(dataset.split("train"), recipe, seed=seed)
    torch.manual_seed(seed)
    reference = Reference(options.model, len(dataset.names), options.imgsz)
    reference.network.to(memory_format=torch.channels_last)
    network = reference.network
    average = EMA(network, copy.deepcopy(network), recipe)
    optimizer = build_optimizer(network, recipe, len(dataset.names))
    total, began = stream.steps_per_epoch * recipe.epochs, time.perf_counter()
    network.train()
    for step, (epoch, _, batch) in enumerate(stream.iterate()):
        if epoch >= recipe.epochs - recipe.plain_epochs():
            reference.close()
        factor = lr_factor(step, total_steps=total, steps_per_epoch=stream.steps_per_epoch, recipe=recipe)
        set_learning_rate(optimizer, recipe.peak_lr(len(dataset.names)) * factor)
        reference.loss(reference.normalise(batch.images), batch.targets).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update(step)
    seconds = time.perf_counter() - began
    reference.network = average.shadow
    held_out = dataset.eval_split
    images = EvalStream(dataset.split(held_out), imgsz=size, batch=16, stride=32)
    table = evaluate(reference, images, fingerprint=dataset.fingerprint(held_out))  # type: ignore[arg-type]
    if options.save:
        reference.save(options.save, seed)
    scores = score_table(images.records, table, dataset.names)
    kept = {key: value for key, value in scores.items() if isinstance(value, float | int)}
    how = {"seconds": seconds, "threads": torch.get_num_threads(), "torch": torch.__version__}
    return {"model": options.model, "seed": seed} | how | kept


def main() -> None:
    """Train every seed in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="yolov5n, yolox-nano ...")
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    keep_freed_memory()
    for seed in options.seeds:
        sys.stdout.write(json.dumps(train_one(options, seed)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
