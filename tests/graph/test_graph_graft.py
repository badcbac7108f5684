from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from graft_strategies import ROLES, grafts
from hypothesis import given, settings

from yolograft.errors import MAX_LINE, SpecError
from yolograft.graph.expr import GraftSpec, Site, parse_graft
from yolograft.graph.graft import diff, graft
from yolograft.graph.spec import LayerSpec, ModelSpec
from yolograft.models.build import model_spec, sketch

BASE = model_spec("yolov8n", num_classes=3)
STOCK = {key: tensor.shape for key, tensor in sketch(BASE).state_dict().items()}


def placed(text: str, base: ModelSpec = BASE) -> ModelSpec:
    return graft(base, parse_graft(text))


def new_layers(spec: ModelSpec) -> list[str]:
    known = {layer.name for layer in BASE}
    return [layer.name for layer in spec if layer.name not in known]


def changed_inputs(spec: ModelSpec) -> dict[str, tuple[str, ...]]:
    """Stock layers that read something else than before."""
    before = {layer.name: layer.inputs for layer in BASE}
    return {x.name: x.inputs for x in spec if x.name in before and x.inputs != before[x.name]}


def readers(spec: ModelSpec, name: str) -> list[str]:
    return [layer.name for layer in spec.consumers(name)]


@pytest.mark.parametrize("role", ROLES)
def test_after_a_role_everybody_reads_the_graft(role: str) -> None:
    spec = placed(f"se@{role}")
    name = f"{role}+se"
    assert new_layers(spec) == [name] and spec.layer(name).inputs == (role,)
    assert readers(spec, role) == [name]
    assert readers(spec, name) == readers(BASE, role)
    assert dict(spec.sites)[role] == name
    assert [x.name for x in spec if x.name != name] == [x.name for x in BASE]


@pytest.mark.parametrize("level", ["p3", "p4", "p5"])
def test_the_head_reads_the_graft_at_its_own_place(level: str) -> None:
    spec = placed(f"se@neck.{level}")
    assert spec.head.inputs == tuple(
        f"neck.{p}+se" if p == level else f"neck.{p}" for p in ("p3", "p4", "p5")
    )


def test_one_connection_only() -> None:
    spec = placed("se@edge:backbone.p4..neck.td4")
    (name,) = new_layers(spec)
    assert spec.layer(name).inputs == ("backbone.p4",)
    assert changed_inputs(spec) == {"neck.td4.cat": ("neck.td4.up", name)}
    assert readers(spec, "backbone.p4") == ["backbone.p5.down", name]
    assert spec.sites == BASE.sites


def test_a_connection_through_upsampling_and_into_the_head() -> None:
    up = placed("se@edge:backbone.sppf..neck.td4")
    assert list(changed_inputs(up)) == ["neck.td4.up"]
    assert readers(up, "backbone.sppf") == ["neck.td4.up.in+se", "neck.p5.cat"]
    head = placed("se@edge:neck.p3..head")
    assert changed_inputs(head) == {"head": ("head.in+se", "neck.p4", "neck.p5")}
    assert readers(head, "neck.p3") == ["neck.p4.down", "head.in+se"]


def test_before() -> None:
    spec = placed("se@before:backbone.sppf")
    assert changed_inputs(spec) == {"backbone.sppf": ("backbone.sppf.in+se",)}
    assert spec.layer("backbone.sppf.in+se").inputs == ("backbone.p5",)
    assert placed("se@before:stem").layers[0].inputs == ("image",)


@pytest.mark.parametrize("target", ["neck.td4.cat", "head"])
def test_before_a_place_with_several_maps_names_the_connection(target: str) -> None:
    with pytest.raises(SpecError) as caught:
        placed(f"se@before:{target}")
    error = caught.value
    assert error.code == "YG124" and len(str(error)) <= MAX_LINE
    assert new_layers(placed(f"se@{error.fix.removeprefix('name the connection: ')}"))


def test_replace_takes_the_place_but_not_the_name() -> None:
    spec = placed("conv:out_channels=256,kernel=3@replace:backbone.sppf")
    name = "backbone.sppf+conv"
    assert new_layers(spec) == [name] and "backbone.sppf" not in {x.name for x in spec}
    assert spec.layer(name).inputs == ("backbone.p5",)
    assert readers(spec, name) == readers(BASE, "backbone.sppf")
    assert dict(spec.sites)["backbone.sppf"] == name
    after = placed("se@backbone.sppf", spec)
    assert after.layer("backbone.sppf+se").inputs == (name,)
    for target in ("head", "neck.td4.cat"):
        with pytest.raises(SpecError) as caught:
            placed(f"se@replace:{target}")
        assert caught.value.code == "YG125"


