"""Logit distillation: the class scores of every anchor, each class a yes or no of its own.

Hinton et al. 2015, Distilling the Knowledge in a Neural Network, arXiv 1503.02531 (temperature, tau^2); that
a detector's classes are many binary questions rather than one softmax: Yang et al. 2023, Bridging Cross-task
Protocol Inconsistency for Distillation in Dense Object Detection, arXiv 2308.14286.

loss = tau^2 * sum over anchors and classes of KL((p, 1 - p) teacher || student), divided by the sum of the
teacher's best class scores (at least 1), as YOLOv8 divides its class loss by the sum of its targets.
Deviations: KL for cross-entropy (the same gradient, and zero where both agree), without the weight
|p_teacher - p_student| of the second paper; the score is what decode gives, where a family has objectness
that times the class.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolograft.distill.view import View
from yolograft.nn.options import number
from yolograft.ops.precision import full_precision, precise

# Scores are kept between these: logits and their slope 1 / (p (1 - p)) stay finite in float32, whose steps
# near 1 are 6e-8. Beyond them no gradient passes; a student that is most wrong lies far above the lower one.
LEAST, MOST = 1e-20, 1 - 1e-7


class Logit(nn.Module):
    """Binary KL of the class scores of every anchor.

    Args:
        tau: temperature. weight: of the loss beside the detector's own.

    Raises:
        ModuleError: an option out of range (YG210).
    """

    def __init__(self, *, tau: float = 1.0, weight: float = 1.0) -> None:
        super().__init__()
        self.tau = number("logit", "tau", tau, above=0)
        self.weight = number("logit", "weight", weight, above=0)

    def forward(self, student: View, teacher: View, *, draw: int) -> Tensor:
        """The loss of a batch, a mean over the teacher's confidence; nothing is drawn."""
        apart = binary_divergence(student.scores, teacher.scores, tau=self.tau)
        return self.weight * apart.sum() / teacher.scores.amax(-1).sum().clamp(min=1)


def binary_divergence(student: Tensor, teacher: Tensor, *, tau: float) -> Tensor:
    """tau^2 KL((p, 1 - p) teacher || student) of scores in 0..1, element by element, logits over tau."""
    with full_precision(student):
        mine, its = (_logit(precise(x)) / tau for x in (student, teacher))
        # p log(p/q) + (1-p) log((1-p)/(1-q)) in logits; as written there, small scores would cancel to noise.
        return tau**2 * (F.softplus(mine) - F.softplus(its) - its.sigmoid() * (mine - its))


def _logit(score: Tensor) -> Tensor:
    kept = score.clamp(LEAST, MOST)
    return kept.log() - torch.log1p(-kept)
