"""Necks in a study: how they start from weights, what is new in them, who is cited, how they are measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_study_start import Heard
from test_study_verdicts import Silent

from yolograft.data.eval_stream import EvalStream
from yolograft.data.records import ImageRecord
from yolograft.distill.distiller import Distiller
from yolograft.engine.arm import Arm
from yolograft.engine.modelfolder import StoredModel
from yolograft.engine.recipe import Recipe
from yolograft.errors import MAX_LINE, CheckpointError
from yolograft.graph.anchors import anchors_of, with_anchors
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.necks.table import NO_IDENTITY
from yolograft.models.build import build, model_spec
from yolograft.study.paper.citations import bibtex, keys_of_graft
from yolograft.study.planning.arms import PlannedArm
from yolograft.study.planning.facts import arm_facts
from yolograft.study.report.placement import lay_out
from yolograft.study.report.reading import read_arms
from yolograft.study.run import _measures
from yolograft.study.start import with_weights

STOCK = model_spec("yolox-nano", num_classes=1)
RECIPE = Recipe(epochs=1, batch=2, imgsz=(64, 128), precision="fp32")


def arm(expression: str) -> Arm:
    return Arm("a", graft(STOCK, parse_graft(expression)))


@pytest.fixture(scope="module")
def source() -> StoredModel:
    return StoredModel(STOCK, build(STOCK).state_dict(), {}, {"imgsz": [64, 64], "names": ["a"]})


@pytest.mark.parametrize("neck", ["pan", "dualpath"])
def test_levels_added_to_trained_weights_start_and_say_that_they_are_not_the_identity(
    neck: str, source: StoredModel
) -> None:
    heard = Heard()
    started = with_weights(arm(f"neck:{neck}:levels=p3-p6"), source, RECIPE, heard)
    assert heard.notes[-1] == f"a: {NO_IDENTITY}"
    assert started.weights.keys() == source.tensors.keys()


def test_levels_that_misplace_tensors_are_forced_or_refused(source: StoredModel) -> None:
    other = arm("neck:bifpn:levels=p3-p6")
    with pytest.raises(CheckpointError, match="YG420"):
        with_weights(other, source, RECIPE, Silent())
    heard = Heard()
    assert with_weights(other, source, RECIPE, heard, force=True).weights
    assert heard.notes[-1] == f"a: {NO_IDENTITY}"


@pytest.fixture(scope="module")
def of_yolov5() -> StoredModel:
    spec = model_spec("yolov5n", num_classes=1)
    return StoredModel(spec, build(spec).state_dict(), {}, {"imgsz": [64, 64], "names": ["a"]})


@pytest.mark.parametrize(
    ("expression", "scale", "said"),
    [
        ("neck:pan:levels=p3-p6", 1, [NO_IDENTITY]),  # the levels both have keep their anchors
        ("neck:dualpath", 2, [NO_IDENTITY, "anchors changed"]),
        ("se:init=identity@neck.p3", 2, ["anchors changed"]),
        ("se:init=identity@edge:neck.p4..head", 1, ["identical to the base"]),
    ],
)
def test_anchors_and_identity_are_two_things_to_say(
    expression: str, scale: int, said: list[str], of_yolov5: StoredModel
) -> None:
    spec = with_anchors(of_yolov5.spec, [scale * side for side in anchors_of(of_yolov5.spec)])
    heard = Heard()
    with_weights(Arm("a", graft(spec, parse_graft(expression))), of_yolov5, RECIPE, heard)
    assert len(heard.notes) == 1 + len(said)
    assert all(note.startswith(f"a: {text}") for note, text in zip(heard.notes[1:], said, strict=True))


def test_a_branch_of_the_head_goes_on_at_its_level_or_is_forced() -> None:
    stock = model_spec("yolov8n", num_classes=1)
    trained = StoredModel(stock, build(stock).state_dict(), {}, {"imgsz": [64, 64], "names": ["a"]})
    # P5 and P6 are as wide: every tensor has its shape, and the branch of one would go on at the other.
    other = Arm("a", graft(stock, parse_graft("neck:pan:levels=p3-p4-p6")))
    with pytest.raises(CheckpointError, match=r"YG420.*neck\.p5 .*neck\.p6 .*--force") as caught:
        with_weights(other, trained, RECIPE, Silent())
    assert len(str(caught.value)) <= MAX_LINE
    assert with_weights(other, trained, RECIPE, Silent(), force=True).weights
    more = Arm("a", graft(stock, parse_graft("neck:pan:levels=p3-p6")))
    assert with_weights(more, trained, RECIPE, Silent()).weights.keys() == trained.tensors.keys()


def test_a_teacher_at_other_levels_than_a_neck_names_says_how_to_meet() -> None:
    student, teacher = build(arm("neck:pan:levels=p3-p6").spec), build(STOCK)
    with pytest.raises(CheckpointError, match=r"YG448.*--levels, or levels= of the neck") as caught:
        Distiller(parse_graft("distill:cwd").of_kind("distill"), student, teacher, seed=0)
    assert len(str(caught.value)) <= MAX_LINE


def test_what_a_neck_brings_is_new_and_drawn() -> None:
    spec = arm("neck:bifpn:levels=p3-p6+se@neck.p3").spec
    facts = arm_facts(PlannedArm("a", "yolox-nano", "x", spec), STOCK, {})
    new = {row["name"] for row in facts["layers"] if row["new"]}
    assert new == {layer.name for layer in spec.layers} - {layer.name for layer in STOCK.layers}
    assert {"backbone.p6.down", "neck.td4.fuse", "neck.p6", "neck.p3+se"} <= new
    (read,) = read_arms({"arms": [facts]})
    layout = lay_out(read.layers)
    shown = {name for c in layout.cells for name in (c.layer.name, *(g.name for g in c.grafts))}
    # Upsampling, old or new, only resizes: it stays folded into the edges.
    assert new - shown == {"neck.td5.up"} and 64 in layout.strides
    plain = arm_facts(PlannedArm("baseline", "yolox-nano", "", STOCK), STOCK, {})
    assert not any(row["new"] for row in plain["layers"])


@pytest.mark.parametrize(("expression", "told"), [("neck:dualpath", True), ("se@neck.p3", False)])
def test_a_branch_says_that_another_neck_does_not_go_on_as_the_identity(expression: str, told: bool) -> None:
    item = PlannedArm("a", "yolox-nano", expression, arm(expression).spec)
    assert (NO_IDENTITY in arm_facts(item, STOCK, {}, branch=True)["notes"]) is told
    assert NO_IDENTITY not in arm_facts(item, STOCK, {})["notes"]


def test_necks_are_cited_as_necks() -> None:
    assert keys_of_graft("neck:bifpn+bifpn_add@edge:a..b") == ("tan2020efficientdet",)
    assert keys_of_graft("neck:FPN") == ("lin2017feature",)
    # A design of ours: no paper is to be credited with it.
    assert keys_of_graft("neck:dualpath") == ()
    arms = [{"label": "d", "expression": "neck:dualpath+distill:cwd"}]
    text = bibtex({"arms": arms})
    assert "% no paper is known for neck:dualpath" in text and "cbam" not in text.lower()
    assert "Channel-wise" in text


def test_a_baseline_is_measured_as_if_no_arm_of_its_study_had_p6() -> None:
    def record(height: int, width: int) -> ImageRecord:
        none = np.zeros(0)
        boxes, flags = np.zeros((0, 4)), none.astype(bool)
        return ImageRecord(
            f"{width}", Path(f"{width}.png"), height, width, boxes, none.astype(int), flags, none, 0, ()
        )

    records = [record(32, 128), record(64, 64)]
    manifest = {"arms": [{"layers": [{"stride": 8}, {"stride": widest}]} for widest in (32, 64, 32)]}
    found = _measures(records, manifest, RECIPE, "none")
    assert sorted(found) == [32, 64] and found[32].store is found[64].store
    alone = EvalStream(records, imgsz=RECIPE.imgsz, batch=RECIPE.batch, stride=32, cache="none")
    assert found[32].letterboxes == alone.letterboxes
    assert [box.input for box in found[32].letterboxes] == [(32, 128), (64, 64)]
    assert [box.input for box in found[64].letterboxes] == [(64, 128), (64, 64)]
