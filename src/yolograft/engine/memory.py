"""Freed memory is kept between steps, and arms are grouped by what fits.

glibc hands freed memory back to the kernel after every step and pays page faults for it in the next one;
three allocator settings stop that. Elsewhere nothing is changed.
"""

from __future__ import annotations

import ctypes
import math
import platform

import torch

from yolograft.data.memory import available_bytes

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


def arms_per_group(params: list[int], batch: int, pixels: int, device: torch.device) -> int:
    """How many arms can be held at once.

    An arm holds its weights, gradients, two moments and the EMA; only one arm at a time holds
    activations, counted generously from parameters and pixels of a batch.
    """
    largest = max(params)
    # A yolov8n keeps 465 bytes a pixel for the backward pass; maps grow with width, parameters with its
    # square. Half as much again for what else a step holds.
    activations = 1.5 * batch * pixels * 465 * math.sqrt(largest / 3e6)
    fits = int((free_bytes(device) * 0.8 - activations) // (20 * largest))
    return min(max(fits, 1), len(params))
