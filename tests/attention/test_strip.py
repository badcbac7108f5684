from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strip_loops import along, conv_weights, sigmoid
from torch import nn

from yolograft.attention.strip import StripAttention


@settings(max_examples=12, deadline=None)
@given(
    channels=st.integers(1, 5),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    kernel=st.sampled_from([1, 3, 5]),
    form=st.sampled_from(["light", "paper"]),
)
def test_equals_the_equations(channels: int, height: int, width: int, kernel: int, form: str) -> None:
    torch.manual_seed(channels)
    module = StripAttention(channels, kernel=kernel, form=form).double()
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    by_row, by_column = conv_weights(module.layer)
    mix, offset = np.eye(channels), np.zeros(channels)
    if form == "paper":
        gate = module.layer.gate
        assert isinstance(gate, nn.Sequential)
        last = gate[0]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        mix, offset = last.weight.detach().numpy()[:, :, 0, 0], last.bias.detach().numpy()
    out = x.numpy().copy()
    for b, image in enumerate(x.numpy()):
        rows, columns = along(image.mean(2), by_row), along(image.mean(1), by_column)
        for c, i, j in np.ndindex(*image.shape):
            crossing = [rows[k, i] + columns[k, j] for k in range(channels)]
            out[b, c, i, j] *= sigmoid(float(offset[c] + mix[c] @ np.array(crossing)))
    np.testing.assert_allclose(module(x).detach().numpy(), out, rtol=1e-11, atol=1e-12)


def test_light_is_timms_and_paper_counts_its_full_layers() -> None:
    from timm.layers.coord_attn import StripAttn

    torch.manual_seed(0)
    theirs, ours = StripAttn(24), StripAttention(24)
    ours.layer.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 24, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x))
    paper = StripAttention(24, kernel=5, form="paper")
    assert sum(p.numel() for p in ours.parameters()) == 6 * 24
    assert sum(p.numel() for p in paper.parameters()) == 2 * 5 * 24**2 + 24**2 + 24
