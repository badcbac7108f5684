"""Freed memory is kept between steps, and arms are grouped by what fits.

glibc hands freed memory back to the kernel after every step and pays page faults for it in the next one;
three allocator settings stop that. Elsewhere nothing is changed.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from yolograft.data.memory import available_bytes
from yolograft.distill.distiller import Distiller
from yolograft.engine.arm import Arm
from yolograft.engine.recipe import Recipe
from yolograft.metrics.cost import training_memory_mb
from yolograft.models.build import build
from yolograft.models.codebook import own_failures_in_one_line
from yolograft.models.detector import Detector

# What a step holds beside the maps kept for the backward pass, as a multiple of them.
HELD_BESIDE = 1.5
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_INT_MAX = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory; call before the first large tensor. True if it took effect."""
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _INT_MAX), (_M_TOP_PAD, 256 * 2**20))
    return all(mallopt(code, value) == 1 for code, value in settings)


def free_bytes(device: torch.device) -> int:
    """Memory free on the device right now."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else available_bytes()


@dataclass(frozen=True)
class Need:
    """Counted memory of a training step, bytes: fixed + batch * image.

    fixed: weights, gradients, two moments and the EMA; a teacher and what it makes stand beside the net.
    image: activations of one image.
    """

    fixed: float
    image: float

    def of(self, batch: int) -> float:
        """Bytes of a step of so many images."""
        return self.fixed + batch * self.image


def need_of(arm: Arm, recipe: Recipe) -> Need:
    """What a training step of an arm needs at the largest image of a recipe; takes about as long as one.

    Counted, not estimated from parameters: at the same width, maps of families differ by a factor of two.
    """
    detector = build(arm.spec, code=arm.code)
    fixed = 20.0 * _count(detector)
    with own_failures_in_one_line(arm.code):
        image = training_memory_mb(detector, recipe.largest_size(), batch=1) * 2**20 - fixed
    return Need(fixed + _taught_bytes(arm, detector), HELD_BESIDE * image)


def _taught_bytes(arm: Arm, detector: Detector) -> float:
    """What a teacher weighs, and what trains beside the detector because of it."""
    if not arm.distill or arm.teacher is None:
        return 0.0
    beside = Distiller(arm.distill, detector, arm.teacher.detector, seed=0)
    return 20.0 * _count(beside) + 4.0 * _count(arm.teacher.detector)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def arms_per_group(needs: Sequence[Need], batch: int, device: torch.device) -> int:
    """How many arms can be held at once; only one of them at a time holds activations."""
    activations = batch * max(need.image for need in needs)
    largest = max(need.fixed for need in needs)
    fits = int((free_bytes(device) * 0.8 - activations) // largest)
    return min(max(fits, 1), len(needs))
