"""What a stranger's class must show before it is trained: two images that do not know of each other.

The builder's own probe uses one image of contiguous memory; a run uses batches in channels_last.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolograft.errors import ModuleError
from yolograft.models.layout import give_contiguous_maps, to_channels_last

CONTIGUOUS = "gets a contiguous copy of its map: it cannot read channels_last"
# Rounding differs between batch sizes; mixing images changes values by far more.
TOLERANCE = 1e-3


def _runs(module: nn.Module, x: Tensor) -> bool:
    """False whatever it raises: what fails on contiguous maps too will be raised once more, and told."""
    try:
        module(x)
    except Exception:
        return False
    return True


@torch.no_grad()
def try_two_images(
    module: nn.Module, x: Tensor, *, name: str, place: str, classes: tuple[type[nn.Module], ...]
) -> bool:
    """Run a layer in eval mode on two images, in channels_last.

    Args:
        module: the layer, on the CPU; put into eval mode and into the layout of a run.
        x: [2, C, H, W], two different images.
        name, place: module and layer, for the message.
        classes: the user's own classes in it.

    Returns:
        True if the classes need contiguous maps.

    Raises:
        ModuleError: an image's output depends on the other image (YG242).
    """
    module.eval()
    to_channels_last(module, x.device)
    tiled = x.contiguous(memory_format=torch.channels_last)
    contiguous = not _runs(module, tiled)
    if contiguous:
        give_contiguous_maps(module, classes)
    together = module(tiled)
    alone, again = module(tiled[:1]), module(tiled)
    scale = together.abs().max().clamp(min=1e-6)
    steady = (together - again).abs().max() <= TOLERANCE * scale
    if steady and (together[:1] - alone).abs().max() > TOLERANCE * scale:
        cause = f"{name} mixes images: the output for one changes with the others in the batch"
        fix = "give softmax and its kin the dim they mean; 0 is the batch"
        raise ModuleError("YG242", cause, where=place, fix=fix)
    return contiguous
