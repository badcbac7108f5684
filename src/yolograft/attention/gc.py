"""Global context block.

Cao, Xu, Lin, Wei, Hu, "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond", 2019,
arXiv 1904.11492, equation 5: one attention map for all positions gathers a context vector, two layers with
a layer norm between them transform it, and it is added to every position.

The layer is timm's GlobalContext (timm, Apache-2.0) with the paper's settings: sum instead of timm's gate,
reduction 16. Deviations
- The hidden width has a floor (``min_hidden``).
- The layer of the attention map carries no bias: a constant under a softmax has no effect and no gradient.
- The last layer starts at its usual random values, the authors' at zero. At zero the block is the identity,
  and a graft that starts as ``x + s (f(x) - x)`` with s = 0 would never move.
"""

from __future__ import annotations

from torch import Tensor, nn

from yolograft.nn import options

FUSIONS = ("add", "scale")
POOLS = ("attention", "mean")


class GlobalContext(nn.Module):
    """One context vector per image, the same for every position.

    Args:
        in_channels: channels of the map.
        reduction: hidden width is ``in_channels // reduction``.
        min_hidden: the hidden width is never below this.
        fusion: ``add`` (the paper's choice) or ``scale`` (a sigmoid gate per channel, its ablation).
        pool: ``attention`` (softmax over the positions) or ``mean``.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not one of the choices).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        reduction: int = 16,
        min_hidden: int = 8,
        fusion: str = "add",
        pool: str = "attention",
    ) -> None:
        super().__init__()
        sizes = {"in_channels": in_channels, "reduction": reduction, "min_hidden": min_hidden}
        for name, value in sizes.items():
            options.whole_number("gc", name, value)
        adds = options.choice("gc", "fusion", fusion, FUSIONS) == "add"
        attends = options.choice("gc", "pool", pool, POOLS) == "attention"
        # Here, not above: timm brings torchvision with it, which takes seconds.
        from timm.layers.global_context import GlobalContext as Layer

        self.out_channels = in_channels
        self.layer = Layer(
            in_channels,
            use_attn=attends,
            fuse_add=adds,
            fuse_scale=not adds,
            rd_channels=max(in_channels // reduction, min_hidden),
        )
        if self.layer.conv_attn is not None:
            self.layer.conv_attn.bias = None
        if self.layer.mlp_add is not None:
            self.layer.mlp_add.fc2.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)
