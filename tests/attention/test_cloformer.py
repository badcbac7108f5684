from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from yolograft.attention.cloformer import AttnConv, CloFormerAttention, PooledAttention, window_means

Array = NDArray[np.float64]


def pointwise(layer: nn.Module, maps: Array) -> Array:
    """A 1x1 layer on [C, H, W]."""
    assert isinstance(layer, nn.Conv2d)
    weight = layer.weight.detach().numpy()[:, :, 0, 0]
    bias = layer.bias.detach().numpy() if layer.bias is not None else np.zeros(len(weight))
    out = np.empty((len(weight), *maps.shape[1:]))
    for i, j in np.ndindex(*maps.shape[1:]):
        out[:, i, j] = weight @ maps[:, i, j] + bias
    return out


def depthwise(layer: nn.Conv2d, maps: Array) -> Array:
    kernel = layer.weight.detach().numpy()[:, 0]
    assert layer.bias is not None
    bias, half, out = layer.bias.detach().numpy(), kernel.shape[-1] // 2, np.empty_like(maps)
    _, height, width = maps.shape
    for c, i, j in np.ndindex(*maps.shape):
        out[c, i, j] = bias[c]
        for (u, v), weight in np.ndenumerate(kernel[c]):
            if 0 <= i + u - half < height and 0 <= j + v - half < width:
                out[c, i, j] += weight * maps[c, i + u - half, j + v - half]
    return out


def local_branch(branch: AttnConv, x: Array, head_width: int) -> Array:
    """Equations 4 to 8: shared weights mix q, k and v, context-aware weights weigh v."""
    q, k, v = np.split(depthwise(branch.mix, pointwise(branch.qkv, x)), 3)
    hidden = pointwise(branch.weigh[0], q * k)
    hidden = hidden * np.vectorize(lambda t: 1 / (1 + math.exp(-t)))(hidden)
    return np.tanh(pointwise(branch.weigh[2], hidden) / math.sqrt(head_width)) * v


