from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from yolograft.attention.nam import NAM

Array = NDArray[np.float64]


def channel_gate(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array) -> Array:
    """sigmoid(|gamma_c| / sum |gamma| * BN(x)) * x, one number at a time."""
    total = sum(abs(g) for g in gamma)
    out = np.empty_like(x)
    for b, c, i, j in np.ndindex(*x.shape):
        z = gamma[c] * (x[b, c, i, j] - mean[c]) / math.sqrt(variance[c] + 1e-5) + beta[c]
        share = abs(gamma[c]) / total if total else 0.0
        out[b, c, i, j] = x[b, c, i, j] / (1 + math.exp(-share * z))
    return out


def _resized(grid: Array, i: int, j: int, height: int, width: int) -> float:
    """Bilinear value of a map at pixel (i, j) of height x width, pixel centres at half integers."""
    side = len(grid)
    y, x = (max((p + 0.5) * side / n - 0.5, 0.0) for p, n in ((i, height), (j, width)))
    y0, x0 = min(int(y), side - 1), min(int(x), side - 1)
    y1, x1 = min(y0 + 1, side - 1), min(x0 + 1, side - 1)
    fy, fx = y - y0, x - x0
    top = grid[y0, x0] * (1 - fx) + grid[y0, x1] * fx
    return top * (1 - fy) + (grid[y1, x0] * (1 - fx) + grid[y1, x1] * fx) * fy


def pixel_gate(x: Array, weight: Array, bias: Array) -> Array:
    """The documented deviation: pixels normalised over channels, shares on the grid."""
    batch, channels, height, width = x.shape
    share = abs(weight) / abs(weight).sum()
    out = np.empty_like(x)
    for b, i, j in np.ndindex(batch, height, width):
        values = [x[b, c, i, j] for c in range(channels)]
        mean = sum(values) / channels
        variance = sum((v - mean) ** 2 for v in values) / channels
        scale = _resized(share * weight, i, j, height, width)
        offset = _resized(share * bias, i, j, height, width)
        for c, value in enumerate(values):
            logit = (value - mean) / math.sqrt(variance + 1e-5) * scale + offset
            out[b, c, i, j] = value / (1 + math.exp(-logit))
    return out


def randomised(module: NAM) -> NAM:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    return module


@settings(max_examples=12, deadline=None)
@given(
    channels=st.integers(1, 6),
    height=st.integers(2, 5),
    width=st.integers(1, 5),
    training=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_channel_branch_equals_the_equations(
    channels: int, height: int, width: int, training: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(channels)
    module = randomised(NAM(channels)).to(dtype)
    assert isinstance(module.bn, nn.BatchNorm2d)
    module(torch.randn(3, channels, 4, 4, dtype=dtype))
    x = torch.randn(2, channels, height, width, dtype=dtype)
    values = x.double().numpy()
    if training:
        mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3))
    else:
        assert module.bn.running_mean is not None and module.bn.running_var is not None
        mean, variance = module.bn.running_mean.double().numpy(), module.bn.running_var.double().numpy()
    gamma, beta = module.bn.weight.detach().double().numpy(), module.bn.bias.detach().double().numpy()
    expected = channel_gate(values, gamma, beta, mean.copy(), variance.copy())
    found = module.train(training)(x).detach().double().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@settings(max_examples=12, deadline=None)
