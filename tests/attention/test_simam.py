from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yolograft.attention.simam import SimAM

Array = NDArray[np.float64]


def energy_gate(x: Array, e_lambda: float) -> Array:
    """Equations 5 and 6 of the paper, one number at a time."""
    out = np.empty_like(x)
    for b, c in np.ndindex(*x.shape[:2]):
        values = [float(v) for v in x[b, c].ravel()]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        for (i, j), t in np.ndenumerate(x[b, c]):
            energy = 4 * (variance + e_lambda) / ((t - mean) ** 2 + 2 * variance + 2 * e_lambda)
            out[b, c, i, j] = t / (1 + math.exp(-1 / energy))
    return out


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(1, 6), width=st.integers(1, 6), e_lambda=st.floats(1e-4, 1.0), offset=st.floats(-5, 5)
)
def test_equals_the_equations(height: int, width: int, e_lambda: float, offset: float) -> None:
    torch.manual_seed(height)
    x = torch.randn(2, 3, height, width, dtype=torch.float64) + offset
    found = SimAM(3, e_lambda=e_lambda)(x).numpy()
    np.testing.assert_allclose(found, energy_gate(x.numpy(), e_lambda), rtol=1e-9, atol=1e-12)


def test_no_parameters_and_a_flat_map_keeps_one_gate() -> None:
    module = SimAM(4)
    assert not list(module.parameters())
    flat = torch.full((1, 4, 3, 5), 2.0)
    torch.testing.assert_close(module(flat), flat * torch.tensor(0.5).sigmoid())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_values_do_not_overflow_in_half_precision(dtype: torch.dtype) -> None:
    """The square of a deviation of 300 is no fp16 number; the gate is."""
    x = torch.zeros(1, 1, 16, 16, dtype=dtype)
    x[..., 0, 0] = 300
    y = SimAM(1)(x)
    assert y.isfinite().all() and y[..., 0, 0].item() == 300
