from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strip_loops import sigmoid

from yolograft.attention.gc import GlobalContext

EPSILON = 1e-6  # of timm's layer norm


@settings(max_examples=12, deadline=None)
@given(
    channels=st.integers(2, 6),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    fusion=st.sampled_from(["add", "scale"]),
    pool=st.sampled_from(["attention", "mean"]),
)
def test_equals_the_equations(channels: int, height: int, width: int, fusion: str, pool: str) -> None:
    torch.manual_seed(channels)
    module = GlobalContext(channels, reduction=1, min_hidden=4, fusion=fusion, pool=pool).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    values = {key.split(".", 1)[1]: v.numpy() for key, v in module.state_dict().items()}
    mlp = {key.split(".", 1)[1]: v for key, v in values.items() if key.startswith("mlp")}
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    out = x.numpy().copy()
    for b, image in enumerate(x.numpy()):
        logits = np.zeros((height, width))
        if pool == "attention":
            logits = np.einsum("c,chw->hw", values["conv_attn.weight"][0, :, 0, 0], image)
        shares = np.exp(logits) / np.exp(logits).sum()
        context = [float((shares * plane).sum()) for plane in image]
        hidden = mlp["fc1.weight"][:, :, 0, 0] @ np.array(context) + mlp["fc1.bias"]
        hidden = (hidden - hidden.mean()) / math.sqrt(hidden.var() + EPSILON)
        hidden = np.maximum(0, mlp["norm.weight"] * hidden + mlp["norm.bias"])
        change = mlp["fc2.weight"][:, :, 0, 0] @ hidden + mlp["fc2.bias"]
        for c in range(channels):
            out[b, c] = image[c] + change[c] if fusion == "add" else image[c] * sigmoid(change[c])
    np.testing.assert_allclose(module(x).detach().numpy(), out, rtol=1e-10, atol=1e-11)


def test_has_no_bias_under_the_softmax_and_does_not_start_as_the_identity() -> None:
    """timm starts the added branch at zero weights; a graft behind a scale of zero would never leave it."""
    torch.manual_seed(0)
    module = GlobalContext(16)
    assert "layer.conv_attn.bias" not in dict(module.named_parameters())
    assert all(bool(p.any()) for name, p in module.named_parameters() if "norm.bias" not in name)
    images = torch.randn(2, 16, 4, 4)
    changes = module(images) - images
    assert (changes[0] - changes[1]).abs().max() > 1e-3
    assert sum(p.numel() for p in GlobalContext(256).parameters()) == 256 + 2 * 256 * 16 + 16 + 256 + 2 * 16
