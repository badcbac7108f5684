"""Runs that do not belong together carry no verdict: every fault is planted once in a folder that is fine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_study_verdicts import planned, scored

from yolograft.engine.checkpoint import STATE, read_json, write_json
from yolograft.engine.modelfolder import LAST
from yolograft.engine.runfolder import arm_folder
from yolograft.study.planning.manifest import MANIFEST, read_manifest
from yolograft.study.records.sound import RunFacts, facts_of_folder, unsound
from yolograft.study.results import collect

GRAFT = "se-neck.p3"
VALUES = {"baseline": (20.0, 20.4, 19.8), GRAFT: (40.0, 40.3, 39.9)}


def stored(run: Path, label: str, seed: int) -> Path:
    """A model folder's state as a run writes it; its tensors do not matter here."""
    manifest = read_manifest(run)
    spec = next(arm["spec"] for arm in manifest["arms"] if arm["label"] == label)
    path = arm_folder(run, label, seed) / LAST / STATE
    path.parent.mkdir(exist_ok=True)
    data = {part: manifest["data"][part]["fingerprint"] for part in ("train", "eval")}
    state = {"format": 1, "kind": "model", "sha256": f"{label} {seed}".encode().hex(), "spec": spec,
             "recipe_sha256": manifest["recipe_sha256"], "data": data, "seed": seed}  # fmt: skip
    write_json(path, state)
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished study that is sound, and whose graft helps."""
    made = planned(tmp_path, "se@neck.p3")
    for label, values in VALUES.items():
        scored(made, label, values)
        for seed in range(len(values)):
            stored(made, label, seed)
    return made


def why(run: Path) -> str:
    manifest = read_manifest(run)
    return unsound(manifest, facts_of_folder(run, manifest))


def change(run: Path, label: str, seed: int, **values: Any) -> None:
    path = arm_folder(run, label, seed) / LAST / STATE
    write_json(path, read_json(path) | values)


def missing_seed(run: Path) -> str:
    shutil.rmtree(arm_folder(run, "baseline", 1))
    return "baseline seed 1 is missing"


def one_checkpoint_twice(run: Path) -> str:
    change(run, GRAFT, 2, sha256=read_json(arm_folder(run, GRAFT, 0) / LAST / STATE)["sha256"])
    return f"{GRAFT} seed 0 and {GRAFT} seed 2 are one and the same checkpoint"


def one_checkpoint_in_two_arms(run: Path) -> str:
    change(run, GRAFT, 1, sha256=read_json(arm_folder(run, "baseline", 1) / LAST / STATE)["sha256"])
    return f"baseline seed 1 and {GRAFT} seed 1 are one and the same checkpoint"


def another_recipe(run: Path) -> str:
    change(run, "baseline", 0, recipe_sha256="f" * 64)
    return "baseline seed 0: another recipe than the manifest's (ffffffffffff"


def other_training_images(run: Path) -> str:
    manifest = read_manifest(run)
    data = {part: manifest["data"][part]["fingerprint"] for part in ("train", "eval")}
    change(run, GRAFT, 1, data=data | {"train": "0" * 64})
    return f"{GRAFT} seed 1: trained on other images"


def another_evaluation_split(run: Path) -> str:
    manifest = read_manifest(run)
    data = {part: manifest["data"][part]["fingerprint"] for part in ("train", "eval")}
    change(run, GRAFT, 1, data=data | {"eval": "0" * 64})
    return f"{GRAFT} seed 1: measured on other images"


def another_model(run: Path) -> str:
    spec = next(arm["spec"] for arm in read_manifest(run)["arms"] if arm["baseline"])
    change(run, GRAFT, 2, spec=spec)
    return f"{GRAFT} seed 2: another model than the manifest's"


def a_spec_that_is_none(run: Path) -> str:
    change(run, GRAFT, 2, spec={"layers": 3})
    return f"{GRAFT} seed 2: another model than the manifest's"


def a_seed_nobody_planned(run: Path) -> str:
    shutil.copytree(arm_folder(run, GRAFT, 2), arm_folder(run, GRAFT, 3))
    return f"{GRAFT} seed 3 is not in the manifest: a study is never extended beyond its plan"


def another_seed_in_its_place(run: Path) -> str:
    path = arm_folder(run, GRAFT, 2) / "scores.json"
    write_json(path, read_json(path) | {"seed": 7})
    return f"{GRAFT} seed 7 is not in the manifest"


FAULTS: tuple[Callable[[Path], str], ...] = (
    missing_seed,
    one_checkpoint_twice,
    one_checkpoint_in_two_arms,
    another_recipe,
    other_training_images,
    another_evaluation_split,
    another_model,
    a_spec_that_is_none,
    a_seed_nobody_planned,
    another_seed_in_its_place,
)


def test_a_sound_study_keeps_its_verdict(run: Path) -> None:
    assert why(run) == ""
    assert collect(run)["arms"][1]["comparison"]["verdict"] == "helps"


@pytest.mark.parametrize("plant", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_one_line_and_no_verdict(plant: Callable[[Path], str], run: Path) -> None:
    expected = plant(run)
    line = why(run)
    assert line.startswith(expected) and "\n" not in line and len(line) <= 240
    results = collect(run)
    judged = results["arms"][1]["comparison"]
    assert judged["verdict"] == "not enough seeds" and judged["low"] is None
    if plant is not another_seed_in_its_place:
        assert results["unsound"] == line and line in judged["sentence"]


def test_a_diverged_run_is_no_gap(run: Path) -> None:
    path = arm_folder(run, GRAFT, 1) / "scores.json"
    write_json(path, {"seed": 1, "status": "diverged", "reason": "loss nan", "steps": 1, "seconds": 1.0,
                      "images_per_second": 1.0, "history": []})  # fmt: skip
    shutil.rmtree(arm_folder(run, GRAFT, 1) / LAST)
    assert why(run) == ""
    assert collect(run)["arms"][1]["comparison"]["verdict"] == "not enough seeds"


def test_what_was_not_written_down_is_not_held_against_a_run(run: Path) -> None:
    """Committed records hold no model folder, and runs of older versions no hashes."""
    for state in run.glob(f"arms/*/*/{LAST}"):
        shutil.rmtree(state)
    assert why(run) == ""


def test_a_spec_hashed_another_way_is_the_same_spec(run: Path) -> None:
    """A newer version may write a spec otherwise than the one that hashed it for the manifest."""
    manifest = read_manifest(run)
    for arm in manifest["arms"]:
        arm["spec_sha256"] = "0" * 64
    (run / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    assert why(run) == ""


def test_how_many_seeds_a_verdict_rests_on_can_be_said(run: Path) -> None:
    manifest = read_manifest(run)
    facts = [f for f in facts_of_folder(run, manifest) if (f.label, f.seed) != (GRAFT, 2)]
    # A last seed that is not in yet is no gap, until the verdict is said to rest on it.
    assert unsound(manifest, facts) == ""
    assert unsound(manifest, facts, taken={GRAFT: 2}) == ""
    assert unsound(manifest, facts, taken={GRAFT: 3}) == f"{GRAFT} seed 2 is missing"


def test_a_run_given_twice_is_seen(run: Path) -> None:
    manifest = read_manifest(run)
    facts = facts_of_folder(run, manifest)
    assert unsound(manifest, [*facts, facts[0]]) == "baseline seed 0 is there twice"
    odd = RunFacts("baseline", 0, "running")
    assert "ended as 'running'" in unsound(manifest, [odd])
