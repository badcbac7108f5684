"""Normalization-based attention.

Liu, Shao, Teng, Hoffmann, "NAM: Normalization-based Attention Module", 2021, arXiv 2111.12419.
Channel gate: sigmoid(w * BN(x)), w = |gamma| / sum |gamma|; the loss term is p * sum |gamma|.

Deviations
- The share w is differentiable (released code cuts it out of the graph); with all gammas at zero it is 0,
  so the gate is .5 and gradients stay finite (0 / 0 in the paper's form).
- w folds into the affine of the batch norm (same values, no permuted copies).
- ``free_size_pixels``: the paper's pixel branch batch-normalises over a fixed H x W, one lambda per
  pixel. Here every pixel is normalised over the channels of its own image (no running statistics), and
  lambda and its offset live on a ``grid`` x ``grid`` map resized bilinearly to H x W; shares are taken on
  the grid, so the gate does not depend on the size of the map. Any H x W works, in any batch.
- ``both`` applies channel, then pixel (the order of CBAM, which the paper follows).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yolograft.nn import options

BRANCHES = {"channel": ("channel",), "spatial": ("pixel",), "pixel": ("pixel",), "both": ("channel", "pixel")}


def _share(weight: Tensor) -> Tensor:
    """|weight| / sum |weight|, 0 where all are 0; the floor bounds the gradient near zero."""
    magnitude = weight.abs()
    return magnitude / magnitude.sum().clamp_min(max(torch.finfo(weight.dtype).tiny, 1e-12))


class NAM(nn.Module):
    """Gates taken from the scale factors of a normalisation; the default has exactly 2 C parameters.

    Args:
        in_channels: channels of the map.
        branch: ``channel`` (default), ``spatial`` (also ``pixel``) or ``both``.
        penalty: weight p of the sparsity term, >= 0; see ``auxiliary_loss``.
        grid: side of the pixel branch's parameter map (2 grid^2 parameters); unused by ``channel``.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not one of the choices).
    """

    def __init__(
        self, in_channels: int, *, branch: str = "channel", penalty: float = 0.0, grid: int = 8
    ) -> None:
        super().__init__()
        for name, value in {"in_channels": in_channels, "grid": grid}.items():
            options.whole_number("nam", name, value)
        branches = BRANCHES[options.choice("nam", "branch", branch, BRANCHES)]
        self.out_channels = in_channels
        self.penalty = options.number("nam", "penalty", penalty)
        self.bn = nn.BatchNorm2d(in_channels) if "channel" in branches else None
        with_pixels = "pixel" in branches
        self.pixel_weight = nn.Parameter(torch.ones(grid, grid)) if with_pixels else None
        self.pixel_bias = nn.Parameter(torch.zeros(grid, grid)) if with_pixels else None

    def auxiliary_loss(self) -> Tensor:
        """Scalar ``penalty * (sum |gamma| + sum |lambda|)``, already weighted (the paper's equation 5)."""
        weights = [self.bn.weight] if self.bn is not None else []
        weights += [self.pixel_weight] if self.pixel_weight is not None else []
        return self.penalty * torch.stack([weight.abs().sum() for weight in weights]).sum()

    def _channel_logits(self, x: Tensor, bn: nn.BatchNorm2d) -> Tensor:
        share = _share(bn.weight)
        if (
            type(bn) is not nn.BatchNorm2d or bn.momentum is None
        ):  # synchronised or averaging: not ours to fold
            return share.to(x.dtype)[:, None, None] * bn(x)
        if bn.training and bn.num_batches_tracked is not None:
            bn.num_batches_tracked.add_(1)
        weight, bias = bn.weight * share, bn.bias * share
        use_batch = bn.training or bn.running_mean is None
        return F.batch_norm(x, bn.running_mean, bn.running_var, weight, bias, use_batch, bn.momentum, bn.eps)

    def _pixel_logits(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        share = _share(weight)
        maps = torch.stack((share * weight, share * bias))[None]  # [1, 2, grid, grid]
        size = (x.shape[2], x.shape[3])
        scale, offset = (
            F.interpolate(maps, size, mode="bilinear", align_corners=False).to(x.dtype).split(1, 1)
        )
        variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        return (x - mean) * (torch.rsqrt(variance + 1e-5) * scale) + offset

    def forward(self, x: Tensor) -> Tensor:
        if self.bn is not None:
            x = x * self._channel_logits(x, self.bn).sigmoid()
        if self.pixel_weight is not None and self.pixel_bias is not None:
            x = x * self._pixel_logits(x, self.pixel_weight, self.pixel_bias).sigmoid()
        return x
