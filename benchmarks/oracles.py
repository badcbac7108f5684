"""The published YOLOv5 and YOLOX packages as black boxes: their networks, losses and decoded outputs.

Needs `yolov5` 7.0.14 and `yolox` 0.3.0 beside the environment; tests/peers/README.md says how they are
installed. Nothing of them is copied or read; they are called.
"""

from __future__ import annotations

import logging
import sys
import types
from importlib.resources import files
from typing import Any

import torch
from torch import Tensor, nn

from yolograft.types import Targets


def _without_pkg_resources() -> None:
    """yolov5 asks a module that setuptools has dropped for two functions; both live in `packaging` now."""
    if "pkg_resources" in sys.modules:
        return
    from packaging import version

    stand_in = types.ModuleType("pkg_resources")
    stand_in.parse_version = version.parse  # type: ignore[attr-defined]
    stand_in.require = lambda *_, **__: []  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stand_in


def yolov5_model(scale: str, num_classes: int) -> Any:
    """yolov5's own network with the hyper-parameters its trainer sets for this many classes at 640 px."""
    import yaml

    _without_pkg_resources()
    logging.getLogger("yolov5").setLevel(logging.ERROR)
    from yolov5.models.yolo import Model

    config = yaml.safe_load((files("yolov5") / f"models/yolov5{scale}.yaml").read_text(encoding="utf-8"))
    model = Model(config | {"nc": num_classes})
    hyper = files("yolov5") / "data/hyps/hyp.scratch-low.yaml"
    model.hyp = yaml.safe_load(hyper.read_text(encoding="utf-8"))
    return model


def scale_yolov5_gains(model: Any, *, num_classes: int, imgsz: int) -> None:
    """The gains as yolov5's trainer sets them: by levels, classes and image size."""
    levels = 3
    model.hyp["box"] *= 3 / levels
    model.hyp["cls"] *= num_classes / 80 * 3 / levels
    model.hyp["obj"] *= (imgsz / 640) ** 2 * 3 / levels


def yolov5_loss(model: Any) -> Any:
    """yolov5's loss: called with (raw predictions, targets [M, 6]) it gives (total, terms)."""
    _without_pkg_resources()
    from yolov5.utils.loss import ComputeLoss

    return ComputeLoss(model)


def yolov5_targets(targets: Targets, *, height: int, width: int) -> Tensor:
    """Targets as yolov5 takes them: float32 [M, 6], image, class, x, y, w, h as shares of the sides."""
    x1, y1, x2, y2 = targets.boxes.unbind(1)
    shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return torch.stack((targets.image.float(), targets.labels.float(), *shares), 1)


def yolox_model(scale: str, num_classes: int) -> Any:
    """yolox's own network, loss included, as its experiment file makes it."""
    from yolox.exp import get_exp

    experiment = get_exp(None, f"yolox-{scale}")
    experiment.num_classes = num_classes
    return experiment.get_model()


def yolox_targets(targets: Targets) -> Tensor:
    """Targets as yolox takes them: float32 [B, most, 5], class, x, y, w, h in pixels; zero rows fill up."""
    counts = torch.bincount(targets.image, minlength=targets.batch_size)
    table = torch.zeros(targets.batch_size, max(int(counts.max()), 1), 5)
    x1, y1, x2, y2 = targets.boxes.unbind(1)
    rows = torch.stack((targets.labels.float(), (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), 1)
    for image in range(targets.batch_size):
        mine = rows[targets.image == image]
        table[image, : len(mine)] = mine
    return table


def disturb_statistics(model: nn.Module, *, seed: int = 0) -> None:
    """Random batch-norm statistics and scales: at their initial values a wrong epsilon would go unseen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 2.0, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
