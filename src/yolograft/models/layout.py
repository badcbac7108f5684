"""Memory layout: networks run channels_last, and a stranger's class that cannot gets contiguous maps.

PyTorch's own name for it: the channel is the fastest axis, which its convolutions on CPUs and on GPUs with
tensor cores prefer. `.view` of a map that splits rows or merges the batch fails there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def to_channels_last(module: nn.Module, device: torch.device) -> None:
    """Move a module in place; its 4-D tensors in channels_last, all others (5-D kernels too) as they are.

    Parts that get contiguous maps keep contiguous weights: a convolution answers in the layout of either.
    """
    module.to(device)
    apart = {id(t) for part in module.modules() if _gets_contiguous(part) for t in _tensors(part)}
    for tensor in _tensors(module):
        if tensor.ndim == 4 and id(tensor) not in apart:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)


def give_contiguous_maps(module: nn.Module, classes: tuple[type[nn.Module], ...]) -> None:
    """Let every part of these classes receive contiguous copies of its maps, and have contiguous weights."""
    for part in module.modules():
        if isinstance(part, classes) and not _gets_contiguous(part):
            part.register_forward_pre_hook(_contiguous)
            for tensor in _tensors(part):
                # A clone: the strides of a 1x1 kernel pass for either layout, and convolutions look at them.
                tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _gets_contiguous(module: nn.Module) -> bool:
    return _contiguous in module._forward_pre_hooks.values()


def _contiguous(_module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.contiguous() if isinstance(a, Tensor) else a for a in arguments)
