"""What a logger writes is the history of the run, each point once, however often it was stopped."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny_runs import Listener, arm_of, tiny_dataset, tiny_recipe

from yolograft.data.loader import TrainStream
from yolograft.engine.arm import ArmRun
from yolograft.engine.checkpoint import step_folder
from yolograft.engine.interrupt import Interrupted
from yolograft.engine.recorder import check_loggers, open_recorders
from yolograft.engine.train import Settings, train
from yolograft.errors import MachineError

pytest.importorskip("tensorboard")


def go(base: Path, *, stop_at: int = 0, seconds: float = 0.0, logged: bool = True) -> ArmRun:
    """Three epochs of two steps with a curve, recorded below `base`."""
    recipe = tiny_recipe(epochs=3)
    stream = TrainStream(
        tiny_dataset().split("train"),
        imgsz=recipe.imgsz,
        batch=recipe.batch,
        seed=0,
        augment=recipe.augment,
        epochs=recipe.epochs,
    )

    def after(runs: Sequence[ArmRun]) -> None:
        if runs[0].steps == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    recorders = open_recorders(("tensorboard",) if logged else (), base)
    try:
        return train(
            [arm_of()],
            stream,
            recipe,
            seed=0,
            folders=[base / "checkpoints"],
            settings=Settings(checkpoint_seconds=seconds, group=1),
            progress=Listener(after, None),
            curve=lambda detector: {"ap": 1.5},
            recorders=recorders,
        )[0]
    finally:
        for recorder in recorders:
            recorder.close()


def read(base: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value), as TensorBoard reads the folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(base / "tensorboard" / "baseline" / "seed-0"), {"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def assert_is_the_history(base: Path, run: ArmRun) -> None:
    found = read(base)
    wanted = {"train/loss", "train/box", "train/cls", "train/dfl", "train/lr", "eval/ap"}
    assert found.keys() == wanted
    for tag, points in found.items():
        key = tag.partition("/")[2]
        assert [step for step, _ in points] == [row["step"] for row in run.history]
        for (_, value), row in zip(points, run.history, strict=True):
            assert math.isclose(value, row[key], rel_tol=1e-6)


def test_after_a_stop_it_goes_on(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        go(tmp_path, stop_at=3)
    assert len(read(tmp_path)["eval/ap"]) == 1
    run = go(tmp_path)
    assert len(run.history) == 3
    assert_is_the_history(tmp_path, run)


def test_epochs_trained_again_after_a_crash_stand_there_once(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        go(tmp_path, stop_at=5)
    assert len(read(tmp_path)["eval/ap"]) == 2
    # As if the machine had died before the checkpoints of steps 4 and 5 were written.
    for step in (4, 5):
        target = step_folder(tmp_path / "checkpoints", step)
        target.rename(target.with_name(f".{target.name}.1.tmp"))
    assert_is_the_history(tmp_path, go(tmp_path))


def test_a_logger_named_late_gets_the_epochs_before(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        go(tmp_path, stop_at=4, logged=False)
    assert_is_the_history(tmp_path, go(tmp_path))


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MachineError) as caught:
        open_recorders(("tensorboard",), tmp_path)
    assert caught.value.code == "YG707" and "yolograft[loggers]" in caught.value.line()
    with pytest.raises(MachineError, match="YG707 no logger 'wandb'"):
        check_loggers(("wandb",))
    check_loggers(())
