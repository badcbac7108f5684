"""Channel-wise distillation: where in the image each channel fires.

Shu et al. 2021, Channel-wise Knowledge Distillation for Dense Prediction, arXiv 2011.13256. Of every channel
the softmax over positions is a distribution; loss = tau^2 / (C N) * sum over channels and images of
KL(teacher || student), summed over the levels. tau = 1 and weight = 5 a level are what the authors' detection
configurations take. Deviation: the maps are those the head reads rather than an FPN's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolograft.distill.adapters import adapters
from yolograft.distill.view import View
from yolograft.nn.options import number
from yolograft.ops.precision import full_precision, precise


class ChannelWise(nn.Module):
    """KL between the softmax over positions of every channel.

    Args:
        student, teacher: channels of the maps the heads read, level by level.
        tau: temperature, the maps are divided by it. weight: of the loss beside the detector's own.

    Raises:
        ModuleError: an option out of range (YG210).
    """

    def __init__(
        self, student: Sequence[int], teacher: Sequence[int], *, tau: float = 1.0, weight: float = 5.0
    ) -> None:
        super().__init__()
        self.tau = number("cwd", "tau", tau, above=0)
        self.weight = number("cwd", "weight", weight, above=0)
        # A softmax over positions does not see what is added to a whole channel.
        self.adapters = adapters(student, teacher, bias=False)

    def forward(self, student: View, teacher: View, *, draw: int) -> Tensor:
        """The loss of a batch, a mean over images; nothing is drawn."""
        pairs = zip(self.adapters, student.maps, teacher.maps, strict=True)
        terms = [channel_divergence(adapt(mine), its, tau=self.tau) for adapt, mine, its in pairs]
        return self.weight * torch.stack(terms).sum()


def channel_divergence(student: Tensor, teacher: Tensor, *, tau: float) -> Tensor:
    """tau^2 KL(teacher || student) of maps [B, C, H, W], softmax over positions, mean over B and C."""
    with full_precision(student):
        mine, its = ((precise(x).flatten(2) / tau).log_softmax(-1) for x in (student, teacher))
        return tau**2 * F.kl_div(mine, its, reduction="sum", log_target=True) / mine.shape[:2].numel()