@given(
    channels=st.integers(2, 5),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    grid=st.integers(1, 4),
    both=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_pixel_branch_equals_its_description(
    channels: int, height: int, width: int, grid: int, both: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(grid)
    module = randomised(NAM(channels, branch="both" if both else "spatial", grid=grid)).to(dtype).eval()
    assert module.pixel_weight is not None and module.pixel_bias is not None
    x = torch.randn(2, channels, height, width, dtype=dtype)
    values = x.double().numpy()
    if module.bn is not None:
        gamma, beta = module.bn.weight.detach().double().numpy(), module.bn.bias.detach().double().numpy()
        values = channel_gate(values, gamma, beta, np.zeros(channels), np.ones(channels))
    weight, bias = (p.detach().double().numpy() for p in (module.pixel_weight, module.pixel_bias))
    expected = pixel_gate(values, weight, bias)
    np.testing.assert_allclose(module(x).detach().double().numpy(), expected, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 32, 256])
def test_parameter_counts(channels: int) -> None:
    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(NAM(channels)) == 2 * channels
    assert count(NAM(channels, branch="pixel", grid=8)) == 2 * 64
    assert count(NAM(channels, branch="both", grid=3)) == 2 * channels + 18


def test_gradient_flows_through_the_share() -> None:
    """Against a form with the share cut out of the graph: same values, another gradient."""
    torch.manual_seed(0)
    module = randomised(NAM(6)).double()
    assert module.bn is not None
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    module(x).square().sum().backward()
    bn = nn.BatchNorm2d(6).double()
    bn.load_state_dict(
        {
            **module.bn.state_dict(),
            **{k: v for k, v in nn.BatchNorm2d(6).state_dict().items() if "running" in k},
        }
    )
    grads = []
    for cut in (False, True):
        bn.zero_grad()
        weight = bn.weight.detach() if cut else bn.weight
        share = (weight.abs() / weight.abs().sum())[:, None, None]
        (torch.sigmoid(share * bn(x)) * x).square().sum().backward()
        assert bn.weight.grad is not None
        grads.append(bn.weight.grad.clone())
    assert module.bn.weight.grad is not None
    torch.testing.assert_close(module.bn.weight.grad, grads[0], rtol=1e-9, atol=1e-9)
    assert (grads[0] - grads[1]).norm() > 0.05 * grads[0].norm()


def test_gradients_are_right_by_finite_differences() -> None:
    torch.manual_seed(0)
    module = randomised(NAM(3, branch="both", grid=2)).double().train()
    x = torch.randn(2, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in module.named_parameters()]
    values = tuple(p.detach().clone().requires_grad_() for p in module.parameters())

    def run(image: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (image,))

    assert torch.autograd.gradcheck(run, (x, *values))


@pytest.mark.parametrize("branch", ["channel", "spatial", "both"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_all_zero_weights_gate_at_one_half_with_finite_gradients(branch: str, dtype: torch.dtype) -> None:
    module = NAM(5, branch=branch).to(dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    x = torch.randn(2, 5, 4, 4).to(dtype).requires_grad_()
    y = module(x)
    torch.testing.assert_close(y, x * (0.25 if branch == "both" else 0.5))
    y.sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_the_pixel_gate_does_not_depend_on_the_map_size() -> None:
    """A map enlarged by pixel repetition keeps its gate, were shares taken over H x W it would fade."""
    module = NAM(4, branch="spatial", grid=1)
    x = torch.randn(1, 4, 5, 6)
    large = x.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(module(large)[:, :, ::4, ::4], module(x))


def test_penalty_is_the_weighted_sum_of_magnitudes() -> None:
    torch.manual_seed(0)
    module = randomised(NAM(6, branch="both", penalty=0.25, grid=3))
    assert module.bn is not None and module.pixel_weight is not None
    loss = module.auxiliary_loss()
    expected = 0.25 * (module.bn.weight.abs().sum() + module.pixel_weight.abs().sum())
    torch.testing.assert_close(loss, expected)
    assert loss.shape == ()
    loss.backward()
    torch.testing.assert_close(module.bn.weight.grad, 0.25 * module.bn.weight.sign())
    assert NAM(6).auxiliary_loss().item() == 0.0


def test_running_statistics_move_as_in_batch_norm() -> None:
    torch.manual_seed(0)
    module, reference = NAM(4), nn.BatchNorm2d(4)
    for _ in range(3):
        x = torch.randn(2, 4, 3, 5)
        module(x)
        reference(x)
    assert module.bn is not None
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(getattr(module.bn, name), getattr(reference, name)), name


def test_another_batch_norm_in_its_place_is_called_not_folded() -> None:
    torch.manual_seed(0)
    module = randomised(NAM(4)).eval()
    x = torch.randn(2, 4, 3, 5)
    folded = module(x)
    assert module.bn is not None
    module.bn.momentum = None
    torch.testing.assert_close(module(x), folded)
