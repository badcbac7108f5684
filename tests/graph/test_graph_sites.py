from __future__ import annotations

from dataclasses import replace

import pytest
from graft_strategies import ROLES

from yolograft.errors import MAX_LINE, SpecError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.sites import backbone_layers, edge_slot, head_levels, head_slot, origin, resolve
from yolograft.graph.spec import LayerSpec, ModelSpec
from yolograft.models.build import inspect_spec, model_spec

BASE = model_spec("yolov8n", num_classes=3)


def test_the_roles_are_those_of_the_language() -> None:
    assert [role for role, _ in BASE.sites] == list(ROLES)


@pytest.mark.parametrize("scale", "nsmlx")
def test_roles_stand_at_their_strides(scale: str) -> None:
    spec = model_spec(f"yolov8{scale}")
    facts = {fact.name: fact for fact in inspect_spec(spec)}
    stride = {"stem": 2, "backbone.sppf": 32, "neck.td4": 16}
    stride |= {f"backbone.p{n}": 2**n for n in (2, 3, 4, 5)} | {f"neck.p{n}": 2**n for n in (3, 4, 5)}
    for role in ROLES:
        assert facts[resolve(spec, role)].stride == stride[role], role
        assert facts[resolve(spec, role)].module == {"stem": "conv", "backbone.sppf": "sppf"}.get(role, "c2f")
    assert facts["backbone.sppf"].inputs == ("backbone.p5",)
    assert spec.head.inputs == ("neck.p3", "neck.p4", "neck.p5")


def test_a_layers_own_name_is_a_place() -> None:
    for layer in BASE:
        assert resolve(BASE, layer.name) == layer.name and origin(BASE, layer.name) is layer


def test_a_role_need_not_be_a_layer_name() -> None:
    layers = (
        LayerSpec("dark2", "conv", ("image",), (("out_channels", 8),)),
        LayerSpec("head", "conv", ("dark2",), (("out_channels", 8),)),
    )
    spec = ModelSpec("other", "s", 1, layers, (("backbone.p2", "dark2"),))
    assert resolve(spec, "backbone.p2") == "dark2" == origin(spec, "backbone.p2").name
    grafted = graft(spec, parse_graft("se@backbone.p2+nam@backbone.p2"))
    assert [layer.name for layer in grafted] == ["dark2", "backbone.p2+se", "backbone.p2+nam", "head"]
    assert resolve(grafted, "backbone.p2") == "backbone.p2+nam"


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("neck.p6", "neck.p"),
        ("backbone.sppff", "backbone.sppf"),
        ("steem", "stem"),
        ("neck.td4.cut", "neck.td4.cat"),
    ],
)
def test_a_wrong_place_answers_with_those_that_exist_the_nearest_first(wrong: str, near: str) -> None:
    with pytest.raises(SpecError) as caught:
        resolve(BASE, wrong)
    error = caught.value
    assert error.code == "YG120" and f"'{wrong}'" in error.cause and "yolov8n" in error.cause
    assert error.fix.startswith(f"did you mean {near}")
    assert error.fix.endswith("sites: " + ", ".join(ROLES))
    assert len(str(error)) <= MAX_LINE


def test_a_role_of_another_family_says_so() -> None:
    for role in ("neck.lat5", "neck.lat4"):
        with pytest.raises(SpecError, match=f"yolov8n has no site '{role}'"):
            graft(BASE, parse_graft(f"se@{role}"))
    with pytest.raises(SpecError) as caught:
        resolve(BASE, "something else")
    assert caught.value.fix.startswith("sites: ")


def test_the_backbone_is_what_the_last_stage_reads() -> None:
    spec = graft(BASE, parse_graft("se@backbone.p4+nam@neck.p3"))
    names = [layer.name for layer in spec]
    assert "backbone.p4+se" in names[: names.index("backbone.sppf")]
    assert backbone_layers(spec) == set(names[: names.index("backbone.sppf") + 1])
    assert backbone_layers(replace(BASE, sites=())) == frozenset()


def test_levels_of_the_head_are_seen_through_the_grafts_in_front_of_it() -> None:
    for text in ("se@neck.p4", "se@edge:neck.p4..head", "se@edge:neck.p4..head+nam@edge:neck.p4..head"):
        assert head_levels(graft(BASE, parse_graft(text))) == ["neck.p3", "neck.p4", "neck.p5"]
    assert head_levels(replace(BASE, sites=BASE.sites[:-1])) == ["neck.p3", "neck.p4", ""]


def test_head_slots() -> None:
    assert head_slot(BASE, "head.p3.cls") == "p3.cls"
    assert head_slot(BASE, "head") == head_slot(BASE, "neck.p3") == head_slot(BASE, "headp3.cls") == ""


@pytest.mark.parametrize(
    ("source", "target", "slot"),
    [
        ("backbone.p4", "neck.td4", ("neck.td4.cat", "backbone.p4")),
        ("backbone.sppf", "neck.td4", ("neck.td4.up", "backbone.sppf")),
        ("backbone.p3", "neck.p3", ("neck.p3.cat", "backbone.p3")),
        ("neck.td4", "neck.p3", ("neck.p3.up", "neck.td4")),
        ("neck.td4", "neck.p4", ("neck.p4.cat", "neck.td4")),
        ("backbone.sppf", "neck.p5", ("neck.p5.cat", "backbone.sppf")),
        ("neck.p4", "head", ("head", "neck.p4")),
        ("neck.p4", "neck.p5.down", ("neck.p5.down", "neck.p4")),
        ("backbone.p4", "neck.td4.cat", ("neck.td4.cat", "backbone.p4")),
        ("neck.td4.cat", "neck.td4", ("neck.td4", "neck.td4.cat")),
        ("stem", "backbone.p2.down", ("backbone.p2.down", "stem")),
    ],
)
def test_connections(source: str, target: str, slot: tuple[str, str]) -> None:
    assert edge_slot(BASE, source, target) == slot


@pytest.mark.parametrize(
    ("source", "target", "reads"),
    [
        ("backbone.p3", "neck.td4", "backbone.p4"),
        ("neck.td4", "backbone.p4", "backbone.p4.down"),
        ("neck.p3", "neck.p4", "neck.td4"),  # a strided convolution is a layer, not plumbing
        ("neck.p3", "neck.p3", "backbone.p3"),
    ],
)
def test_no_connection_says_what_is_read(source: str, target: str, reads: str) -> None:
    with pytest.raises(SpecError, match=f"no connection {source}..{target}") as caught:
        edge_slot(BASE, source, target)
    assert caught.value.code == "YG121" and reads in caught.value.fix
    assert len(str(caught.value)) <= MAX_LINE


def test_the_ends_of_a_connection_are_places() -> None:
    for text in ("se@edge:neck.lat5..neck.td4", "se@edge:backbone.p4..neck.lat5"):
        with pytest.raises(SpecError) as caught:
            graft(BASE, parse_graft(text))
        assert caught.value.code == "YG120"
