"""Localization distillation: how sure the teacher is of every edge of a box.

Zheng et al. 2022, Localization Distillation for Dense Object Detection, arXiv 2102.12252. A distributional
head says of each edge how probable every distance is; loss = tau^2 KL(teacher || student), mean over the four
edges, tau = 10.

Deviations: the paper takes the assigned ("main") region and a second, "valuable localization" region; here
every anchor counts with the teacher's best class score, and the sum is divided by the sum of those scores (at
least 1), as the distribution focal loss divides by its own. weight = 0.1: the paper gives distillation the
weight of that loss, 1.5 in YOLOv8, and its code averages over the bins, 16 there.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from yolograft.distill.view import View
from yolograft.nn.options import number
from yolograft.ops.precision import full_precision, precise


class Localization(nn.Module):
    """KL between the distributions of every edge, weighted by the teacher's score.

    Args:
        tau: temperature. weight: of the loss beside the detector's own.

    Raises:
        ModuleError: an option out of range (YG210).
    """

    def __init__(self, *, tau: float = 10.0, weight: float = 0.1) -> None:
        super().__init__()
        self.tau = number("ld", "tau", tau, above=0)
        self.weight = number("ld", "weight", weight, above=0)

    def forward(self, student: View, teacher: View, *, draw: int) -> Tensor:
        """The loss of a batch, a mean over the teacher's confidence; nothing is drawn."""
        sure = teacher.scores.amax(-1)
        apart = edge_divergence(student.edges, teacher.edges, tau=self.tau)
        return self.weight * (sure * apart).sum() / sure.sum().clamp(min=1)


def edge_divergence(student: Tensor, teacher: Tensor, *, tau: float) -> Tensor:
    """tau^2 KL(teacher || student) of logits [B, A, 4, bins], mean over the edges: [B, A]."""
    with full_precision(student):
        mine, its = ((precise(x) / tau).log_softmax(-1) for x in (student, teacher))
        return tau**2 * F.kl_div(mine, its, reduction="none", log_target=True).sum(-1).mean(-1)