def test_inside_a_block_changes_that_block_only() -> None:
    spec = placed("se:reduction=4@inside:backbone.p3")
    assert new_layers(spec) == [] and changed_inputs(spec) == {}
    ((slot, ref),) = spec.layer("backbone.p3").inside
    assert slot == "*" and ref.text() == "se:reduction=4"
    assert [x for x in spec if x.inside] == [spec.layer("backbone.p3")]


@pytest.mark.parametrize("mode", ["", "inside:", "after:"])
def test_inside_a_branch_of_the_head(mode: str) -> None:
    spec = placed(f"se@{mode}head.p4.box")
    assert [slot for slot, _ in spec.head.inside] == ["p4.box"] and new_layers(spec) == []


@pytest.mark.parametrize(
    ("target", "module"),
    [("stem", "conv"), ("backbone.sppf", "sppf"), ("neck.td4.cat", "concat"), ("head", "yolov8_head")],
)
def test_inside_what_has_no_bottlenecks(target: str, module: str) -> None:
    with pytest.raises(SpecError, match=f"'{target}' is a {module}") as caught:
        placed(f"se@inside:{target}")
    assert caught.value.code == "YG122" and len(str(caught.value)) <= MAX_LINE
    place = caught.value.fix.rpartition(" ")[2]
    assert placed(f"se@{place.removeprefix('use ')}") != BASE


def test_nobody_reads_a_graft_after_the_head() -> None:
    with pytest.raises(SpecError, match="graft has no consumer") as caught:
        placed("se@head")
    assert caught.value.code == "YG123"
    dead = LayerSpec("dead", "conv", ("stem",), (("out_channels", 8),))
    spec = ModelSpec("yolov8", "n", 3, (*BASE.layers[:1], dead, *BASE.layers[1:]), BASE.sites)
    with pytest.raises(SpecError, match="no consumer"):
        placed("se@dead", spec)


@pytest.mark.parametrize(
    ("site", "chain"),
    [
        ("neck.p3", ("neck.p3", "neck.p3+se", "neck.p3+nam", "neck.p3+se.2")),
        ("backbone.p3.down", ("backbone.p3.down", *(f"backbone.p3.down+{m}" for m in ("se", "nam", "se.2")))),
        ("neck.td4.cat", ("neck.td4.cat", *(f"neck.td4.cat+{m}" for m in ("se", "nam", "se.2")))),
        (
            "edge:backbone.p4..neck.td4",
            ("backbone.p4", *(f"neck.td4.cat.in+{m}" for m in ("se", "nam", "se.2"))),
        ),
        ("edge:neck.p5..head", ("neck.p5", *(f"head.in+{m}" for m in ("se", "nam", "se.2")))),
        ("before:backbone.sppf", ("backbone.p5", *(f"backbone.sppf.in+{m}" for m in ("se", "nam", "se.2")))),
    ],
)
def test_grafts_on_one_site_are_chained_in_the_order_written(site: str, chain: tuple[str, ...]) -> None:
    spec = placed(f"se@{site}+nam@{site}+se@{site}")
    assert new_layers(spec) == list(chain[1:])
    for earlier, later in pairwise(chain):
        assert spec.layer(later).inputs == (earlier,)
    assert spec == placed(f"se@{site}", placed(f"nam@{site}", placed(f"se@{site}")))
    base_readers = set(readers(BASE, chain[0]))
    assert set(readers(spec, chain[-1])) <= base_readers and readers(spec, chain[-1])
    assert readers(spec, chain[1]) == [chain[2]]


@pytest.mark.parametrize("plumbing", ["neck.td4.cat", "neck.td4.up"])
def test_a_graft_on_plumbing_leaves_the_connection_whole(plumbing: str) -> None:
    for source, reader in (("backbone.p4", "neck.td4.cat"), ("backbone.sppf", "neck.td4.up")):
        spec = placed(f"nam@{plumbing}+se@edge:{source}..neck.td4")
        assert spec.layer(f"{reader}.in+se").inputs == (source,)
        assert f"{reader}.in+se" in spec.layer(reader).inputs


