"""What every attention module promises, whatever its paper says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from yolograft.attention.cbam import CBAM
from yolograft.attention.cloformer import CloFormerAttention
from yolograft.attention.coord_att import CoordAtt
from yolograft.attention.double_att import DoubleAttention
from yolograft.attention.eca import ECA
from yolograft.attention.ela import EfficientLocalAttention
from yolograft.attention.ema_att import EMAAttention
from yolograft.attention.gc import GlobalContext
from yolograft.attention.guided import GuidedAttention
from yolograft.attention.nam import NAM
from yolograft.attention.se import SqueezeExcite
from yolograft.attention.simam import SimAM
from yolograft.attention.strip import StripAttention
from yolograft.attention.triplet import TripletAttention
from yolograft.errors import MAX_LINE, ModuleError
from yolograft.models.catalog import ENTRIES

Build = Callable[[int], nn.Module]

# Every attention row of the catalog with its default options, so that a new one is held to the contract
# by its row alone; below, the forms that options give.
BUILDS: dict[str, Build] = {entry.name: entry.cls for entry in ENTRIES if entry.kind == "attention"} | {
    "se hard": lambda c: SqueezeExcite(c, gate="hard_sigmoid", bias=False),
    "coord_att cam": lambda c: CoordAtt(c, min_hidden=1, activation="mish", norm="none", bias=False),
    "nam spatial": lambda c: NAM(c, branch="spatial", grid=4),
    "nam both": lambda c: NAM(c, branch="both", penalty=1e-3),
    "double_att printed": lambda c: DoubleAttention(c, c_n=4, reproject=False),
    "double_att skip": lambda c: DoubleAttention(c, c_n=4, reproject=False, skip=True),
    "eca wide": lambda c: ECA(c, kernel=7),
    "cbam norm": lambda c: CBAM(c, norm="batch", kernel=3, bias=True),
    "cloformer three": lambda c: CloFormerAttention(c, kernels="3-5", group_split="4-2-2", window=2),
    "cloformer local": lambda c: CloFormerAttention(c, heads=4, group_split="4-0", qkv_bias=False),
    "cloformer global": lambda c: CloFormerAttention(c, heads=2, group_split=(0, 2), window=1),
    "ema_att one group": lambda c: EMAAttention(c, groups=1),
    "triplet planes": lambda c: TripletAttention(c, kernel=3, spatial=False),
    "gc scale": lambda c: GlobalContext(c, fusion="scale", pool="mean"),
    "strip paper": lambda c: StripAttention(c, form="paper", kernel=5),
    "guided background": lambda c: GuidedAttention(c, mode="background", hidden=3, weight=0.0),
    "ela tiny": lambda c: EfficientLocalAttention(c, kernel=5, norm_groups=4),
}
# Pooling windows are counted: with fewer pixels than this on a side the count is one, another graph.
EXPORTS_FROM = {"cloformer": 8, "cloformer three": 3}
every = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS.keys())


def seeded(build: Build, channels: int = 16) -> nn.Module:
    """The module with every parameter and running statistic away from its special initial value."""
    torch.manual_seed(0)
    module = build(channels)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    module(torch.randn(4, channels, 5, 6))
    return module


@every
@settings(max_examples=12, deadline=None)
@given(batch=st.integers(1, 3), height=st.integers(1, 11), width=st.integers(1, 11), training=st.booleans())
def test_any_size_keeps_shape_and_leaves_the_input_alone(
    build: Build, batch: int, height: int, width: int, training: bool
) -> None:
    torch.manual_seed(1)
    module = build(16).train(training and batch * height * width > 1)
    x = torch.randn(batch, 16, height, width)
    before = x.clone()
    y = module(x)
    assert y.shape == x.shape
    assert module.out_channels == 16 and getattr(module, "stride", 1) == 1
    assert y.isfinite().all()
    assert torch.equal(x, before)


@every
def test_gradient_reaches_every_parameter_and_the_input(build: Build) -> None:
    module = seeded(build).train()
    x = torch.randn(3, 16, 9, 8, requires_grad=True)
    (module(x) * torch.randn(3, 16, 9, 8)).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@every
def test_images_are_independent_in_eval_mode(build: Build) -> None:
    module = seeded(build).double().eval()
    x = torch.randn(4, 16, 6, 9, dtype=torch.float64)
    together = module(x)
    alone = torch.cat([module(image[None]) for image in x])
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(module(x[order]), together[order], rtol=0, atol=1e-12)


@every
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(6, 9), (1, 7), (8, 1), (1, 1)])
def test_channels_last_gives_the_same_values_and_stays_so(
    build: Build, training: bool, size: tuple[int, int]
) -> None:
    module = seeded(build).double().train(training)
    x = torch.randn(2, 16, *size, dtype=torch.float64)
    last = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn_like(x)
    grads = []
    for form in (x, last):
        leaf = form.detach().requires_grad_()
        module.zero_grad()
        y = module(leaf)
        (y * weight).sum().backward()
        grads.append((y.detach(), leaf.grad, *(p.grad for p in module.parameters())))
        if form is last:
            assert y.is_contiguous(memory_format=torch.channels_last)
        else:
            assert y.is_contiguous()
    for plain, nhwc in zip(*grads, strict=True):
        torch.testing.assert_close(plain, nhwc, rtol=1e-9, atol=1e-9)


@every
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bf16_autocast_is_finite_and_close(
    build: Build, layout: torch.memory_format, dtype: torch.dtype
) -> None:
    module = seeded(build).eval()
    x = torch.randn(2, 16, 9, 11).to(dtype).contiguous(memory_format=layout)
    exact = module(x.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = module(x)
    assert y.is_contiguous(memory_format=layout)
    assert y.dtype in (dtype, torch.bfloat16)
    # Eight bits a factor: where large products cancel, the rest is off by a share of their size.
    atol = max(0.06, 0.03 * exact.abs().max().item())
    torch.testing.assert_close(y.float(), exact, rtol=0.05, atol=atol)


@every
def test_bf16_autocast_trains(build: Build) -> None:
    module = seeded(build).train()
    x = torch.randn(2, 16, 9, 11).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = module(x).float().square().mean()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@every
def test_runs_on_the_meta_device(build: Build) -> None:
    with torch.device("meta"):
        module = build(24)
        y = module(torch.empty(2, 24, 13, 20))
    assert y.is_meta and y.shape == (2, 24, 13, 20)


@every
def test_state_dict_round_trip(build: Build) -> None:
    module, other = seeded(build).eval(), build(16).eval()
    other.load_state_dict(module.state_dict(), strict=True)
    x = torch.randn(2, 16, 5, 8)
    assert torch.equal(module(x), other(x))


@pytest.mark.parametrize("name", BUILDS)
def test_exports_once_for_all_sizes(name: str) -> None:
    module, least = seeded(BUILDS[name]).eval(), EXPORTS_FROM.get(name, 2)
    height, width = (torch.export.Dim(side, min=least, max=64) for side in ("h", "w"))
    program = torch.export.export(
        module, (torch.randn(1, 16, 8, 12),), dynamic_shapes={"x": {2: height, 3: width}}
    )
    x = torch.randn(1, 16, 13, max(5, least))
    torch.testing.assert_close(program.module()(x), module(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda: SqueezeExcite(8, reduction=0), "YG210"),
        (lambda: SqueezeExcite(8, min_hidden=True), "YG210"),
        (lambda: SqueezeExcite(8, gate="softmax"), "YG211"),
        (lambda: SqueezeExcite(8, bias="yes"), "YG211"),  # type: ignore[arg-type]
        (lambda: CoordAtt(8, reduction="16"), "YG210"),  # type: ignore[arg-type]
        (lambda: CoordAtt(8, activation="gelu"), "YG211"),
        (lambda: CoordAtt(8, norm="layer"), "YG211"),
        (lambda: CoordAtt(8, norm=1), "YG211"),  # type: ignore[arg-type]
        (lambda: CoordAtt(8, bias=0), "YG211"),  # type: ignore[arg-type]
        (lambda: NAM(8, branch="temporal"), "YG211"),
        (lambda: NAM(8, penalty=-1.0), "YG210"),
        (lambda: NAM(8, penalty=float("nan")), "YG210"),
        (lambda: NAM(8, penalty=True), "YG210"),
        (lambda: NAM(8, grid=0), "YG210"),
        (lambda: DoubleAttention(8, c_m=-1), "YG210"),
        (lambda: DoubleAttention(8, c_n=2.0), "YG210"),  # type: ignore[arg-type]
        (lambda: DoubleAttention(8, reproject="off"), "YG211"),  # type: ignore[arg-type]
        (lambda: DoubleAttention(8, skip=1), "YG211"),  # type: ignore[arg-type]
        (lambda: DoubleAttention(8, c_m=4, reproject=False, skip=True), "YG212"),
        (lambda: CoordAtt(0), "YG210"),
        (lambda: ECA(8, kernel=4), "YG210"),
        (lambda: ECA(8, kernel=-1), "YG210"),
        (lambda: ECA(8, gamma=0), "YG210"),
        (lambda: CBAM(8, kernel=2), "YG210"),
        (lambda: CBAM(8, norm="layer"), "YG211"),
        (lambda: CBAM(8, bias=1), "YG211"),  # type: ignore[arg-type]
        (lambda: CloFormerAttention(20), "YG214"),
        (lambda: CloFormerAttention(16, heads=0), "YG210"),
        (lambda: CloFormerAttention(16, kernels=4), "YG210"),
        (lambda: CloFormerAttention(16, kernels="3-4"), "YG210"),
        (lambda: CloFormerAttention(16, kernels=()), "YG210"),
        (lambda: CloFormerAttention(16, kernels="3-5", group_split="4-4"), "YG212"),
        (lambda: CloFormerAttention(16, group_split=(4, 5)), "YG212"),
        (lambda: CloFormerAttention(16, group_split=(-4, 12)), "YG210"),
        (lambda: CloFormerAttention(16, window=0), "YG210"),
        (lambda: CloFormerAttention(16, attn_drop=1.0), "YG210"),
        (lambda: CloFormerAttention(16, proj_drop=-0.1), "YG210"),
        (lambda: CloFormerAttention(16, qkv_bias="on"), "YG211"),  # type: ignore[arg-type]
        (lambda: SimAM(8, e_lambda=0.0), "YG210"),
        (lambda: EMAAttention(12), "YG214"),
        (lambda: TripletAttention(8, kernel=6), "YG210"),
        (lambda: TripletAttention(8, spatial=2), "YG211"),  # type: ignore[arg-type]
        (lambda: GlobalContext(8, fusion="multiply"), "YG211"),
        (lambda: GlobalContext(8, pool="max"), "YG211"),
        (lambda: StripAttention(8, form="wide"), "YG211"),
        (lambda: EfficientLocalAttention(16, norm_groups=5), "YG214"),
        (lambda: EfficientLocalAttention(16, norm_groups=16), "YG214"),
    ],
)
def test_wrong_option_values_name_expected_and_actual(build: Callable[[], nn.Module], code: str) -> None:
    with pytest.raises(ModuleError) as caught:
        build()
    assert caught.value.code == code
    assert "got" in caught.value.cause or caught.value.fix
    assert len(str(caught.value)) <= MAX_LINE and "..." not in caught.value.line()


def test_a_number_that_does_not_divide_names_those_that_do() -> None:
    with pytest.raises(
        ModuleError, match="groups=8 does not divide 12 channels -> groups: 1, 2, 3, 4, 6, 12"
    ):
        EMAAttention(12)
