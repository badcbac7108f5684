"""Joins exchanged one by one: what they cost, and the grafts beside them on one connection."""

from __future__ import annotations

import pytest
from test_necks import EDGE, c2f, conv, grafted, stock_sketch

from yolograft.errors import ModuleError, SpecError
from yolograft.graph.ablate import ablate_grafts
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import diff, graft
from yolograft.graph.sites import origin, resolve
from yolograft.models.build import inspect_spec, model_spec


def test_one_join_weighs_gates_or_adds_and_costs_what_is_counted_by_hand() -> None:
    stock = sum(fact.params for fact in stock_sketch("yolov8n").facts)
    added = {
        "bifpn_concat": 2,
        "gated_concat": 4 * 49,
        # Maps of 256 and 128 channels: the narrow one is widened, the block reads 256 rather than 384.
        "bifpn_add": 2 + conv(128, 256) + c2f(256, 128) - c2f(384, 128),
        "bifpn_add:out_channels=128": 2 + conv(256, 128) + c2f(128, 128) - c2f(384, 128),
    }
    for module, wanted in added.items():
        spec = grafted("yolov8n", f"{module}@{EDGE}")
        assert sum(fact.params for fact in inspect_spec(spec)) - stock == wanted
        assert len(diff(model_spec("yolov8n"), spec)) == 3  # the join, its reader, the join that went


@pytest.mark.parametrize("first", ["se", "bifpn_add"])
def test_a_join_and_a_graft_share_a_connection(first: str) -> None:
    second = {"se": "bifpn_add", "bifpn_add": "se"}[first]
    spec = grafted("yolov8n", f"{first}@{EDGE}+{second}@{EDGE}")
    join = spec.layer("neck.td4.cat+bifpn_add")
    assert "se" in spec.layer(join.inputs[1]).module and spec.layer("neck.td4").inputs == (join.name,)
    inspect_spec(spec)


def test_a_graft_in_front_of_a_block_does_not_hide_its_join() -> None:
    spec = grafted("yolov8n", f"se@before:neck.td4+bifpn_concat@{EDGE}")
    assert spec.layer("neck.td4.in+se").inputs == ("neck.td4.cat+bifpn_concat",)


def test_an_alias_of_a_join_is_not_taken_for_a_module_of_one_map() -> None:
    with pytest.raises(ModuleError, match=r"YG201.*did you mean bifpn_add"):
        inspect_spec(grafted("yolov8n", f"bifpn@{EDGE}"))


def test_joins_of_a_neck_can_be_exchanged() -> None:
    spec = grafted("yolov8n", f"neck:bifpn+gated_concat@{EDGE}")
    assert spec.layer("neck.td4").inputs == ("neck.td4.fuse+gated_concat",)
    inspect_spec(spec)


def test_a_lateral_is_no_way_into_the_join_behind_it() -> None:
    with pytest.raises(SpecError, match=r"YG183.*neck\.lat4"):
        grafted("yolov5n", "bifpn_add@edge:neck.td4..neck.lat4")


def test_a_combination_that_exchanges_a_join_twice_is_refused() -> None:
    both = ablate_grafts(f"bifpn_concat@{EDGE}; gated_concat@edge:backbone.sppf..neck.td4")[-1]
    with pytest.raises(SpecError, match=r"YG182.*already been exchanged"):
        graft(model_spec("yolov8n"), both)


def test_a_connection_into_an_exchanged_join_goes_past_the_graft_behind_it() -> None:
    spec = grafted("yolov8n", f"se@neck.td4.cat+gated_concat@{EDGE}+se@{EDGE}")
    join = spec.layer("neck.td4.cat+gated_concat")
    assert spec.layer("neck.td4").inputs == ("neck.td4.cat+se",)
    assert spec.layer("neck.td4.cat+se").inputs == (join.name,)
    assert spec.layer(join.inputs[1]).inputs == ("backbone.p4",)
    inspect_spec(spec)


def test_a_join_and_a_graft_behind_it_may_be_written_in_either_order() -> None:
    join, se = f"gated_concat@{EDGE}", "se@neck.td4.cat"
    spec = grafted("yolov8n", f"{join}+{se}")
    assert spec == grafted("yolov8n", f"{se}+{join}")
    # The name of the place goes on to mean what stands there, and the grafts behind it.
    assert origin(spec, "neck.td4.cat").name == "neck.td4.cat+gated_concat"
    assert resolve(spec, "neck.td4.cat") == "neck.td4.cat+se"
    with pytest.raises(SpecError, match=r"YG182.*already been exchanged"):
        graft(spec, parse_graft("bifpn_concat@edge:backbone.p4..neck.td4.cat"))


def test_what_stands_on_a_connection_is_in_the_place_of_no_layer() -> None:
    with pytest.raises(SpecError, match="YG120"):
        resolve(grafted("yolov8n", f"se@{EDGE}"), "neck.td4.cat.in")
