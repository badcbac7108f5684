"""From a student's channels to its teacher's: what lets detectors of other widths and families teach.

Romero et al. 2015, FitNets: Hints for Thin Deep Nets, arXiv 1412.6550 (a regressor on top of the student).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def adapters(student: Sequence[int], teacher: Sequence[int], *, bias: bool = True) -> nn.ModuleList:
    """One module a level, [B, student, H, W] -> [B, teacher, H, W].

    A 1x1 convolution, and nothing where the channels agree: a student that equals its teacher has nothing to
    learn then.
    """
    pairs = zip(student, teacher, strict=True)
    return nn.ModuleList(nn.Identity() if s == t else nn.Conv2d(s, t, 1, bias=bias) for s, t in pairs)
