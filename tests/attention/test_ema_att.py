from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yolograft.attention.ema_att import EMAAttention

Array = NDArray[np.float64]


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(v - max(values)) for v in values]
    return [p / sum(powers) for p in powers]


def one_group(g: Array, w1: Array, b1: Array, w3: Array, b3: Array, gamma: Array, beta: Array) -> Array:
    """Figure 3 of the paper on one group [c, H, W], one number at a time."""
    width, rows, columns = g.shape

    def strip_gate(pooled: Array) -> Array:  # [c, L] -> [c, L]
        gates = np.empty_like(pooled)
        for k, position in np.ndindex(*pooled.shape):
            logit = b1[k] + sum(w1[k, c] * pooled[c, position] for c in range(width))
            gates[k, position] = 1 / (1 + math.exp(-logit))
        return gates

    by_row, by_column = strip_gate(g.mean(2)), strip_gate(g.mean(1))
    strips, local = np.empty_like(g), np.empty_like(g)
    for c in range(width):
        gated = np.array(
            [[g[c, i, j] * by_row[c, i] * by_column[c, j] for j in range(columns)] for i in range(rows)]
        )
        strips[c] = gamma[c] * (gated - gated.mean()) / math.sqrt(gated.var() + 1e-5) + beta[c]
        for i, j in np.ndindex(rows, columns):
            local[c, i, j] = b3[c] + sum(
                w3[c, k, u, v] * g[k, i + u - 1, j + v - 1]
                for k, u, v in np.ndindex(width, 3, 3)
                if 0 <= i + u - 1 < rows and 0 <= j + v - 1 < columns
            )
    of_strips = softmax([float(strips[c].mean()) for c in range(width)])
    of_local = softmax([float(local[c].mean()) for c in range(width)])
    out = np.empty_like(g)
    for i, j in np.ndindex(rows, columns):
        logit = sum(of_strips[c] * local[c, i, j] + of_local[c] * strips[c, i, j] for c in range(width))
        out[:, i, j] = g[:, i, j] / (1 + math.exp(-logit))
    return out


def randomised(channels: int, groups: int) -> EMAAttention:
    torch.manual_seed(channels)
    module = EMAAttention(channels, groups=groups).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return module


@settings(max_examples=12, deadline=None)
@given(width=st.integers(1, 4), groups=st.integers(1, 3), height=st.integers(1, 5), columns=st.integers(1, 5))
def test_equals_the_figure(width: int, groups: int, height: int, columns: int) -> None:
    module = randomised(width * groups, groups)
    x = torch.randn(2, width * groups, height, columns, dtype=torch.float64)
    w1, w3 = module.conv1.weight.detach().numpy()[:, :, 0, 0], module.conv3.weight.detach().numpy()
    assert module.conv1.bias is not None and module.conv3.bias is not None
    b1, b3 = module.conv1.bias.detach().numpy(), module.conv3.bias.detach().numpy()
    gamma, beta = module.norm.weight.detach().numpy(), module.norm.bias.detach().numpy()
    parts = [one_group(g, w1, b1, w3, b3, gamma, beta) for g in x.numpy().reshape(-1, width, height, columns)]
    expected = np.stack(parts).reshape(x.shape)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-9, atol=1e-10)


def test_groups_share_weights_and_do_not_see_each_other() -> None:
    module = randomised(12, 3)
    x = torch.randn(1, 12, 4, 5, dtype=torch.float64)
    swapped = x.unflatten(1, (3, 4)).flip(1).flatten(1, 2)
    torch.testing.assert_close(module(swapped).unflatten(1, (3, 4)).flip(1).flatten(1, 2), module(x))
    assert sum(p.numel() for p in EMAAttention(64).parameters()) == 8 * 8 * 10 + 2 * 8 + 2 * 8
