from __future__ import annotations

import itertools

import pytest

from yolograft.errors import SpecError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.levels import LEVELS, STOCK, keep_levels
from yolograft.models.build import inspect_spec, model_spec

SUBSETS = [c for k in range(1, 5) for c in itertools.combinations(LEVELS, k)]


@pytest.mark.parametrize("levels", SUBSETS, ids=",".join)
def test_every_choice_of_levels_builds_and_leaves_no_layer_unread(levels: tuple[str, ...]) -> None:
    spec = model_spec("yolov8n", num_classes=3, levels=levels)
    facts = {fact.name: fact for fact in inspect_spec(spec)}
    assert spec.head.inputs == tuple(f"neck.{level}" for level in levels)
    strides = [facts[name].stride for name in spec.head.inputs]
    assert strides == [2 ** int(level[1:]) for level in levels]
    assert all(spec.consumers(layer.name) for layer in spec.layers[:-1])


def test_the_stock_levels_change_nothing() -> None:
    spec = model_spec("yolov8s")
    assert keep_levels(spec, STOCK) == spec
    assert model_spec("yolov8s", levels=("p5", "p3", "p4")) == spec


@pytest.mark.parametrize(
    ("scale", "params"),
    [("n", 3_354_144), ("s", 10_884_336), ("m", 25_082_496), ("l", 42_888_080), ("x", 66_637_536)],
)
def test_four_levels_have_the_published_parameter_count(scale: str, params: int) -> None:
    """Counts of the family's own p2 models, 80 classes, printed by running them as a black box."""
    spec = model_spec(f"yolov8{scale}", levels=LEVELS)
    assert sum(fact.params for fact in inspect_spec(spec)) == params


def test_layers_that_stay_keep_their_names_and_sites() -> None:
    stock = model_spec("yolov8n")
    fewer = model_spec("yolov8n", levels=("p3", "p4"))
    assert {layer.name for layer in fewer.layers} < {layer.name for layer in stock.layers}
    grafted = graft(fewer, parse_graft("se@neck.p4"))
    assert grafted.head.inputs == ("neck.p3", "neck.p4+se")


@pytest.mark.parametrize("levels", [("p6",), (), ("p3", "p3"), ("P3",)])
def test_levels_that_do_not_exist_are_refused_in_one_line(levels: tuple[str, ...]) -> None:
    with pytest.raises(SpecError, match="YG132") as caught:
        model_spec("yolov8n", levels=levels)
    assert "\n" not in caught.value.line() and "--levels p2,p3,p4,p5" in caught.value.line()


def test_a_graft_on_a_level_that_was_left_out_lists_the_sites_there_are() -> None:
    with pytest.raises(SpecError, match=r"YG120.*sites: stem"):
        graft(model_spec("yolov8n", levels=("p3", "p4")), parse_graft("se@neck.p5"))
