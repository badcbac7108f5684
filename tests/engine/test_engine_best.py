"""The best point of the curve: kept, restored bit for bit, and marked as what it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import arm_of, assert_same_end, run_arms, snapshot, tiny_recipe

from yolograft.engine.arm import ArmRun
from yolograft.engine.best import NOTE, Best
from yolograft.engine.checkpoint import STATE, TENSORS
from yolograft.engine.interrupt import Interrupted
from yolograft.engine.modelfolder import best_warning, read_model, store_best, store_model
from yolograft.models.detector import Detector


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12))
def test_it_is_the_earliest_of_the_highest(aps: list[float]) -> None:
    best = Best()
    for epoch, ap in enumerate(aps):
        best.offer({"epoch": epoch, "step": 2 * epoch, "ap": ap}, {"a": torch.tensor(float(epoch))})
    where = aps.index(max(aps))
    assert best.facts == {"epoch": where, "step": 2 * where, "ap": max(aps)}
    assert best.tensors["a"].item() == where
    assert best.to_json() == {**best.facts, "note": NOTE} and "flatters" in NOTE


def test_what_is_offered_may_change_afterwards() -> None:
    best, weights = Best(), {"a": torch.zeros(2)}
    best.offer({"epoch": 0, "step": 1, "loss": 3.0}, weights)
    assert best.to_json() is None and best.tensors == {}
    best.offer({"epoch": 0, "step": 1, "ap": 0.0}, weights)
    weights["a"] += 1
    assert best.tensors["a"].tolist() == [0, 0]


def falling() -> Callable[[Detector], dict[str, float]]:
    """A curve with its highest point in the middle, a function of the weights it is shown."""
    scores: dict[float, float] = {}

    def curve(detector: Detector) -> dict[str, float]:
        key = float(sum(p.double().sum() for p in detector.parameters()))
        scores.setdefault(key, (10.0, 30.0, 20.0)[min(len(scores), 2)])
        return {"ap": scores[key]}

    return curve


def test_killed_before_and_after_it_the_best_is_the_same(tmp_path: Path) -> None:
    recipe, kept = tiny_recipe(epochs=3), list[dict[str, torch.Tensor]]()

    def after(runs: Sequence[ArmRun]) -> None:
        if runs[0].steps == 4:
            kept.append({k: v.clone() for k, v in runs[0].shadow.state_dict().items()})

    curve = falling()
    whole = run_arms([arm_of()], tmp_path / "whole", recipe=recipe, curve=curve, after=after)[0]
    assert whole.best.facts == {"epoch": 1, "step": 4, "ap": 30.0}
    assert all(torch.equal(whole.best.tensors[key], kept[0][key]) for key in kept[0])

    def stop(runs: Sequence[ArmRun]) -> None:
        if runs[0].steps in (3, 5):
            os.kill(os.getpid(), signal.SIGTERM)

    for _ in range(2):
        with pytest.raises(Interrupted):
            run_arms([arm_of()], tmp_path / "pieces", recipe=recipe, curve=curve, after=stop)
    again = run_arms([arm_of()], tmp_path / "pieces", recipe=recipe, curve=curve)[0]
    assert again.best.facts == whole.best.facts
    assert_same_end(again, whole)
    assert any(name.startswith("best.") for name in snapshot(again))


def test_a_best_folder_says_what_it_is(tmp_path: Path) -> None:
    arm, best, about = arm_of(), Best(), {"imgsz": [64, 64], "names": ["a"] * 5}
    weights = {"a": torch.ones(3), "b": torch.tensor(2)}
    best.offer({"epoch": 0, "step": 2, "ap": 5.0}, weights)
    store_model(tmp_path / "model", arm, weights, about)
    for name, moved in (("same", 0), ("other", 1)):
        best.tensors = {key: value + moved for key, value in best.tensors.items()}
        store_best(tmp_path / name, arm, best, about, split="val", last=tmp_path / "model")
        stored = read_model(tmp_path / name)
        assert (stored.about["which"], stored.about["chosen_on"]) == ("best", "val")
        assert (stored.about["epoch"], stored.about["ap"], stored.about["for_verdicts"]) == (0, 5.0, False)
        assert "epoch 1" in best_warning(stored.about) and "not for verdicts" in best_warning(stored.about)
        assert all(torch.equal(stored.tensors[key], value) for key, value in best.tensors.items())
        assert sorted(p.name for p in (tmp_path / name).iterdir()) == sorted([STATE, TENSORS])
    # Where the end is the best point, the weights lie on the disk once.
    model = (tmp_path / "model" / TENSORS).stat()
    assert (tmp_path / "same" / TENSORS).stat().st_ino == model.st_ino
    assert (tmp_path / "other" / TENSORS).stat().st_ino != model.st_ino
    store_best(tmp_path / "none", arm, Best(), about, split="val", last=tmp_path / "model")
    assert not (tmp_path / "none").exists()


def test_without_links_the_best_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise OSError(1, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuses)
    arm, best, about = arm_of(), Best(), {"imgsz": [64, 64], "names": ["a"]}
    best.offer({"epoch": 0, "step": 2, "ap": 5.0}, {"a": torch.ones(3)})
    store_model(tmp_path / "model", arm, best.tensors, about)
    store_best(tmp_path / "best", arm, best, about, split="val", last=tmp_path / "model")
    assert torch.equal(read_model(tmp_path / "best").tensors["a"], torch.ones(3))
    assert sorted(p.name for p in (tmp_path / "best").iterdir()) == sorted([STATE, TENSORS])
