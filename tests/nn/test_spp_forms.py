"""The two forms of the pooling pyramid are one function of one set of weights."""

from __future__ import annotations

import pytest
import torch

from yolograft.errors import ModuleError
from yolograft.nn.spp import SPP, SPPF


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (13, 20)])
def test_side_by_side_equals_in_series(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    series, parallel = SPPF(16, out_channels=24).eval(), SPP(16, out_channels=24).eval()
    parallel.load_state_dict(series.state_dict())
    x = torch.randn(1, 16, *size)
    assert torch.equal(series(x), parallel(x)) and parallel(x).shape == (1, 24, *size)


def test_kernels_decide_the_width() -> None:
    block = SPP(16, out_channels=8, kernels=(3, 5))
    assert block.cv2.conv.in_channels == 3 * 8 and block(torch.zeros(2, 16, 4, 4)).shape == (2, 8, 4, 4)
    with pytest.raises(ModuleError, match="YG210"):
        SPP(16, out_channels=8, kernels=(4,))
