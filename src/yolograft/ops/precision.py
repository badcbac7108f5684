"""Boxes and losses lose pixels in bf16: full precision where a caller has autocast on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """A context in which no autocast is on for the device of a tensor."""
    device = like.device.type
    known = torch.amp.is_autocast_available(device)  # not for meta
    if known and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def precise(x: Tensor) -> Tensor:
    """At least float32; what comes in double stays so."""
    return x if x.dtype is torch.float64 else x.float()