def test_inside_grafts_are_kept_in_the_order_written() -> None:
    spec = placed("se@inside:neck.p3+nam@inside:neck.p3")
    assert [ref.module for _, ref in spec.layer("neck.p3").inside] == ["se", "nam"]


def test_a_connection_and_its_source_in_either_order() -> None:
    first = placed("nam@backbone.p4+se@edge:backbone.p4..neck.td4")
    second = placed("se@edge:backbone.p4..neck.td4+nam@backbone.p4")
    for spec in (first, second):
        assert readers(spec, "backbone.p4") == ["backbone.p4+nam"]
        assert readers(spec, "backbone.p4+nam") == ["backbone.p5.down", "neck.td4.cat.in+se"]
    assert first.layers == second.layers or {x.name for x in first} == {x.name for x in second}


@given(grafts())
@settings(max_examples=12)
def test_the_base_is_untouched_and_every_stock_weight_keeps_its_key(graft_spec: GraftSpec) -> None:
    before, text = hash(BASE), BASE.digest()
    grafted = graft(BASE, graft_spec)
    assert hash(BASE) == before and BASE.digest() == text
    assert grafted == graft(BASE, graft_spec) and hash(grafted) == hash(graft(BASE, graft_spec))
    assert grafted != BASE and grafted.head.name == "head"
    names = [layer.name for layer in grafted]
    assert len(set(names)) == len(names)
    assert [name for name in names if name in {x.name for x in BASE}] == [x.name for x in BASE]
    # Everything but the head is read by somebody, and what is new stands in the difference.
    assert all(grafted.consumers(name) for name in names[:-1])
    shapes = {key: tensor.shape for key, tensor in sketch(grafted).state_dict().items()}
    assert {key: shapes.get(key) for key in STOCK} == STOCK
    assert len([line for line in diff(BASE, grafted) if line[0] == "+"]) == len(new_layers(grafted))


@given(grafts(max_terms=1), grafts(max_terms=1))
@settings(max_examples=12)
def test_two_arms_are_their_terms_one_after_the_other(a: GraftSpec, b: GraftSpec) -> None:
    both = GraftSpec("both", (*a.terms, *b.terms))
    assert graft(BASE, a, b) == graft(BASE, both) == graft(graft(BASE, a), b)


def test_no_graft_is_the_base() -> None:
    assert graft(BASE) == BASE and diff(BASE, BASE) == []


def test_the_difference_in_lines() -> None:
    spec = placed("se:reduction=4@edge:backbone.p4..neck.td4+nam:init=identity@inside:neck.p3")
    assert diff(BASE, spec) == [
        "+ neck.td4.cat.in+se: se:reduction=4 reads backbone.p4",
        "~ neck.td4.cat: reads neck.td4.up, neck.td4.cat.in+se (was neck.td4.up, backbone.p4)",
        "~ neck.p3: nam:init=identity inside *",
    ]
    assert diff(BASE, placed("conv:out_channels=256@replace:backbone.sppf"))[-1] == "- backbone.sppf: sppf"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("my_att.py::MyAtt", "neck.p3+myatt"),
        ("a/b.py::My_Att2", "neck.p3+my_att2"),
        ("pkg.sub::MyAtt", "neck.p3+myatt"),
        ("timm:eca", "neck.p3+eca"),
        ("CAM", "neck.p3+cam"),
        ("m.py::Größe", "neck.p3+gr__e"),
    ],
)
def test_layer_names_of_grafts(module: str, name: str) -> None:
    assert new_layers(placed(f"{module}@neck.p3")) == [name]


def test_keys_stay_when_a_graft_is_grafted_upon() -> None:
    """A name made of a graft's name is a place too, in Python."""
    spec = placed("se@neck.p3")
    term = parse_graft("nam@x").terms[0]
    again = graft(spec, GraftSpec("b", (type(term)(term.ref, (Site("after", "neck.p3+se"),)),)))
    assert again.layer("neck.p3+se+nam").inputs == ("neck.p3+se",)
    assert again.head.inputs[0] == "neck.p3+se+nam" == dict(again.sites)["neck.p3"]
    assert torch.Size([8, 64, 1, 1]) == sketch(again).state_dict()["layers.neck/p3+se.fc1.weight"].shape
