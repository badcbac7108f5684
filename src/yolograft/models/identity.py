"""Identity at the start: a graft that changes nothing until training says so.

A gate near one half multiplies pretrained features away on step 0. Wrapped here, the grafted net is
the base net bit for bit until the optimiser has moved ``scale``. The zero-initialised scalar on a
residual branch is SkipInit (De, Smith 2020, arXiv 2002.10444) and ReZero (Bachlechner et al. 2021,
arXiv 2003.04887); here it scales the *change* f(x) - x, so that scale = 1 is the published module.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolograft.errors import ModuleError


class IdentityStart(nn.Module):
    """``x + scale * (module(x) - x)`` with one 0-dim parameter ``scale`` at 0.

    0-dim on purpose: it does not promote a bf16 map to fp32, and optimisers that decay only matrices
    leave it alone. State-dict keys: ``scale`` and ``module.*``. In step 0 only ``scale`` has a gradient
    from what the detector predicts. A module that is supervised itself (``supervise``) learns from step 0 on,
    and so do the layers whose map it reads: the map is still the identity, the layers before it move.
    The output has the dtype and memory format of the input.

    Where ``module(x)`` is inf or nan the output is nan even at scale 0 (0 * inf): an identity start
    does not hide a module that overflows.

    Args:
        module: maps [B, C, H, W] to the same shape; ``out_channels`` and ``stride`` are read if declared.
        in_channels: channels of the map.

    Raises:
        ModuleError: YG240 when channels or size change ("no identity form"), here if the module
            declares it, in ``forward`` otherwise.
    """

    def __init__(self, module: nn.Module, *, in_channels: int) -> None:
        super().__init__()
        out_channels, stride = getattr(module, "out_channels", in_channels), getattr(module, "stride", 1)
        if out_channels != in_channels or stride not in (1, (1, 1)):
            cause = (
                f"{type(module).__name__} has no identity form: {in_channels} -> {out_channels} channels, "
                f"stride {stride}; equal channels and stride 1 expected"
            )
            raise ModuleError("YG240", cause, fix="init=paper")
        self.out_channels = in_channels
        self.scale = nn.Parameter(torch.zeros(()))
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        y = self.module(x)
        # Broadcasting would hide a wrong shape (one gate map for all channels).
        if not torch.compiler.is_compiling() and y.shape != x.shape:
            name = type(self.module).__name__
            cause = f"{name} has no identity form: {list(x.shape)} -> {list(y.shape)}, equal shapes expected"
            raise ModuleError("YG240", cause, fix="init=paper")
        return x + self.scale * (y.to(x.dtype) - x)
