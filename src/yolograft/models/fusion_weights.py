"""What the weighted joins of a detector have learned."""

from __future__ import annotations

from typing import Any

import torch

from yolograft.graph.sites import FUSIONS
from yolograft.models.detector import Detector, key_of


@torch.no_grad()
def fusion_weights(detector: Detector) -> dict[str, dict[str, float]]:
    """Of every join that learns to weigh: the layer it reads -> its normalised weight. Empty without any."""
    found = {}
    for layer in detector.spec.layers:
        shares: Any = getattr(detector.layers[key_of(layer.name)], "shares", None)
        # Under fusion=sum nothing is learned, and there is nothing to follow.
        if layer.module in FUSIONS and shares is not None and [*shares.parameters()]:
            found[layer.name] = dict(zip(layer.inputs, shares().tolist(), strict=True))
    return found


def fusion_curves(detector: Detector) -> dict[str, float]:
    """The same, flat, as a history keeps it: ``fusion/JOIN/INPUT`` -> weight."""
    joins = fusion_weights(detector).items()
    return {f"fusion/{join}/{source}": value for join, row in joins for source, value in row.items()}
