from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from yolograft.attention.coord_att import CoordAtt
from yolograft.attention.double_att import DoubleAttention
from yolograft.attention.nam import NAM
from yolograft.attention.se import SqueezeExcite
from yolograft.errors import ModuleError
from yolograft.models.identity import IdentityStart

BUILDS: dict[str, Callable[[int], nn.Module]] = {
    "se": SqueezeExcite,
    "coord_att": CoordAtt,
    "nam": NAM,
    "nam both": lambda c: NAM(c, branch="both"),
    "double_att": DoubleAttention,
    "double_att printed": lambda c: DoubleAttention(c, c_n=4, reproject=False),
}
every = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS.keys())
layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])


def wrapped(build: Callable[[int], nn.Module], channels: int = 16) -> IdentityStart:
    torch.manual_seed(0)
    return IdentityStart(build(channels), in_channels=channels)


@every
@layouts
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
def test_the_start_is_the_identity_bit_for_bit(
    build: Callable[[int], nn.Module], layout: torch.memory_format, dtype: torch.dtype, autocast: bool
) -> None:
    module = wrapped(build).eval()
    if not autocast:
        module = module.to(dtype)
    x = (torch.randn(2, 16, 7, 10) * 40).to(dtype).contiguous(memory_format=layout)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        y = module(x)
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=layout)
    assert torch.equal(y, x)
    assert (y.float() - x.float()).abs().max() == 0


@every
def test_only_the_scale_has_a_gradient_in_step_0_and_everything_after_one_step(
    build: Callable[[int], nn.Module],
) -> None:
    module = wrapped(build).train()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    x, target = torch.randn(4, 16, 6, 5), torch.randn(4, 16, 6, 5)
    alive: list[set[str]] = []
    for _ in range(2):
        optimiser.zero_grad()
        (module(x) - target).square().sum().backward()
        named = dict(module.named_parameters())
        alive.append({name for name, p in named.items() if p.grad is not None and bool((p.grad != 0).any())})
        optimiser.step()
    assert alive[0] == {"scale"}
    assert alive[1] == {name for name, _ in module.named_parameters()}


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(-2, 2), height=st.integers(1, 6), width=st.integers(1, 6))
def test_the_scale_blends_linearly(scale: float, height: int, width: int) -> None:
    module = wrapped(CoordAtt, 8).double().eval()
    with torch.no_grad():
        module.scale.fill_(scale)
    x = torch.randn(1, 8, height, width, dtype=torch.float64)
    torch.testing.assert_close(module(x), (1 - scale) * x + scale * module.module(x))


def test_keys_and_the_zero_dim_scale() -> None:
    module = wrapped(SqueezeExcite)
    keys = set(module.state_dict())
    assert keys == {"scale", *(f"module.{key}" for key in SqueezeExcite(16).state_dict())}
    assert module.scale.shape == () and module.scale.item() == 0
    assert module.out_channels == 16


def test_a_per_channel_scale_would_promote_the_map() -> None:
    """Why the parameter is 0-dim: the fault planted, a [C, 1, 1] scale."""
    module = wrapped(SqueezeExcite).eval()
    x = torch.randn(1, 16, 4, 4).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert module(x).dtype == torch.bfloat16
        module.scale = nn.Parameter(torch.zeros(16, 1, 1))
        assert module(x).dtype == torch.float32


class Declares(nn.Module):
    def __init__(self, out_channels: int, stride: int) -> None:
        super().__init__()
        self.out_channels, self.stride = out_channels, stride


class OneMap(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1]


class Overflows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * float("inf")


@pytest.mark.parametrize("inner", [Declares(8, 1), Declares(16, 2)])
def test_declared_changes_have_no_identity_form(inner: nn.Module) -> None:
    with pytest.raises(ModuleError, match="no identity form") as caught:
        IdentityStart(inner, in_channels=16)
    assert caught.value.code == "YG240"


def test_an_undeclared_change_is_caught_before_it_broadcasts() -> None:
    module = IdentityStart(OneMap(), in_channels=16)
    with pytest.raises(ModuleError, match="no identity form"):
        module(torch.randn(1, 16, 3, 3))


def test_an_overflowing_module_is_not_hidden() -> None:
    module = IdentityStart(Overflows(), in_channels=2)
    assert module(torch.ones(1, 2, 2, 2)).isnan().all()


@every
def test_runs_on_the_meta_device_and_exports(build: Callable[[int], nn.Module]) -> None:
    with torch.device("meta"):
        assert wrapped(build)(torch.empty(2, 16, 5, 9)).shape == (2, 16, 5, 9)
    module = wrapped(build).eval()
    height = torch.export.Dim("h", min=2, max=64)
    program = torch.export.export(module, (torch.randn(1, 16, 8, 12),), dynamic_shapes={"x": {2: height}})
    x = torch.randn(1, 16, 13, 12)
    assert torch.equal(program.module()(x), x)
