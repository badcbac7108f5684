"""A stopped run, taken up again, ends bitwise where an unbroken run ends."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import arm_of, assert_same_end, run_arms, tiny_dataset, tiny_recipe

from yolograft import rng
from yolograft.data.eval_stream import EvalStream
from yolograft.engine.arm import DIVERGED, DONE, RUNNING, Arm, ArmRun
from yolograft.engine.checkpoint import STATE, TENSORS, read_checkpoint, step_folder, write_checkpoint
from yolograft.engine.evaluate import evaluate
from yolograft.engine.interrupt import Interrupted
from yolograft.errors import CheckpointError
from yolograft.models.detector import Detector


def signal_at(step: int, number: int = signal.SIGTERM) -> Callable[[Sequence[ArmRun]], None]:
    """A listener that sends this process a signal once the furthest arm has done `step` steps."""

    def after(runs: Sequence[ArmRun]) -> None:
        if max(run.steps for run in runs) == step:
            os.kill(os.getpid(), number)

    return after


def stopped(arms: Sequence[Arm], base: Path, *, at: int, **how: Any) -> None:
    with pytest.raises(Interrupted) as caught:
        run_arms(arms, base, after=signal_at(at), **how)
    assert caught.value.signum == signal.SIGTERM


@pytest.mark.parametrize(
    ("values", "stops"),
    [
        ({}, (1, 2, 3, 4)),
        ({"precision": "bf16"}, (3,)),
        ({"optimizer": "sgd", "momentum": 0.9}, (3,)),
    ],
    ids=["adamw", "bf16", "sgd"],
)
def test_stopped_again_and_again(
    values: dict[str, Any], stops: tuple[int, ...], own_py: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe(**values)
    arm = arm_of(f"own={own_py}::Own@neck.p4")
    whole = run_arms([arm], tmp_path / "whole", recipe=recipe)[0]
    for step in stops:
        stopped([arm], tmp_path / "pieces", at=step, recipe=recipe)
    assert_same_end(run_arms([arm], tmp_path / "pieces", recipe=recipe)[0], whole)


def test_two_arms_stopped_in_mid_epoch_with_a_curve(own_py: Path, tmp_path: Path) -> None:
    stream = EvalStream(tiny_dataset().split("val"), imgsz=(64, 64), batch=4)

    def curve(detector: Detector) -> dict[str, float]:
        table = evaluate(detector, stream, fingerprint="")
        return {"score": float(table.score.sum())}

    arms = [arm_of(), arm_of(f"own={own_py}::Own@neck.p4")]
    whole = run_arms(arms, tmp_path / "whole", curve=curve)
    stopped(arms, tmp_path / "pieces", at=3, curve=curve)
    for one, other in zip(run_arms(arms, tmp_path / "pieces", curve=curve), whole, strict=True):
        assert_same_end(one, other)
        assert all("score" in row for row in one.history)


def test_arms_that_a_crash_left_at_different_steps(own_py: Path, tmp_path: Path) -> None:
    arms, recipe = [arm_of(), arm_of(f"own={own_py}::Own@neck.p4")], tiny_recipe(epochs=3)
    whole = run_arms(arms, tmp_path / "whole", recipe=recipe)
    stopped(arms, tmp_path, at=4, recipe=recipe, every_epoch=True)
    kept = sorted(path.name for path in (tmp_path / "own").iterdir())
    assert kept == ["step-00000002", "step-00000004"]
    # As if the machine had died while the second arm's last checkpoint was written.
    (tmp_path / "own" / kept[1]).rename(tmp_path / "own" / f".{kept[1]}.1.tmp")
    seen: list[tuple[int, ...]] = []
    again = run_arms(
        arms, tmp_path, recipe=recipe, after=lambda runs: seen.append(tuple(run.steps for run in runs))
    )
    assert seen == [(4, 3), (4, 4), (5, 5), (6, 6)]
    for one, other in zip(again, whole, strict=True):
        assert_same_end(one, other)
    assert not [path for path in (tmp_path / "own").iterdir() if path.name.startswith(".")]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    whole = run_arms([arm_of()], tmp_path)[0]
    seen: list[int] = []
    again = run_arms([arm_of()], tmp_path, after=lambda runs: seen.append(runs[0].steps))[0]
    assert seen == [] and again.status == DONE
    assert_same_end(again, whole)


def test_a_diverged_arm_stays_where_it_was(own_py: Path, tmp_path: Path) -> None:
    arms = [arm_of(f"bad={own_py}::Own:inf_at=2@neck.p3"), arm_of()]
    whole = run_arms(arms, tmp_path / "whole")
    stopped(arms, tmp_path / "pieces", at=3)
    again = run_arms(arms, tmp_path / "pieces")
    assert [run.status for run in again] == [DIVERGED, DONE]
    for one, other in zip(again, whole, strict=True):
        assert_same_end(one, other)


def _flip(path: Path, *, draw: int) -> None:
    data = bytearray(path.read_bytes())
    place = int(rng.stream(0, "flip", path.name, draw).integers(len(data)))
    data[place] ^= 1 << int(rng.stream(0, "bit", path.name, draw).integers(7))
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", [TENSORS, STATE])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(name: str, tmp_path: Path) -> None:
    whole = run_arms([arm_of()], tmp_path, every_epoch=True)[0]
    _flip(step_folder(tmp_path / "baseline", 4) / name, draw=0)
    seen: list[int] = []
    again = run_arms([arm_of()], tmp_path, after=lambda runs: seen.append(runs[0].steps))[0]
    assert seen == [3, 4]
    assert_same_end(again, whole)
    read_checkpoint(step_folder(tmp_path / "baseline", 4))


@pytest.mark.parametrize("name", [TENSORS, STATE])
def test_no_flipped_bit_goes_unnoticed(name: str, tmp_path: Path) -> None:
    tensors = {"a": torch.arange(12.0).view(3, 4), "b": torch.tensor(2)}
    state = {"steps": 12, "history": [{"loss": 0.123456789, "lr": 1e-3}], "label": "a b", "none": None}
    write_checkpoint(tmp_path / "good", tensors, state)
    _, intact = read_checkpoint(tmp_path / "good")
    for draw in range(300):
        shutil.rmtree(tmp_path / "bad", ignore_errors=True)
        shutil.copytree(tmp_path / "good", tmp_path / "bad")
        _flip(tmp_path / "bad" / name, draw=draw)
        try:
            got, read = read_checkpoint(tmp_path / "bad")
        except CheckpointError:
            continue
        # A flip in white space, or in the name under which the hash stands, changes nothing that counts.
        assert name == STATE and {key: read[key] for key in intact} == intact
        assert all(torch.equal(got[key], tensors[key]) for key in tensors)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    run = run_arms([arm_of()], tmp_path)[0]
    with pytest.raises(CheckpointError, match=r"YG404.*recipe_sha256"):
        run_arms([arm_of()], tmp_path, recipe=tiny_recipe(weight_decay=0.1))
    with pytest.raises(CheckpointError, match=r"YG404.*seed"):
        run_arms([arm_of()], tmp_path, seed=1)
    with pytest.raises(CheckpointError, match=r"YG404.*spec_sha256"):
        run_arms([arm_of("se@neck.p3", label="baseline")], tmp_path)
    with pytest.raises(CheckpointError, match=r"YG404.*spec_sha256"):
        run.restore(run.tensors(), {**run.state(), "spec_sha256": "0"})


def test_a_run_from_before_a_recipe_key_existed_is_resumed(tmp_path: Path) -> None:
    recipe = tiny_recipe(box_gain=7.5, box_loss="ciou")
    run = run_arms([arm_of()], tmp_path, recipe=recipe)[0]
    state = run.state()
    old = {key: value for key, value in state["recipe"].items() if key not in ("obj_gain", "l1_gain")}
    run.restore(run.tensors(), {**state, "recipe": old, "recipe_sha256": "written by an older version"})
    for other in ({**old, "obj_gain": 2.0}, {**old, "unknown": 1}, None):
        with pytest.raises(CheckpointError, match=r"YG404.*recipe_sha256"):
            run.restore(run.tensors(), {**state, "recipe": other})


def test_a_signal_in_the_last_moment_is_not_lost(tmp_path: Path) -> None:
    # Everything is trained already: no step comes in which the signal could be noticed.
    run_arms([arm_of()], tmp_path)
    heard: list[str] = []

    def note(text: str) -> None:
        heard.append(text)
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        run_arms([arm_of()], tmp_path, note=note)
    assert heard == ["baseline: resumed after step 4"]


def test_the_second_signal_stops_at_once(tmp_path: Path) -> None:
    def twice(runs: Sequence[ArmRun]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_arms([arm_of()], tmp_path, after=twice)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_that_was_stopped_says_so(tmp_path: Path) -> None:
    stopped([arm_of()], tmp_path, at=1)
    _, state = read_checkpoint(step_folder(tmp_path / "baseline", 1))
    assert (state["status"], state["steps"], state["history"]) == (RUNNING, 1, [])
