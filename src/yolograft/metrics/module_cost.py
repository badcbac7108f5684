"""What one grafted module costs on one map: parameters, FLOPs, memory kept for the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from yolograft.metrics.cost import count_parameters, saved_bytes

#: The maps yolov8n hands its head for a 640 x 640 image: level -> (C, H, W).
MAPS_AT_640: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"P3": (64, 80, 80), "P4": (128, 40, 40), "P5": (256, 20, 20)}
)


@dataclass(frozen=True, slots=True)
class ModuleCost:
    """One module on one map [1, C, H, W].

    parameters: all of them, trainable or not. flops: 2 per multiply-accumulate of convolutions and matrix
    products, eval mode (``metrics.cost``). kept: what training keeps for the backward pass besides the input
    map itself, in multiples of that map.
    """

    channels: int
    height: int
    width: int
    parameters: int
    flops: int
    kept: float


def module_cost(build: Callable[[int], nn.Module], size: tuple[int, int, int]) -> ModuleCost:
    """Count a module that ``build(channels)`` makes, on a map of ``size`` (C, H, W).

    Two images stand behind ``kept``: normalisation refuses a batch of one where the map is one pixel.
    """
    channels, height, width = size
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        module = build(channels)
    image, batch = torch.zeros(1, *size, device="cpu"), torch.zeros(2, *size, device="cpu")
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module.eval()(image)
    kept = _kept_bytes(module.train(), batch) / batch.untyped_storage().nbytes()
    flops = int(counter.get_total_flops())
    return ModuleCost(channels, height, width, count_parameters(module), flops, kept)


def module_costs(build: Callable[[int], nn.Module]) -> dict[str, ModuleCost]:
    """The costs at P3, P4 and P5 of yolov8n, 640 px."""
    return {level: module_cost(build, size) for level, size in MAPS_AT_640.items()}


def _kept_bytes(module: nn.Module, x: Tensor) -> int:
    """Bytes saved for the backward pass, those of the input, parameters and buffers apart."""
    own = {t.untyped_storage().data_ptr() for t in (x, *module.parameters(), *module.buffers())}
    # A grafted map comes out of a layer that trains, so a gradient with respect to it is wanted.
    return saved_bytes(lambda: module(x.requires_grad_()), own)