def means_of_windows(x: Array, window: int) -> Array:
    """Each window's mean over the pixels it holds, by slices that end where the map ends."""
    channels, height, width = x.shape
    rows, columns = -(-height // window), -(-width // window)
    out = np.empty((channels, rows, columns))
    for c, i, j in np.ndindex(channels, rows, columns):
        out[c, i, j] = x[c, i * window : (i + 1) * window, j * window : (j + 1) * window].mean()
    return out


def global_branch(branch: PooledAttention, x: Array, head_width: int) -> Array:
    q = pointwise(branch.q, x)
    k, v = np.split(pointwise(branch.kv, means_of_windows(x, branch.window)), 2)
    out = np.empty_like(q)
    for head in range(branch.heads):
        own = slice(head * head_width, (head + 1) * head_width)
        keys, values = k[own].reshape(head_width, -1), v[own].reshape(head_width, -1)
        for i, j in np.ndindex(*q.shape[1:]):
            logits = [float(q[own, i, j] @ key) / math.sqrt(head_width) for key in keys.T]
            powers = [math.exp(logit - max(logits)) for logit in logits]
            out[own, i, j] = sum(p * value for p, value in zip(powers, values.T, strict=True)) / sum(powers)
    return out


def randomised(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
    return module


SPLITS = [(1, 3, (1, 1)), (2, 3, (0, 2)), (2, 5, (2, 0)), (1, "1-3", (1, 1, 2)), (3, "3-5", "1-0-1")]


@settings(max_examples=14, deadline=None)
@given(
    split=st.sampled_from(SPLITS),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    window=st.integers(1, 7),
    bias=st.booleans(),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_equals_the_equations(
    split: tuple, height: int, width: int, window: int, bias: bool, layout: torch.memory_format
) -> None:
    torch.manual_seed(window)
    head_width, kernels, shares = split
    heads = sum(int(n) for n in (shares.split("-") if isinstance(shares, str) else shares))
    module = CloFormerAttention(
        heads * head_width, heads=heads, kernels=kernels, group_split=shares, window=window, qkv_bias=bias
    )
    randomised(module.double())
    x = torch.randn(2, heads * head_width, height, width, dtype=torch.float64)
    expected = []
    for image in x.numpy():
        parts = [local_branch(branch, image, head_width) for branch in module.local_branches]  # type: ignore[arg-type]
        if module.global_branch is not None:
            parts.append(global_branch(module.global_branch, image, head_width))
        expected.append(pointwise(module.proj, np.concatenate(parts)))
    found = module(x.contiguous(memory_format=layout)).detach().numpy()
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("channels", "parameters"), [(128, 79_360), (256, 306_176), (512, 1_202_176)])
def test_parameters_of_the_published_block(channels: int, parameters: int) -> None:
    """heads 8 as [4, 4], kernel 5: counted from the authors' EfficientAttention."""
    module = CloFormerAttention(channels, kernels=5, heads=8, group_split=(4, 4), window=10)
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert sum(p.numel() for p in CloFormerAttention(channels).parameters()) == parameters


@pytest.mark.parametrize(
    ("channels", "parameters"),
    [(256, 287_232), (512, 1_115_136), (768, 2_483_712), (1024, 4_392_960), (1280, 6_842_880)],
)
def test_parameters_in_the_five_scales_of_yolov5(channels: int, parameters: int) -> None:
    """heads 16 as [4, 12], kernel 9, window 1 before the pooling pyramid: what the grafted row adds."""
    with torch.device("meta"):
        module = CloFormerAttention(channels, heads=16, kernels=9, group_split="4-12", window=1)
    assert sum(p.numel() for p in module.parameters()) == parameters


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), window=st.integers(1, 9))
def test_padding_is_in_no_mean(height: int, width: int, window: int) -> None:
    torch.manual_seed(height)
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    found = window_means(x, window)
    expected = np.stack([means_of_windows(image, window) for image in x.numpy()])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)
    # The same map cut from a larger one: what lay beyond the edge leaves no trace.
    larger = torch.full((2, 3, height + 9, width + 9), 1e6, dtype=torch.float64)
    larger[..., :height, :width] = x
    torch.testing.assert_close(window_means(larger[..., :height, :width], window), found)
    ones = window_means(torch.ones(1, 1, height, width, dtype=torch.float64), window)
    torch.testing.assert_close(ones, torch.ones_like(ones))


def test_the_leak_would_be_seen() -> None:
    """The fault, planted: padded zeros counted in the means of windows over the edge."""
    x = torch.ones(1, 1, 9, 9)
    leaking = F.avg_pool2d(F.pad(x, (0, 5, 0, 5)), 7)
    assert leaking[0, 0, 1, 1] == pytest.approx(4 / 49)
    assert window_means(x, 7)[0, 0, 1, 1] == 1


@pytest.mark.parametrize("shares", [(0.5, 0.0), (0.0, 0.5)])
def test_dropping_is_of_training_only_and_from_torchs_generator(shares: tuple[float, float]) -> None:
    torch.manual_seed(0)
    module = CloFormerAttention(16, attn_drop=shares[0], proj_drop=shares[1])
    plain = CloFormerAttention(16)
    plain.load_state_dict(module.state_dict(), strict=True)
    x = torch.randn(2, 16, 9, 10)
    assert torch.equal(module.eval()(x), plain.eval()(x))
    module.train()
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(module(x))
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_equal_shares_when_none_are_given() -> None:
    module = CloFormerAttention(32, kernels="3-5")  # 8 heads: 2, 2 and the rest
    assert [branch.mix.out_channels for branch in module.local_branches] == [24, 24]  # type: ignore[union-attr]
    assert module.global_branch is not None and module.global_branch.heads == 4
    alone = CloFormerAttention(16, heads=1)
    assert len(alone.local_branches) == 0 and alone.global_branch is not None
