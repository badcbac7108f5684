"""The placebo: what it computes, how many parameters it has, what it does not see."""

from __future__ import annotations

import pytest
import torch

from yolograft.attention.placebo import Placebo
from yolograft.errors import ModuleError


@pytest.mark.parametrize(("channels", "hidden", "size"), [(8, 1, (1, 1)), (16, 5, (7, 3)), (3, 12, (5, 9))])
def test_it_is_the_formula_and_nothing_else(channels: int, hidden: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module, x = Placebo(channels, hidden=hidden), torch.randn(2, channels, *size)
    down, up = (w.reshape(w.shape[:2]) for w in (module.down.weight, module.up.weight))
    inner = torch.einsum("hc,bcyx->bhyx", down, x)
    expected = x + torch.einsum("ch,bhyx->bcyx", up, inner * torch.sigmoid(inner))
    assert torch.allclose(module(x), expected, atol=1e-6)
    assert sum(p.numel() for p in module.parameters()) == 2 * channels * hidden
    assert module.out_channels == channels


def test_it_sees_one_position() -> None:
    torch.manual_seed(0)
    module, x = Placebo(4, hidden=2), torch.randn(1, 4, 5, 5)
    moved = x.clone()
    moved[:, :, 2, 3] += 1
    changed = (module(moved) - module(x)).abs().sum(1)[0] > 0
    assert changed.nonzero().tolist() == [[2, 3]]


@pytest.mark.parametrize("hidden", [0, -1, 1.5, True, "2"])
def test_other_widths_are_refused(hidden: object) -> None:
    with pytest.raises(ModuleError, match="YG210"):
        Placebo(4, hidden=hidden)  # type: ignore[arg-type]
