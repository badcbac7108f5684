"""Weights are kept by layer identity; the identity start is proved on whole detectors."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from yolograft.errors import CheckpointError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, model_spec
from yolograft.models.catalog import ENTRIES
from yolograft.models.detector import Detector
from yolograft.models.weights import LEAST_KEPT, LoadReport, compare_weights, kept_weights, prove_identity

ATTENTION = [entry.name for entry in ENTRIES if entry.kind == "attention"]
BASE = model_spec("yolov8n", num_classes=3)


def detector(text: str = "", *, classes: int = 3, seed: int = 0, model: str = "yolov8n") -> Detector:
    spec = model_spec(model, num_classes=classes)
    return build(graft(spec, parse_graft(text)) if text else spec, seed=seed)


@pytest.fixture(scope="module")
def stock() -> dict[str, Tensor]:
    return detector(seed=7).state_dict()


def test_the_same_model_keeps_everything(stock: dict[str, Tensor]) -> None:
    report = compare_weights(detector(), stock, num_classes=3)
    assert report == LoadReport(tuple(sorted(stock)), (), (), (), ())
    assert report.share == 1 and report.line() == f"kept {len(stock)} of {len(stock)} tensors"


@pytest.mark.parametrize(
    "text",
    [
        "coord_att@neck.p3",
        "se@inside:backbone.p3",
        "nam@head.p3.cls",
        "se@edge:backbone.p4..neck.td4+nam@stem",
    ],
)
def test_a_graft_keeps_every_stock_tensor(text: str, stock: dict[str, Tensor]) -> None:
    grafted = detector(text)
    tensors, report = kept_weights(grafted, stock, num_classes=3)
    assert report.kept == tuple(sorted(stock)) and not report.missing and not report.misplaced
    assert set(report.new) == grafted.state_dict().keys() - stock.keys() and report.share == 1
    grafted.load_state_dict({**grafted.state_dict(), **tensors})
    loaded = grafted.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in stock.items())
    assert report.line() == f"kept {len(stock)} of {len(stock)} tensors, {len(report.new)} new"


def test_back_from_a_graft_to_the_base_counts_what_is_left_over(stock: dict[str, Tensor]) -> None:
    grafted = detector("se@neck.p3").state_dict()
    report = compare_weights(detector(), grafted, num_classes=3)
    assert (
        set(report.missing)
        == grafted.keys() - stock.keys()
        == {f"layers.neck/p3+se.{layer}.{kind}" for layer in ("fc1", "fc2") for kind in ("weight", "bias")}
    )
    assert report.share == len(stock) / (len(stock) + 4)
    with pytest.raises(CheckpointError, match="4 missing"):
        kept_weights(detector(), grafted, num_classes=3)


@pytest.mark.parametrize(("theirs", "mine"), [(80, 3), (3, 80), (3, 5), (80, 20)])
def test_another_class_count_remakes_the_class_branches_only(theirs: int, mine: int) -> None:
    tensors = detector(classes=theirs).state_dict()
    net = detector("coord_att@neck.p3", classes=mine)
    kept, report = kept_weights(net, tensors, num_classes=theirs)
    assert report.remade and all(key.startswith("layers.head.cls.") for key in report.remade)
    last = {f"layers.head.cls.{level}.2.{kind}" for level in range(3) for kind in ("weight", "bias")}
    assert last <= set(report.remade)
    assert report.share == 1 and not report.missing and not report.misplaced
    assert f"{len(report.remade)} re-made for another class count" in report.line()
    assert not set(report.remade) & kept.keys()
    assert kept.keys() | set(report.remade) == tensors.keys()
    # What is re-made depends on the class count and on nothing else: all the rest is kept.
    shapes = {key: t.shape for key, t in net.state_dict().items()}
    assert set(report.remade) == {key for key, t in tensors.items() if shapes[key] != t.shape}


def test_the_class_branches_change_width_with_many_classes() -> None:
    """64 channels wide up to 64 classes, 80 wide with 80: the convolutions in front are re-made too."""
    tensors = detector(classes=80).state_dict()
    report = compare_weights(detector(classes=3), tensors, num_classes=80)
    assert "layers.head.cls.0.0.conv.weight" in report.remade
    report = compare_weights(detector(classes=5), detector(classes=3).state_dict(), num_classes=3)
    assert len(report.remade) == 6


def test_equal_class_counts_excuse_nothing(stock: dict[str, Tensor]) -> None:
    tensors = detector(classes=5).state_dict()
    report = compare_weights(detector(classes=3), tensors, num_classes=3)
    assert not report.remade and len(report.misplaced) == 6
    with pytest.raises(CheckpointError, match="6 misplaced") as caught:
        kept_weights(detector(classes=3), tensors, num_classes=3)
    assert caught.value.code == "YG420"


def test_another_scale_is_refused(stock: dict[str, Tensor]) -> None:
    small = detector(model="yolov8s")
    with pytest.raises(CheckpointError, match="do not fit yolov8s"):
        kept_weights(small, stock, num_classes=3)
    tensors, report = kept_weights(small, stock, num_classes=3, force=True)
    assert report.misplaced and tensors.keys() == set(report.kept)
    small.load_state_dict({**small.state_dict(), **tensors})


def test_a_replaced_layer_counts_as_missing(stock: dict[str, Tensor]) -> None:
    text = "conv:out_channels=128,kernel=3@replace:backbone.p4"
    net = detector(text)
    report = compare_weights(net, stock, num_classes=3)
    assert report.missing == tuple(sorted(key for key in stock if key.startswith("layers.backbone/p4.")))
    assert report.new == tuple(sorted(key for key in net.state_dict() if "+conv" in key))
    assert report.share < LEAST_KEPT and not report.misplaced
    with pytest.raises(CheckpointError, match="missing"):
        kept_weights(net, stock, num_classes=3)
    assert kept_weights(net, stock, num_classes=3, force=True)[1] == report


def test_refusal_starts_below_99_percent(stock: dict[str, Tensor]) -> None:
    keys = sorted(stock)
    most = int(len(keys) * (1 - LEAST_KEPT))
    for extra, fits in ((most, True), (most + 2, False)):
        tensors = {**stock, **{f"layers.gone.{i}": torch.zeros(1) for i in range(extra)}}
        report = compare_weights(detector(), tensors, num_classes=3)
        assert len(report.missing) == extra and (report.share >= LEAST_KEPT) is fits
        if fits:
            kept_weights(detector(), tensors, num_classes=3)
        else:
            with pytest.raises(CheckpointError):
                kept_weights(detector(), tensors, num_classes=3)


def test_one_misplaced_tensor_is_enough(stock: dict[str, Tensor]) -> None:
    tensors = {**stock, "layers.stem.conv.weight": torch.zeros(16, 4, 3, 3)}
    report = compare_weights(detector(), tensors, num_classes=3)
    assert report.misplaced == ("layers.stem.conv.weight",) and report.share > LEAST_KEPT
    with pytest.raises(CheckpointError):
        kept_weights(detector(), tensors, num_classes=3)
    # Outside the head another class count is no excuse.
    assert compare_weights(detector(), tensors, num_classes=80).misplaced == report.misplaced


def test_an_empty_file_keeps_nothing() -> None:
    report = compare_weights(detector(), {}, num_classes=3)
    assert not report.kept and report.share == 1 and len(report.new) > 300


# --- identity at the start


def lively(net: Detector) -> Detector:
    """The net with batch statistics of its own maps.

    At their initial values the maps of an untrained net fade to about 1e-6 on the way to the head: there
    even the published form of a module changes nothing that can be seen.
    """
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.rand(4, 3, 128, 128, generator=torch.Generator().manual_seed(0)))
    for norm in norms:
        norm.momentum = 0.03
    return net


@pytest.fixture(scope="module")
def base() -> Detector:
    return lively(build(BASE, seed=3))


def upon(base: Detector, text: str) -> Detector:
    """A grafted detector with the weights and statistics of ``base``."""
    net = build(graft(BASE, parse_graft(text)), seed=3)
    net.load_state_dict({**net.state_dict(), **kept_weights(net, base.state_dict(), num_classes=3)[0]})
    return net


EVERYWHERE = "neck.p3,neck.p4,neck.p5,backbone.p2,inside:backbone.p4,head.p4.box,edge:backbone.p4..neck.td4"


@pytest.mark.parametrize("name", [*ATTENTION, "timm:eca", "timm:cbam"])
def test_an_identity_start_is_the_base_bit_for_bit(base: Detector, name: str) -> None:
    options = ":branch=both,init=identity" if name == "nam" else ":init=identity"
    net = upon(base, f"{name}{options}@{EVERYWHERE}")
    proof = prove_identity(base, net, imgsz=(64, 96))
    assert (proof.fp32, proof.bf16) == (0, 0) and proof.holds and net.training
    assert proof.line() == "identical to the base: max |difference| 0 in fp32, 0 in bf16"


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize(
    "site", ["neck.p3", "inside:backbone.p4", "head.p4.box", "edge:backbone.p4..neck.td4"]
)
def test_a_published_form_is_no_identity(base: Detector, name: str, site: str) -> None:
    proof = prove_identity(base, upon(base, f"{name}@{site}"), imgsz=(64, 64))
    assert proof.fp32 > 1e-4 and proof.bf16 > 0 and not proof.holds
    assert proof.line().startswith("NOT identical")


def test_a_small_difference_is_seen(base: Detector) -> None:
    net = upon(base, "se:init=identity@neck.p3")
    with torch.no_grad():
        net.layers["neck/p3+se"].scale.fill_(1e-4)  # type: ignore[union-attr]
    assert not prove_identity(base, net, imgsz=(64, 64)).holds


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_net_that_overflows_is_not_called_identical(base: Detector, level: int) -> None:
    """nan compares as nothing: a maximum taken by comparison would lose it."""
    net = upon(base, "se:init=identity@stem")
    last = net.head.cls[level].get_submodule("2")
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    with torch.no_grad():
        last.bias.fill_(float("nan"))
    proof = prove_identity(base, net, imgsz=(64, 64))
    assert not proof.holds and proof.line().startswith("NOT identical")


def test_modes_are_put_back(base: Detector) -> None:
    net = upon(base, "se:init=identity@neck.p3")
    for first, second in ((True, False), (False, True)):
        prove_identity(base.train(first), net.train(second), imgsz=(64, 64))
        assert base.training is first and net.training is second


def test_the_report_in_one_line() -> None:
    report = LoadReport(("a", "b"), ("c",), ("d",), (), ("e",))
    assert report.line() == "kept 2 of 3 tensors, 1 new, 1 missing, 1 re-made for another class count"
    assert replace(report, missing=(), new=(), remade=()).line() == "kept 2 of 2 tensors"
