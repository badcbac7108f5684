"""Masked generative distillation: from what is left of the student's map, the teacher's is to be made.

Yang et al. 2022, Masked Generative Distillation, arXiv 2205.01529. On each level random positions of the
student's map, a share `mask` of them, are set to zero in all channels (0.65, as in the paper for one-stage
detectors); two 3x3 convolutions with a ReLU between them make the teacher's map of the rest; squared error.

Deviations: the mean over channels and positions, where the paper sums and multiplies by 2e-5, so that one
weight serves every image size and scale (at 640 pixels and 128 channels at stride 8 the paper's factor is a
weight of 16 on that level); weight = 1 makes the term about as large as a detector's own losses.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolograft import rng
from yolograft.distill.adapters import adapters
from yolograft.distill.view import View
from yolograft.nn.options import number, share
from yolograft.ops.precision import full_precision, precise


class MaskedGenerative(nn.Module):
    """Squared error of the teacher's maps made from masked maps of the student.

    Args:
        student, teacher: channels of the maps the heads read, level by level.
        mask: share of positions that are hidden. weight: of the loss beside the detector's own.

    Raises:
        ModuleError: an option out of range (YG210).
    """

    def __init__(
        self, student: Sequence[int], teacher: Sequence[int], *, mask: float = 0.65, weight: float = 1.0
    ) -> None:
        super().__init__()
        self.mask = share("mgd", "mask", mask)
        self.weight = number("mgd", "weight", weight, above=0)
        self.adapters = adapters(student, teacher)
        self.generators = nn.ModuleList(_generator(channels) for channels in teacher)

    def forward(self, student: View, teacher: View, *, draw: int) -> Tensor:
        """The loss of a batch, a mean over images; the masks follow from ``draw`` alone."""
        levels = zip(self.adapters, self.generators, student.maps, teacher.maps, strict=True)
        terms = []
        for level, (adapt, generate, mine, its) in enumerate(levels):
            left = visible(its, mask=self.mask, seed=rng.seed_of(draw, "mgd", level))
            terms.append(squared_error(generate(adapt(mine) * left), its))
        return self.weight * torch.stack(terms).sum()


def _generator(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
    )


def visible(like: Tensor, *, mask: float, seed: int) -> Tensor:
    """[B, 1, H, W] of 0 and 1 for maps [B, C, H, W]: 0 with probability ``mask``, on every device alike."""
    batch, _, height, width = like.shape
    # A generator of its own on the CPU: hidden state and the device must not show.
    drawn = torch.rand((batch, 1, height, width), generator=torch.Generator().manual_seed(seed))
    return (drawn >= mask).to(like.device, like.dtype)


def squared_error(made: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of two maps."""
    with full_precision(made):
        return F.mse_loss(precise(made), precise(teacher))
