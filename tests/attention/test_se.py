from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yolograft.attention.se import SqueezeExcite

Array = NDArray[np.float64]


def squeeze_excite(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    """Equations 2 to 4 of the paper, one number at a time."""
    batch, channels, height, width = x.shape
    out = np.empty_like(x)
    for b in range(batch):
        z = [sum(x[b, c, i, j] for i in range(height) for j in range(width)) for c in range(channels)]
        z = [value / (height * width) for value in z]
        hidden = [max(0.0, b1[k] + sum(w1[k, c] * z[c] for c in range(channels))) for k in range(len(b1))]
        for c in range(channels):
            gate = 1 / (1 + math.exp(-(b2[c] + sum(w2[c, k] * h for k, h in enumerate(hidden)))))
            for i in range(height):
                for j in range(width):
                    out[b, c, i, j] = x[b, c, i, j] * gate
    return out


@settings(max_examples=10, deadline=None)
@given(
    batch=st.integers(1, 2),
    channels=st.integers(1, 9),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_equals_the_equations(batch: int, channels: int, height: int, width: int, dtype: torch.dtype) -> None:
    torch.manual_seed(channels)
    module = SqueezeExcite(channels, reduction=2, min_hidden=3).to(dtype)
    x = torch.randn(batch, channels, height, width, dtype=dtype)
    w1, w2 = (layer.weight.detach().double().flatten(1).numpy() for layer in (module.fc1, module.fc2))
    b1, b2 = (layer.bias.detach().double().numpy() for layer in (module.fc1, module.fc2))  # type: ignore[union-attr]
    expected = squeeze_excite(x.double().numpy(), w1, b1, w2, b2)
    np.testing.assert_allclose(module(x).detach().double().numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("channels", "hidden"), [(256, 16), (128, 8), (64, 8), (3, 8)])
def test_hidden_width_has_a_floor(channels: int, hidden: int) -> None:
    module = SqueezeExcite(channels)
    assert module.fc1.out_channels == hidden
    assert sum(p.numel() for p in module.parameters()) == 2 * channels * hidden + hidden + channels


def test_equals_timm_with_timms_weights() -> None:
    from timm.layers.squeeze_excite import SEModule

    torch.manual_seed(0)
    theirs, ours = SEModule(256), SqueezeExcite(256)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 256, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x))
