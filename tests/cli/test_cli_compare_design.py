"""What `compare` writes down about how it will judge, and what it refuses, before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Command
from yolograft.study import run as running


@pytest.fixture
def planned(command: Command, tiny: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """planned("--paired") -> (manifest, what was said): `compare` up to its first step."""
    from yolograft.cli import launch
    from yolograft.errors import StudyError

    def stop(*_: object, **__: object) -> dict[str, Any]:
        raise StudyError("YG600", "stopped here")

    monkeypatch.setattr(launch, "run_study", stop)

    def go(*words: object) -> tuple[dict[str, Any], str]:
        answer = command("compare", *words, *tiny, "--runs", tmp_path)
        assert "YG600" in answer.err, answer.err
        newest = max(tmp_path.glob("*/manifest.json"), key=lambda path: path.parent.name)
        return json.loads(newest.read_text(encoding="utf-8")), answer.err

    return go


def test_until_verdict_plans_three_looks(planned: Any) -> None:
    manifest, said = planned("--graft", "se@neck.p3", "--until-verdict")
    assert manifest["seeds"] == list(range(10)) and manifest["looks"] == [3, 5, 10]
    assert manifest["alpha_plan"] == [0.01, 0.02, 0.028]
    assert "looks: 3 seeds at 1 %, 5 seeds at 2 %, 10 seeds at 2.8 %" in said
    assert "10 seeds per arm find a true difference of" in said


def test_controls_groups_and_pairs_are_written_down_and_said(planned: Any) -> None:
    controls = ("--control", "identity", "--control", "placebo")
    words = ("--group", "prefix:5", "--paired", "--first-seed", "5")
    manifest, said = planned("--graft", "ca=coord_att@neck.p3", *controls, *words)
    assert [arm["label"] for arm in manifest["arms"]] == ["baseline", "ca", "identity", "ca.placebo"]
    assert manifest["paired"] is True and manifest["group"] == "prefix:5"
    assert manifest["seeds"] == [5, 6, 7] and manifest["looks"] == [3]
    assert "ca.placebo: placebo of ca: " in said and "parameters for" in said
    assert "4 evaluation images in 4 groups (prefix:5): fewer than 20" in said
    assert "paired: judged by differences seed by seed" in said


def test_an_aa_study_needs_no_graft(planned: Any) -> None:
    manifest, _ = planned("yolov8n", "--control", "identity")
    assert [arm["label"] for arm in manifest["arms"]] == ["baseline", "identity"]


def test_a_study_that_follows_takes_the_next_seeds(planned: Any, tmp_path: Path) -> None:
    planned("--graft", "se@neck.p3")
    first = next(tmp_path.glob("*/manifest.json")).parent
    manifest, said = planned("--graft", "nam@neck.p3", "--follows", first, "--name", "next")
    assert manifest["seeds"] == [3, 4, 5] and manifest["tried_before"] == 1
    assert f"follows {first.name}: 1 candidates tried before count" in said


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--resume", "nowhere", "--seeds", "5"), "YG193", "never extended beyond its looks"),
        (("--resume", "nowhere", "--until-verdict"), "YG193", "--follows"),
        (("--resume", "nowhere", "--control", "identity"), "YG193", "as it was planned"),
        (("--resume", "nowhere", "--paired"), "YG193", "as it was planned"),
        (("--until-verdict", "--seeds", "5"), "YG193", "3, 5 and 10 seeds"),
        (("--until-verdict", "--ablate", "se@neck.p3; nam@neck.p4"), "YG193", "ablation"),
        (("--control", "sham"), "YG190", "identity"),
        (("--follows", "nowhere"), "YG401", ""),
    ],
)
def test_one_line_and_no_folder(
    words: tuple[str, ...], code: str, text: str, command: Command, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    answer = command("compare", *words)
    assert answer.code == 2 and code in answer.err and text in answer.err
    assert len(answer.err.strip().splitlines()) == 1 and len(answer.err.strip()) <= 240
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--group", "regex:.*"), "YG640"),
        (("--group", "folder"), "YG640"),
        (("--group", "nowhere.csv"), "YG641"),
        (("--bank", "nowhere"), "YG633"),
        (("--control", "next-scale", "--model", "yolov8x"), "YG642"),
    ],
)
def test_what_does_not_fit_the_data_leaves_no_folder(
    words: tuple[str, ...], code: str, command: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    answer = command("compare", "--graft", "se@neck.p3", *words, *tiny, "--runs", runs)
    assert answer.code == 2 and answer.err.startswith(code), answer.err
    assert not runs.exists()


def test_an_aa_arm_is_trained_as_a_run_of_its_own(
    command: Command, tiny: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the real trainer: same batches, another checkpoint, records of every run."""
    words = ("yolov8n", "--control", "identity", "--seeds", "1", *tiny, "--runs", tmp_path)
    answer = command("compare", *words, "--json")
    assert answer.code == 0, answer.err
    (run,) = tmp_path.iterdir()
    states = [json.loads((run / f"arms/{label}/seed-0/model/state.json").read_text(encoding="utf-8"))
              for label in ("baseline", "identity")]  # fmt: skip
    assert states[0]["sha256"] != states[1]["sha256"] and states[0]["spec"] == states[1]["spec"]
    assert all((run / f"arms/{label}/seed-0/record.npz").is_file() for label in ("baseline", "identity"))
    assert running.read_manifest(run)["controls"][0]["label"] == "identity"
    assert {arm["label"]: arm["control"] for arm in answer.json["arms"]} == {
        "baseline": "",
        "identity": "identity",
    }
