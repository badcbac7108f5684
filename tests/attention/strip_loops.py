"""Strips of a map, one number at a time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import nn

Array = NDArray[np.float64]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def along(strip: Array, weight: Array) -> Array:
    """Convolution of [C, L] with [C, 1 or C, k], zeros beyond the ends."""
    half, length = weight.shape[-1] // 2, strip.shape[1]
    out = np.zeros_like(strip)
    for c, position in np.ndindex(*strip.shape):
        sources = [c] if weight.shape[1] == 1 else range(len(strip))
        for k, source in enumerate(sources):
            for tap, w in enumerate(weight[c, k]):
                if 0 <= position + tap - half < length:
                    out[c, position] += w * strip[source, position + tap - half]
    return out


def conv_weights(layer: nn.Module) -> tuple[Array, Array]:
    rows, columns = (getattr(layer, name).weight.detach().numpy() for name in ("conv_h", "conv_w"))
    return rows[..., 0], columns[..., 0, :]
