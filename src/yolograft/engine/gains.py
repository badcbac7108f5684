"""What a grafted module does to its map, position by position, seen by forward hooks.

The gain at a position is the factor that best turns the module's input vector x (over channels) into its
output y there: <x, y> / <x, x>, the least-squares slope. For a module that multiplies by gates it is the
mean of the gates at that position, weighted by the energy of the channels they act on; for one that adds
(global context, double attention) it says by how much what is there grows or shrinks. It needs nothing of
the module's insides, so a class of the user's own has one too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yolograft.data.eval_stream import EvalBatch
from yolograft.data.images import Letterbox
from yolograft.models.detector import Detector, key_of

INNER = ".inner"


@dataclass(frozen=True, slots=True)
class Gain:
    """The gain of one grafted module on one image. layer: its name; values: float32 [h, w], its own grid."""

    layer: str
    values: NDArray[np.float32]


@torch.no_grad()
def module_gains(detector: Detector, batch: EvalBatch) -> tuple[Gain, ...]:
    """The gains of every grafted module that keeps its map's shape, on the first image of ``batch``.

    Modules inside a block come as one: the mean over those of the block. None for a detector without a
    graft.
    """
    found: dict[str, list[NDArray[np.float32]]] = {}

    def watch(name: str, module: nn.Module) -> list[torch.utils.hooks.RemovableHandle]:
        entered: list[Tensor] = []

        def remember(_: nn.Module, inputs: tuple[object, ...]) -> None:
            entered.clear()
            if inputs and isinstance(inputs[0], Tensor):
                # A copy: a module may write over its input.
                entered.append(inputs[0].clone())

        def keep(_: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            x = entered.pop() if entered else None
            if x is not None and isinstance(output, Tensor) and x.shape == output.shape and x.ndim == 4:
                found.setdefault(name, []).append(_gain(x[0].float(), output[0].float()))

        return [module.register_forward_pre_hook(remember), module.register_forward_hook(keep)]

    device = next(detector.parameters()).device
    was_training = detector.training
    hooks = [hook for name, module in grafted_modules(detector) for hook in watch(name, module)]
    detector.eval()
    try:
        detector(detector.normalise(batch.images[:1].to(device)))
    finally:
        detector.train(was_training)
        for hook in hooks:
            hook.remove()
    return tuple(Gain(name, np.mean(values, axis=0)) for name, values in found.items())


def grafted_modules(detector: Detector) -> Iterator[tuple[str, nn.Module]]:
    """Layer name and module of every graft: layers of their own, and those inside the bottlenecks of one."""
    for layer in detector.spec.layers:
        module = detector.layers[key_of(layer.name)]
        if "+" in layer.name:
            yield layer.name, module
        elif layer.inside:
            for path, inner in module.named_modules():
                if f".{path}".endswith(INNER) and not isinstance(inner, nn.Identity):
                    yield layer.name, inner


def _gain(x: Tensor, y: Tensor) -> NDArray[np.float32]:
    """[C, h, w] twice -> [h, w]; where there is nothing to change the gain is 1."""
    energy = (x * x).sum(0)
    ratio = torch.where(energy > 0, (x * y).sum(0) / energy.clamp_min(torch.finfo(x.dtype).tiny), 1.0)
    return ratio.cpu().numpy().astype(np.float32)


def on_picture(values: NDArray[np.floating], box: Letterbox) -> NDArray[np.float32]:
    """A map over the network input, any grid, as float32 [H, W] over the original picture.

    Cells are spread bilinearly; the padding of the letterbox is cut away.
    """
    height, width = box.input
    spread = cv2.resize(np.asarray(values, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    inside = spread[box.top : box.top + box.resized[0], box.left : box.left + box.resized[1]]
    size = (box.original[1], box.original[0])
    return np.asarray(cv2.resize(inside, size, interpolation=cv2.INTER_LINEAR), np.float32)
