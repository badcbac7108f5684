"""Necks by expression: wired as published, counted by hand, the same weights under the same names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from yolograft.engine.optim import build_optimizer
from yolograft.engine.recipe import Recipe
from yolograft.errors import MAX_LINE, SpecError
from yolograft.graph.anchors import anchors_of
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.levels import LEVELS, keep_levels
from yolograft.graph.necks.table import NECKS, no_identity, other_neck
from yolograft.graph.sites import JOINS
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build, inspect_spec, model_spec, sketch
from yolograft.models.catalog import model_names
from yolograft.models.detector import Detector
from yolograft.models.fusion_weights import fusion_weights
from yolograft.models.weights import compare_weights
from yolograft.study.planning.controls import placebo_of

NANO = ("yolov8n", "yolov5n", "yolox-nano")
# Channels of the maps at each level, of backbone and neck alike; P6 begins with a convolution from P5.
WIDTHS = {2: 32, 3: 64, 4: 128, 5: 256, 6: 256}
Count = Callable[[int, int], int]
EDGE = "edge:backbone.p4..neck.td4"


def grafted(model: str, expression: str) -> ModelSpec:
    return graft(model_spec(model), parse_graft(expression))


@functools.cache
def stock_sketch(model: str) -> Detector:
    return sketch(model_spec(model))


def conv(i: int, o: int, kernel: int = 1) -> int:
    return i * o * kernel**2 + 2 * o


def conv3(i: int, o: int) -> int:
    return conv(i, o, 3)


def separable(i: int, o: int) -> int:
    return i * 9 + 2 * i + conv(i, o)


def c2f(i: int, o: int) -> int:
    return conv(i, o) + conv(3 * o // 2, o) + 2 * conv3(o // 2, o // 2)


def c3(i: int, o: int, spatial: Count = conv3) -> int:
    half = o // 2
    return 2 * conv(i, half) + conv(o, o) + conv(half, half) + spatial(half, half)


class Family(NamedTuple):
    block: Count
    down: Count
    lateral: bool


FAMILIES = {
    "yolov8n": Family(c2f, conv3, False),
    "yolov5n": Family(c3, conv3, True),
    "yolox-nano": Family(lambda i, o: c3(i, o, separable), separable, True),
}


def pan(w: Mapping[int, int], f: Family) -> int:
    """Down: [1x1,] block of two concatenated maps. Up: strided convolution, block of two again."""
    low, top = min(w), max(w)
    handed = {k: w[k - 1] if f.lateral and k > low else w[k] for k in w}
    total = fpn(w, f) - f.block(w[top], w[top])
    return total + sum(
        f.down(w[k - 1], w[k - 1]) + f.block(w[k - 1] + handed[k], w[k]) for k in range(low + 1, top + 1)
    )


def fpn(w: Mapping[int, int], f: Family) -> int:
    low, top = min(w), max(w)
    total = f.block(w[top], w[top])
    for k in range(low, top):
        handed = w[k] if f.lateral else w[k + 1]
        total += f.block(handed + w[k], w[k]) + (conv(w[k + 1], w[k]) if f.lateral else 0)
    return total


def bifpn(w: Mapping[int, int], f: Family) -> int:
    """Blocks of one width; two weights a node, three where input and middle both enter."""
    low, top = min(w), max(w)
    total = sum(conv(w[k + 1], w[k]) + f.block(w[k], w[k]) + 2 for k in range(low, top))
    for k in range(low + 1, top + 1):
        fit = conv(w[k - 1], w[k]) if w[k - 1] != w[k] else 0
        total += f.down(w[k - 1], w[k - 1]) + fit + f.block(w[k], w[k]) + (3 if k < top else 2)
    return total


def dualpath(w: Mapping[int, int], f: Family) -> int:
    """PAN, and one 7x7 kernel over four planes at each of its joins."""
    return pan(w, f) + 2 * (len(w) - 1) * 4 * 49


COUNTS = {"pan": pan, "fpn": fpn, "bifpn": bifpn, "dualpath": dualpath}


@pytest.mark.parametrize("model", NANO)
@pytest.mark.parametrize("neck", COUNTS)
def test_parameters_are_those_counted_by_hand(model: str, neck: str) -> None:
    facts = inspect_spec(grafted(model, f"neck:{neck}"))
    stock = {fact.name: fact.params for fact in stock_sketch(model).facts}
    levels = {k: WIDTHS[k] for k in (3, 4, 5)}
    found = sum(fact.params for fact in facts if fact.name.startswith("neck."))
    assert found == COUNTS[neck](levels, FAMILIES[model])
    # Backbone and head are what they were.
    assert all(fact.params == stock[fact.name] for fact in facts if not fact.name.startswith("neck."))


@pytest.mark.parametrize(
    ("model", "neck"), [("yolov8n", "bifpn"), ("yolov5n", "dualpath"), ("yolox-nano", "fpn")]
)
def test_p2_and_p6_are_counted_by_hand_too(model: str, neck: str) -> None:
    facts = inspect_spec(grafted(model, f"neck:{neck}:levels=p2-p6"))
    found = {fact.name: fact for fact in facts}
    family = FAMILIES[model]
    total = sum(fact.params for fact in facts if fact.name.startswith("neck."))
    assert total == COUNTS[neck](WIDTHS, family)
    assert found["backbone.p6.down"].params == family.down(256, 256)
    assert [found[name].stride for name in facts[-1].inputs] == [4, 8, 16, 32, 64]


def test_repeats_add_a_whole_neck_each() -> None:
    levels = {k: WIDTHS[k] for k in (3, 4, 5)}
    spec = grafted("yolov8n", "neck:bifpn:repeats=3")
    found = sum(fact.params for fact in inspect_spec(spec) if fact.name.startswith("neck."))
    assert found == 3 * bifpn(levels, FAMILIES["yolov8n"])
    assert spec.head.inputs == ("neck.p3", "neck.p4", "neck.p5")
    # The second run reads the outputs of the first, the last one bears PAN's names.
    assert spec.layer("neck.r2.p4.fuse").inputs == ("neck.r2.p4.down", "neck.r2.td4", "neck.r1.p4")
    assert spec.layer("neck.p4.fuse").inputs == ("neck.p4.down", "neck.td4", "neck.r2.p4")


@pytest.mark.parametrize("model", [*NANO, "yolov8m", "yolov5x", "yolox-s"])
def test_pan_of_a_stock_detector_is_the_stock_detector(model: str) -> None:
    stock = model_spec(model)
    assert grafted(model, "neck:pan") == stock
    assert grafted(model, "neck:pan").digest() == stock.digest()


def test_pan_with_p2_is_the_published_file_with_p2() -> None:
    published = model_spec("yolov8s", levels=LEVELS)
    assert grafted("yolov8s", "neck:pan:levels=p2-p5") == published
    assert graft(published, parse_graft("neck:pan")) == published
    assert graft(published, parse_graft("neck:pan:levels=p3-p5")) == model_spec("yolov8s")


def test_a_head_on_fewer_levels_keeps_them() -> None:
    for levels in (("p3", "p4"), ("p4", "p5"), ("p5",)):
        spec = model_spec("yolov5n", levels=levels)
        assert graft(spec, parse_graft("neck:pan")) == spec
        other = graft(spec, parse_graft("neck:bifpn"))
        assert len(inspect_spec(other)[-1].inputs) == len(levels)
        assert all(other.consumers(layer.name) for layer in other.layers[:-1])


def test_bifpn_is_wired_as_published() -> None:
    spec = grafted("yolov8n", "neck:bifpn")
    reads = {layer.name: layer.inputs for layer in spec.layers if layer.name.endswith(".fuse")}
    assert reads == {
        "neck.td4.fuse": ("neck.td4.up", "backbone.p4"),
        "neck.p3.fuse": ("neck.p3.up", "backbone.p3"),
        "neck.p4.fuse": ("neck.p4.down", "neck.td4", "backbone.p4"),  # with the edge past the middle
        "neck.p5.fuse": ("neck.p5.down", "backbone.sppf"),  # one input in the middle: no node there
    }


@pytest.mark.parametrize("neck", ["pan", "fpn", "bifpn", "bifpn:repeats=2", "dualpath"])
def test_every_join_reads_the_map_of_its_path_first(neck: str) -> None:
    """`gated_concat` passes that one and gates the others, whichever neck it is placed in."""
    for model in ("yolov8n", "yolov5n"):
        joins = [layer for layer in grafted(model, f"neck:{neck}").layers if layer.module in JOINS]
        assert joins and all(layer.inputs[0].endswith((".up", ".down")) for layer in joins)


@pytest.mark.parametrize("model", NANO)
@pytest.mark.parametrize("neck", COUNTS)
@pytest.mark.parametrize(("there", "back"), [("", ""), (":levels=p3-p6", ":levels=p3-p5")])
def test_pan_is_rebuilt_from_every_neck(model: str, neck: str, there: str, back: str) -> None:
    other = grafted(model, f"neck:{neck}{there}")
    assert graft(other, parse_graft(f"neck:pan{back}")) == model_spec(model)


def test_a_neck_on_a_neck_with_p6_keeps_the_pooled_map_at_its_level() -> None:
    again = graft(grafted("yolov8n", "neck:pan:levels=p3-p6"), parse_graft("neck:bifpn"))
    assert again == grafted("yolov8n", "neck:bifpn:levels=p3-p6")
    assert again.layer("neck.p5.fuse").inputs[-1] == "backbone.sppf"


def test_fpn_is_the_way_down_alone() -> None:
    spec = grafted("yolov8n", "neck:fpn")
    assert spec.head.inputs == ("neck.p3", "neck.td4", "neck.p5")
    assert dict(spec.sites)["neck.p4"] == "neck.td4" and spec.layer("neck.p5").inputs == ("backbone.sppf",)
    assert not any(layer.name.endswith("4.down") for layer in spec.layers if "neck" in layer.name)
    both = graft(spec, parse_graft("se@neck.p4"))
    assert both.head.inputs[1] == "neck.p4+se" and both.layer("neck.p3.up").inputs == ("neck.p4+se",)


@pytest.mark.parametrize(
    ("model", "neck", "misplaced", "missing"),
    [
        # Six tensors a convolution. A sum narrows what a block's first convolutions read: one in C2f, two in
        # C3; of C3 the blocks at P4 and P5 read as many channels as before.
        ("yolov8n", "bifpn", 4, 0),
        ("yolov5n", "bifpn", 4, 0),
        ("yolov8n", "dualpath", 0, 0),
        ("yolox-nano", "dualpath", 0, 0),
        ("yolov8n", "fpn", 1, 2 * 6 + 24),
    ],
)
def test_weights_of_pan_carry_over_by_name(model: str, neck: str, misplaced: int, missing: int) -> None:
    stock, spec = stock_sketch(model), grafted(model, f"neck:{neck}")
    report = compare_weights(sketch(spec), stock.state_dict(), num_classes=80)
    assert (len(report.misplaced), len(report.missing)) == (misplaced, missing)
    assert len(report.kept) == len(stock.state_dict()) - misplaced - missing
    assert all("neck" in key for key in (*report.misplaced, *report.missing, *report.new))
    assert other_neck(spec, stock.spec) and not other_neck(stock.spec, spec)


def test_only_an_exchanged_neck_is_another_neck() -> None:
    stock = model_spec("yolov8n")
    assert not other_neck(stock, stock) and not other_neck(graft(stock, parse_graft("se@neck.p3")), stock)
    assert not other_neck(grafted("yolov8n", "neck:pan:levels=p2-p5"), stock)
    assert not other_neck(grafted("yolov8n", "neck:bifpn"), model_spec("yolov8s"))
    assert not other_neck(grafted("yolov8n", "conv:out_channels=128@replace:neck.p4"), stock)
    assert other_neck(grafted("yolov8n", "se@stem+neck:bifpn"), stock)
    assert other_neck(grafted("yolov8n", "se@neck.p4+neck:fpn"), stock)
    assert other_neck(grafted("yolov8n", "bifpn_concat@edge:backbone.p4..neck.td4"), stock)
    # The same weights shared out by another rule are another function.
    fast, softmax = grafted("yolov8n", "neck:bifpn"), grafted("yolov8n", "neck:bifpn:fusion=softmax")
    assert no_identity(softmax, fast) and not no_identity(fast, grafted("yolov8n", "neck:bifpn:fusion=fast"))
    edge = "edge:backbone.p4..neck.td4"
    short = grafted("yolov8n", f"bifpn_add@{edge}")
    assert not no_identity(grafted("yolov8n", f"bifpn_add:fusion=fast@{edge}"), short)
    assert no_identity(grafted("yolov8n", f"bifpn_add:fusion=sum@{edge}"), short)
    # Other levels have no identity form, and are no reason to leave misplaced tensors behind unasked.
    for neck in ("pan", "dualpath"):
        assert no_identity(grafted("yolov8n", f"neck:{neck}:levels=p3-p6"), stock)


@pytest.mark.parametrize("expression", ["neck:bifpn", "neck:dualpath", "neck:fpn", f"bifpn_concat@{EDGE}"])
def test_the_way_back_to_pan_is_no_identity_either(expression: str) -> None:
    trained, stock = grafted("yolov8n", expression), model_spec("yolov8n")
    assert no_identity(stock, trained) and no_identity(trained, stock)
    assert not other_neck(stock, trained)


@pytest.mark.parametrize("neck", ["pan", "fpn", "bifpn"])
@pytest.mark.parametrize(
    "site", ["neck.p3,neck.p4", "before:neck.p3", "inside:neck.p4", "head.p3.cls", "edge:neck.p4..head"]
)
def test_a_module_leaves_levels_and_joins_as_they_are(neck: str, site: str) -> None:
    spec = grafted("yolov8n", f"neck:{neck}")
    assert not no_identity(graft(spec, parse_graft(f"se@{site}")), spec)


def test_a_graft_between_neck_and_head_is_not_lost_in_silence() -> None:
    with pytest.raises(SpecError, match=r"YG182.*head\.in\+se"):
        graft(grafted("yolov5n", "se@edge:neck.p4..head"), parse_graft("neck:bifpn"))


@pytest.mark.parametrize("neck", COUNTS)
@pytest.mark.parametrize("site", ["neck.p3", "neck.p4,head.p5.cls", "edge:backbone.p3..neck.p3"])
def test_a_neck_comes_first_wherever_it_is_written(neck: str, site: str) -> None:
    after, before = (grafted("yolov8n", e) for e in (f"neck:{neck}+se@{site}", f"se@{site}+neck:{neck}"))
    assert after == before and "se" in {layer.module for layer in after.layers}
    assert graft(grafted("yolov8n", f"neck:{neck}"), parse_graft(f"se@{site}")) == after
    if site.startswith("edge:"):
        inspect_spec(after)


def test_specs_with_necks_go_through_json() -> None:
    spec = grafted("yolov5n", "neck:bifpn:fusion=softmax,levels=p2-p6+se@neck.p6")
    assert ModelSpec.from_json(spec.to_json()) == spec
    assert ModelSpec.from_json(spec.to_json()).digest() == spec.digest()


def test_anchors_of_a_new_level_are_its_neighbours_halved_or_doubled() -> None:
    had = anchors_of(model_spec("yolov5n"))
    got = anchors_of(grafted("yolov5n", "neck:bifpn:levels=p2-p6"))
    assert got == (*(side / 2 for side in had[:6]), *had, *(side * 2 for side in had[-6:]))
    assert anchors_of(grafted("yolov5n", "neck:fpn:levels=p4-p5")) == had[6:]


def test_levels_may_be_named_one_by_one() -> None:
    spec = grafted("yolox-nano", "neck:bifpn:levels=p3-p4-p6")
    strides = {fact.name: fact.stride for fact in inspect_spec(spec)}
    assert [strides[name] for name in spec.head.inputs] == [8, 16, 64]


REFUSED = [
    ("YG180", "neck:bifpnn"),
    ("YG180", "neck:bifpn:depth=2"),
    ("YG180", "neck:bifpn:repeats=0"),
    ("YG180", "neck:bifpn:repeats=on"),
    ("YG180", "neck:pan:repeats=2"),
    ("YG180", "neck:pan:levels=p3"),
    ("YG180", "neck:pan:levels=p5-p3"),
    ("YG180", "neck:pan:levels=p3-p7"),
    ("YG180", "neck:pan:levels=3"),
    ("YG182", "neck:pan+neck:fpn"),
    ("YG183", "bifpn_add@edge:neck.p3..head"),
    ("YG121", "bifpn_add@edge:backbone.p2..neck.td4"),
    # Both connections lead into one layer alone; a join lies in front of where they begin.
    ("YG183", "bifpn_concat@edge:neck.p3..neck.p4.down"),
    ("YG183", "se@edge:neck.p3..neck.p4.down+bifpn_concat@edge:neck.p3..neck.p4.down"),
    # The first of two would be dropped in silence.
    ("YG182", f"bifpn_concat@{EDGE}+gated_concat@edge:backbone.sppf..neck.td4"),
    ("YG182", f"bifpn_concat@{EDGE},edge:backbone.sppf..neck.td4"),
]


@pytest.mark.parametrize(("code", "text"), REFUSED)
def test_what_is_no_neck_is_refused_in_one_line(code: str, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        grafted("yolov8n", text)
    assert caught.value.code == code and len(str(caught.value)) <= MAX_LINE


def test_a_spec_without_the_roles_names_the_one_that_is_missing() -> None:
    stock = model_spec("yolov8n")
    without = {role: tuple(pair for pair in stock.sites if pair[0] != role) for role, _ in stock.sites}
    for role in ("backbone.p4", "neck.p4"):
        with pytest.raises(SpecError, match=f"YG181.*{role[:8]}"):
            graft(replace(stock, sites=without[role]), parse_graft("neck:bifpn"))
    with pytest.raises(SpecError, match=r"YG181.*backbone\.p3"):
        bare = tuple(pair for pair in stock.sites if not pair[0].startswith("backbone"))
        graft(replace(stock, sites=bare), parse_graft("neck:fpn"))


def test_a_graft_in_the_old_neck_is_not_lost_in_silence() -> None:
    for site in ("neck.p3", "inside:neck.p4", EDGE):
        with pytest.raises(SpecError, match=r"YG182.*neck"):
            graft(grafted("yolov8n", f"se@{site}"), parse_graft("neck:bifpn"))
    kept = graft(grafted("yolov8n", "se@backbone.p4+se@head.p3.cls"), parse_graft("neck:bifpn"))
    assert "backbone.p4+se" in kept.layer("neck.td4.fuse").inputs and kept.head.inside


def test_levels_are_dropped_from_a_neck_as_from_a_stock_detector() -> None:
    spec = keep_levels(grafted("yolov8n", "neck:dualpath"), ("p3", "p4"))
    assert spec.head.inputs == ("neck.p3", "neck.p4")
    assert all(spec.consumers(layer.name) for layer in spec.layers[:-1])


def test_a_neck_has_no_placebo_and_says_so() -> None:
    said = placebo_of(model_spec("yolov8n"), parse_graft("se@neck.p3+neck:bifpn"), code={})
    assert isinstance(said, str) and "neck:bifpn" in said
    said = placebo_of(model_spec("yolov8n"), parse_graft(f"bifpn_add@{EDGE}"), code={})
    assert isinstance(said, str) and "bifpn_add" in said


def test_fusion_weights_learn_are_not_decayed_and_can_be_read() -> None:
    detector = build(graft(model_spec("yolox-nano", num_classes=2), parse_graft("neck:bifpn"))).train()
    raw = detector(torch.rand(2, 3, 64, 64) * 255)
    sum(level.square().sum() for levels in raw.levels for level in levels).backward()
    weights = {n: p for n, p in detector.named_parameters() if n.endswith("shares.weight")}
    assert sorted(p.numel() for p in weights.values()) == [2, 2, 2, 3]
    assert all(p.grad is not None and bool((p.grad != 0).all()) for p in weights.values())
    groups = build_optimizer(detector, Recipe(), 2, fused=False).param_groups
    held = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert all(held[id(p)] == 0 for p in weights.values())
    read = fusion_weights(detector)
    assert list(read["neck.p4.fuse"]) == ["neck.p4.down", "neck.td4", "backbone.p4"]
    assert all(sum(row.values()) == pytest.approx(1, abs=1e-3) for row in read.values())
    assert fusion_weights(build(model_spec("yolox-nano"))) == {}
    # A 1x1 convolution in front of a sum learns, its weights do not.
    assert fusion_weights(build(grafted("yolox-nano", "neck:bifpn:fusion=sum"))) == {}


@pytest.mark.slow
@pytest.mark.parametrize("model", model_names())
def test_every_neck_builds_at_every_scale(model: str) -> None:
    for neck in NECKS:
        for options in ("", ":levels=p2-p5", ":levels=p3-p6"):
            facts = inspect_spec(grafted(model, f"neck:{neck.name}{options}"))
            assert len(facts[-1].inputs) == (4 if options else 3)
