"""Freed memory is kept between steps, and arms are grouped by what fits.

glibc hands freed memory back to the kernel after every step and pays page faults for it in the next one;
three allocator settings stop that. Elsewhere nothing is changed.
"""

from __future__ import annotations

import copy
import ctypes
import platform
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from yolograft.data.memory import available_bytes
from yolograft.distill.distiller import Distiller, head_channels
from yolograft.distill.view import View
from yolograft.engine.arm import Arm
from yolograft.engine.recipe import Recipe
from yolograft.metrics.cost import saved_bytes, training_memory_mb
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
    """Counted memory of a training step, bytes: fixed + shared + batch * image.

    fixed: weights, gradients, two moments and the EMA, of what trains beside the net as well. image:
    activations of one image, those of its lesson among them. shared: the teacher, one for all arms.
    """

    fixed: float
    image: float
    shared: float = 0.0

    def of(self, batch: int) -> float:
        """Bytes of a step of so many images."""
        return self.fixed + self.shared + batch * self.image


def need_of(arm: Arm, recipe: Recipe) -> Need:
    """What a training step of an arm needs at the largest image of a recipe; takes about as long as one.

    Counted, not estimated from parameters: at the same width, maps of families differ by a factor of two.
    """
    detector = build(arm.spec, code=arm.code)
    fixed = 20.0 * _count(detector)
    with own_failures_in_one_line(arm.code):
        image = training_memory_mb(detector, recipe.largest_size(), batch=1) * 2**20 - fixed
    lesson = need_of_lesson(arm, detector, recipe.largest_size())
    return Need(fixed + lesson.fixed, HELD_BESIDE * (image + lesson.image), lesson.shared)


def need_of_lesson(arm: Arm, detector: Detector, imgsz: tuple[int, int]) -> Need:
    """What learning from a teacher adds to a step of an arm; nothing for an arm without one.

    fixed: what trains beside the detector. image: what the teacher shows, and what the methods keep for the
    backward pass, at (height, width) `imgsz`. shared: the teacher. What its own forward pass holds for a
    moment is not in it: that is over before the student's begins.
    """
    if not arm.distill or arm.teacher is None:
        return Need(0.0, 0.0)
    teacher = arm.teacher.detector
    beside = Distiller(arm.distill, detector, teacher, seed=0)
    mine, its = _blank_view(detector, imgsz), _blank_view(teacher, imgsz)
    for shown in _tensors(mine):
        shown.requires_grad_()
    outside = (*beside.parameters(), *_tensors(mine), *_tensors(its))
    there = {tensor.untyped_storage().data_ptr() for tensor in outside}
    kept = saved_bytes(lambda: beside(mine, its, draw=0), there)
    shown = sum(tensor.nbytes for tensor in _tensors(its))
    return Need(20.0 * _count(beside), kept + shown, 4.0 * _count(teacher))


@torch.no_grad()
def _blank_view(detector: Detector, imgsz: tuple[int, int]) -> View:
    """A view of one image with the right sizes, on the CPU: blank maps, and what the head makes of them."""
    twin = copy.deepcopy(detector).cpu().eval()
    height, width = imgsz
    levels = zip(head_channels(detector), detector.head.strides, strict=True)
    maps = tuple(torch.zeros(1, channels, height // s, width // s) for channels, s in levels)
    return View(twin, maps, twin.head(maps))


def _tensors(view: View) -> tuple[Tensor, ...]:
    return (*view.maps, *(tensor for level in view.raw.levels for tensor in level))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def arms_per_group(needs: Sequence[Need], batch: int, device: torch.device) -> int:
    """How many arms can be held at once beside their teacher; one of them at a time holds activations."""
    once = max(need.shared for need in needs) + batch * max(need.image for need in needs)
    largest = max(need.fixed for need in needs)
    fits = int((free_bytes(device) * 0.8 - once) // largest)
    return min(max(fits, 1), len(needs))
