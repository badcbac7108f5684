"""Plans that rest on a pilot of another experiment, on a bank, or on arms that branch."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fabricated import study
from test_study_plan import earlier
from test_study_verdicts import planned

from yolograft.cli.app import run as command
from yolograft.cli.designs import design_of
from yolograft.cli.options import Design
from yolograft.cli.plan_verb import _RESPECTS_ZH
from yolograft.engine.checkpoint import read_json, write_json
from yolograft.errors import StudyError
from yolograft.study import forecast as forecasting
from yolograft.study.budget import outlook_of_pilot
from yolograft.study.planning.branching import own_seconds
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.records.bank_match import key_of
from yolograft.study.records.studyrecord import read_study
from yolograft.study.results import results_of


@pytest.fixture
def pilot(tmp_path: Path) -> Path:
    return study(tmp_path / "pilot", {"baseline": 0.5, "g": 0.6}, images=30)


def changed(run: Path, **changes: Any) -> dict[str, Any]:
    return read_manifest(run) | changes


def outlook(manifest: dict[str, Any], run: Path) -> Any:
    piloted = read_study(run)
    another = forecasting._another(manifest, piloted.manifest)
    return forecasting._outlook(manifest, piloted, another)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"recipe_sha256": "other"}, "a pilot of another recipe"),
        ({"branch_at": 24}, "a pilot of another design"),
    ],
)
def test_a_pilot_of_another_experiment_is_said_to_be_one(
    pilot: Path, changes: dict[str, Any], said: str
) -> None:
    source = outlook(changed(pilot, **changes), pilot).source
    assert source.startswith("measured in pilot pilot (6 runs)") and source.endswith(said or "runs)")


def test_a_pilot_of_another_distillation(tmp_path: Path) -> None:
    def first(*methods: str, sha256: str = "a" * 64) -> dict[str, Any]:
        lessons = [{"method": name, "options": {}} for name in methods]
        row = plain["arms"][0] | {"baseline": False, "distill": lessons}
        return plain | {"arms": [row], "teacher": {"sha256": sha256} if methods else None}

    plain = read_manifest(study(tmp_path / "pilot", {"baseline": 0.5}, images=20))
    same = ((first(), first()), (first("cwd"), first("cwd")))
    assert [forecasting._another(*pair) for pair in same] == ["", ""]
    for other in (first(), first("mgd"), first("cwd", sha256="b" * 64)):
        assert forecasting._another(first("cwd"), other) == "distillation"
        assert forecasting._another(other, first("cwd")) == "distillation"
    # Beside a baseline it is the baseline whose noise counts.
    beside = plain | {"arms": [plain["arms"][0], first("cwd")["arms"][0] | {"label": "kd"}]}
    assert forecasting._another(beside | {"teacher": {"sha256": "a" * 64}}, plain) == ""


def test_every_respect_in_which_a_pilot_differs_is_said_in_chinese(pilot: Path) -> None:
    plain = read_manifest(pilot)
    key = key_of(plain, "baseline")
    said = {key.differs(replace(key, **{field.name: "other"})) for field in fields(key)}
    taught = plain["arms"][0] | {"distill": [{"method": "cwd", "options": {}}]}
    for other in ({"branch_at": 24}, {"arms": [taught], "teacher": {"sha256": "a" * 64}}):
        said.add(forecasting._another(plain | other, plain))
    assert said == set(_RESPECTS_ZH)


def test_images_of_the_next_split_weigh_by_their_number(pilot: Path) -> None:
    piloted = read_study(pilot)
    noise = results_of(piloted)["noise"] | {"image_variance": 2.0}
    assert noise["units"] == 30
    same, more = (outlook_of_pilot(piloted, noise, images=images) for images in (30, 3000))
    assert (same.image_variance, same.units) == (noise["image_variance"], 30)
    assert more.image_variance == pytest.approx(noise["image_variance"] / 100) and more.units == 3000


def test_a_pilot_lends_its_speed_to_the_same_model_and_machine_alone(
    pilot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(pilot)
    assert forecasting._pace_of(manifest) == forecasting._pace_of(manifest | {"margin": 2})
    for other in (
        {"arms": [arm | {"spec_sha256": "other"} for arm in manifest["arms"]]},
        {"recipe": manifest["recipe"] | {"imgsz": [640, 640]}},
        {"environment": manifest["environment"] | {"device": "cuda"}},
        {"teacher": {"sha256": "a" * 64}},
    ):
        assert forecasting._pace_of(manifest | other) != forecasting._pace_of(manifest)


def seconds(manifest: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **more: Any) -> float:
    monkeypatch.setattr(forecasting, "seconds_per_epoch", lambda arms, *_, **__: 10.0 * len(arms))
    plan: Any = SimpleNamespace(data=manifest["data"]["path"], device="cpu")
    prior = forecasting.outlook_of_prior(100)
    return (
        forecasting._timed(prior, manifest, plan, {}, **{"pilot": None, "trial": True, **more}).seconds or 0
    )


def test_what_arms_share_is_timed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = read_manifest(planned(tmp_path, "se@neck.p3", "nam@neck.p3"))
    manifest["recipe"]["epochs"] = 10
    assert seconds(manifest, monkeypatch) == 3 * 10 * 10
    assert seconds(manifest | {"branch_at": 6}, monkeypatch) == 10 * (6 + 3 * 4)
    # A pilot of another model does not say how fast this one is.
    run = study(tmp_path / "pilot", {"baseline": 0.5}, images=20)
    assert seconds(manifest, monkeypatch, pilot=read_study(run)) == 300
    assert seconds(manifest, monkeypatch, pilot=read_study(run), trial=False) == 0


def test_the_shared_half_is_paid_for_by_the_baseline(tmp_path: Path) -> None:
    assert own_seconds({"seconds": 10.0, "shared_seconds": 6.0}, baseline=True) == 10
    assert own_seconds({"seconds": 10.0, "shared_seconds": 6.0}, baseline=False) == 4
    assert own_seconds({"seconds": 10.0}, baseline=False) == 10
    assert own_seconds({"seconds": 10.0, "shared_seconds": "x"}, baseline=False) == 10
    run = study(tmp_path / "run", {"baseline": 0.5, "g": 0.6}, images=20, branch_at=24)
    for path in run.rglob("scores.json"):
        write_json(path, read_json(path) | {"seconds": 60.0, "shared_seconds": 36.0})
    results = results_of(read_study(run))
    assert [arm["train_seconds"] for arm in results["arms"]] == [60, 24]
    per_run = results["arms"][1]["comparison"]["evidence"]["seconds_per_run"]
    assert per_run == pytest.approx(np.mean([60, 24]))


def test_a_bank_and_the_seeds_it_has(tmp_path: Path) -> None:
    earlier(tmp_path / "old")
    bank = [tmp_path / "old"]
    assert design_of(Design(bank=bank))["seeds"] == (4, 5, 6)
    assert design_of(Design(bank=bank, first_seed=1))["seeds"] == (1, 2, 3)
    with pytest.raises(StudyError, match=r"YG644.*4 run\(s\) have seeds that this study will train"):
        planned(tmp_path / "new", "se@neck.p3", seeds=(0, 1, 2, 3), bank=tuple(bank))


def test_a_plan_is_not_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["plan", "yolov8n", "--resume", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("YG193")
