"""Control arms: the placebo's parameter count, the A/A arm's start, the next scale, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from test_study_verdicts import planned

from yolograft.engine.arm import Arm
from yolograft.engine.finetune import part_rates
from yolograft.engine.optim import WHOLE
from yolograft.engine.recipe import Recipe
from yolograft.errors import SpecError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, inspect_spec, model_spec
from yolograft.study.planning.arms import controls_against, judged_against
from yolograft.study.planning.controls import next_scale, placebo_of
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.start import APART, start_apart

STOCK = model_spec("yolov8n", num_classes=3)
# Of yolov8n: the maps the head receives.
CHANNELS = {"neck.p3": 64, "neck.p5": 256}


def size(spec) -> int:
    return sum(facts.params for facts in inspect_spec(spec))


@pytest.mark.parametrize("site", ["neck.p3", "neck.p5"])
def test_the_hidden_width_is_that_of_the_formula(site: str) -> None:
    """r = max(1, round(P / 2C)), P counted by building the module itself."""
    asked = parse_graft(f"coord_att@{site}")
    wanted = size(graft(STOCK, asked)) - size(STOCK)
    found = placebo_of(STOCK, asked, code={})
    hidden = max(1, round(wanted / (2 * CHANNELS[site])))
    assert found.graft.text() == f"placebo:hidden={hidden}@{site}"
    assert (found.wanted, found.got) == (wanted, 2 * CHANNELS[site] * hidden)
    assert size(graft(STOCK, found.graft)) - size(STOCK) == found.got
    assert abs(found.got - wanted) <= CHANNELS[site]


@pytest.mark.parametrize(
    "text",
    ["se@neck.p3,neck.p4", "cbam@inside:backbone.p4", "eca@head.p3.cls",
     "se@edge:backbone.p4..neck.td4+coord_att:reduction=8,init=identity@neck.p3"],
)  # fmt: skip
def test_placebos_stand_wherever_grafts_do(text: str) -> None:
    found = placebo_of(STOCK, parse_graft(text), code={})
    made = graft(STOCK, found.graft)
    assert size(made) - size(STOCK) == found.got > 0
    assert found.graft.text().count("placebo") == text.count("@") + text.count(",neck")
    assert ("init=identity" in found.graft.text()) == ("init=identity" in text)
    # What is typed comes back the same, so a placebo can be trained by hand too.
    assert graft(STOCK, parse_graft(found.graft.text())) == made


def test_a_module_without_parameters_gets_the_smallest_placebo() -> None:
    found = placebo_of(STOCK, parse_graft("simam@neck.p3"), code={})
    assert (found.wanted, found.got) == (0, 128)
    assert found.line("x") == "placebo of x: 128 parameters for 0"


def test_a_replaced_layer_has_no_placebo() -> None:
    why = placebo_of(STOCK, parse_graft("se@replace:backbone.sppf"), code={})
    assert why == "se replaces 'backbone.sppf', a placebo stands beside a layer"


def test_controls_are_arms_and_no_candidates(tmp_path: Path) -> None:
    kinds = ("identity", "placebo", "next-scale")
    run = planned(tmp_path, "ca=coord_att@neck.p3", "r=se@replace:backbone.sppf", controls=kinds)
    manifest = read_manifest(run)
    arms = {arm["label"]: arm for arm in manifest["arms"]}
    assert list(arms) == ["baseline", "ca", "r", "identity", "ca.placebo", "next-scale"]
    assert [arms[x]["control"] for x in arms] == ["", "", "", "identity", "placebo", "next-scale"]
    assert [x for x in arms if arms[x]["baseline"]] == ["baseline"]
    assert arms["ca.placebo"]["of"] == "ca" and arms["ca.placebo"]["expression"].startswith("placebo:hidden=")
    assert arms["identity"]["spec"] == arms["baseline"]["spec"]
    assert arms["next-scale"]["spec"]["scale"] == "s" and arms["next-scale"]["model"] == "yolov8n"
    assert any("parameters for" in note for note in arms["ca.placebo"]["notes"])
    # They take no share of the chance of error; each is set against its baseline by itself.
    assert judged_against(manifest["arms"], across=False) == [("baseline", ("ca", "r"))]
    assert [label for _, label in controls_against(manifest["arms"])] == list(arms)[3:]
    (missing,) = [row for row in manifest["controls"] if row["label"] is None]
    assert missing["note"].startswith("r has no placebo: se replaces")
    assert [row["label"] for row in manifest["controls"]] == [*list(arms)[3:], None]


def test_every_model_has_its_own_controls(tmp_path: Path) -> None:
    run = planned(tmp_path, "ca=coord_att@neck.p3", more_models=("yolox-nano",),
                  controls=("identity", "next-scale"))  # fmt: skip
    arms = {arm["label"]: arm for arm in read_manifest(run)["arms"]}
    assert set(arms) == {
        x + y for x in ("yolov8n", "yolox-nano") for y in ("", ".ca", ".identity", ".next-scale")
    }
    assert arms["yolox-nano.next-scale"]["spec"]["scale"] == "tiny"


@pytest.mark.parametrize(("model", "larger"), [("yolov8n", "yolov8s"), ("yolov5l", "yolov5x"),
                                               ("yolox-nano", "yolox-tiny")])  # fmt: skip
def test_the_next_scale(model: str, larger: str) -> None:
    assert next_scale(model) == larger


@pytest.mark.parametrize("values", [{"model": "yolov8x", "controls": ("next-scale",)},
                                    {"controls": ("identity", "identity")}])  # fmt: skip
def test_what_cannot_be_made_is_refused(values, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="YG642"):
        planned(tmp_path, "se@neck.p3", **values)
    with pytest.raises(SpecError, match="YG642"):
        planned(tmp_path, controls=("placebo",))
    assert list(tmp_path.iterdir()) == []


def test_an_aa_arm_starts_apart_and_near() -> None:
    arm = Arm("identity", STOCK)
    base = dict(build(STOCK, seed=4).state_dict())
    apart, again, other = (start_apart(arm, seed).weights for seed in (4, 4, 5))
    learned = {name for name, p in build(STOCK).named_parameters() if p.requires_grad}
    assert set(apart) == learned
    assert all(torch.equal(apart[name], again[name]) for name in learned)
    moved = [name for name in learned if not torch.equal(apart[name], base[name])]
    assert {name for name in learned if base[name].any()} == set(moved)
    assert not any(torch.equal(apart[name], other[name]) for name in moved)
    share = torch.cat([(apart[n] / base[n] - 1)[base[n] != 0].flatten() for n in learned])
    assert share.std().item() == pytest.approx(APART, rel=0.01)


def test_from_trained_weights_only_these_move() -> None:
    name = "layers.stem.conv.weight"
    base = dict(build(STOCK, seed=9).state_dict())
    name = next(key for key in base if key.endswith("weight"))
    kept = {name: base[name]}
    assert set(start_apart(Arm("identity", STOCK, weights=kept), 0).weights) == {name}


def test_an_aa_arm_learns_at_the_rate_of_its_baseline() -> None:
    """Its weights count as loaded; under a recipe for a fresh start that changes no rate."""
    recipe = Recipe(epochs=5)
    for step in range(0, 500, 7):
        rates = part_rates(step, total_steps=500, steps_per_epoch=100, recipe=recipe)
        assert math.isclose(rates["kept"], rates[WHOLE]) and math.isclose(rates["new"], rates[WHOLE])
