"""Real processes: stopped by signals, killed at any moment, resumed; they end as an unbroken run does."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from yolograft import rng
from yolograft.engine.checkpoint import newest_checkpoint, read_checkpoint
from yolograft.engine.recipe import Recipe
from yolograft.graph.expr import parse_graft
from yolograft.study.planning.create import create_study
from yolograft.study.planning.plan import Plan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

# What `yolograft compare --resume RUN` does, with a checkpoint after every epoch.
RUN_STUDY = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
from yolograft.cli.progress import TerminalProgress
from yolograft.engine.train import Settings
from yolograft.study.run import Execution, run_study
execution = Execution(Settings(checkpoint_seconds=0.0))
run_study(Path(sys.argv[1]), code={}, execution=execution, progress=TerminalProgress())
"""


@contextmanager
def process(*words: object) -> Iterator[subprocess.Popen[str]]:
    """A process of its own with one thread; killed in the end if it still lives."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    child = subprocess.Popen(
        [str(word) for word in words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def wait_for(condition: Any, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def model_hashes(run: Path) -> dict[str, str]:
    """SHA-256 of the tensors of every finished model."""
    return {
        path.parent.parent.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.glob("arms/*/seed-*/model/tensors.safetensors"))
    }


def study(base: Path, data: Path, *, epochs: int) -> Path:
    recipe = Recipe(epochs=epochs, batch=4, imgsz=(64, 64), precision="fp32", eval_points=2)
    plan = Plan(kind="compare", model="yolov8n", data=str(data), seeds=(0,), recipe=recipe,
                grafts=(parse_graft("nam@neck.p3"),))  # fmt: skip
    return create_study(plan, base=base, name="killed", code={})


def killed_and_resumed(kills: int, epochs: int, base: Path, data: Path, command: Any) -> None:
    whole, pieces = study(base, data, epochs=epochs), study(base, data, epochs=epochs)
    assert command("compare", "--resume", whole).code == 0
    for number in range(kills):
        # Every kill comes somewhere in the steps after another tenth of the run is done.
        past = 2 * epochs * (1 + number) // (kills + 2)
        delay = float(rng.stream(0, "kill", number).uniform(0, 0.2))
        with process(sys.executable, "-c", RUN_STUDY, pieces) as child:
            wait_for(lambda past=past: _steps_saved(pieces) > past, child)
            time.sleep(delay)
            child.kill()
            assert child.wait() == -signal.SIGKILL
        assert (pieces / "lock.json").exists() and not (pieces / "results.json").exists()
    answer = command("compare", "--resume", pieces)
    assert answer.code == 0 and "resumed after step" in answer.err
    assert model_hashes(pieces) == model_hashes(whole) and len(model_hashes(whole)) == 2
    results = [json.loads((run / "results.json").read_text(encoding="utf-8")) for run in (whole, pieces)]
    histories = [[run["history"] for arm in r["arms"] for run in arm["runs"]] for r in results]
    assert histories[0] == histories[1] and len(histories[0][0]) == epochs
    assert [arm["mean"] for arm in results[0]["arms"]] == [arm["mean"] for arm in results[1]["arms"]]
    assert not [path for path in pieces.rglob("*") if path.name.startswith(".")]


def _steps_saved(run: Path) -> int:
    steps = [int(path.name.removeprefix("step-")) for path in run.glob("arms/nam*/seed-0/checkpoints/step-*")]
    return max(steps, default=0)


def test_killed_once(command: Any, tiny_data: Path, tmp_path: Path) -> None:
    killed_and_resumed(1, 4, tmp_path, tiny_data, command)


@pytest.mark.slow
def test_killed_five_times(command: Any, tiny_data: Path, tmp_path: Path) -> None:
    killed_and_resumed(5, 40, tmp_path, tiny_data, command)


def test_signals_to_the_installed_command(command: Any, tiny_data: Path, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("yolograft")
    if not script.exists():
        pytest.skip("the command is not installed beside this Python")
    start = (script, "train", "--data", tiny_data, "--imgsz", 64, "--batch", 4, "--epochs", 1000,
             "--runs", tmp_path, "--device", "cpu")  # fmt: skip
    run, kept = (
        tmp_path / "train-001",
        tmp_path / "train-001" / "arms" / "baseline" / "seed-0" / "checkpoints",
    )
    resume, steps = (script, "train", "--resume", run), [0]
    for words, number, code in ((start, signal.SIGTERM, 143), (resume, signal.SIGINT, 130)):
        with process(*words) as child:
            lines: list[str] = []
            assert child.stderr is not None
            while not (lines and lines[-1].startswith("step ")):
                lines.append(child.stderr.readline())
                assert lines[-1], (child.communicate(), lines)
            child.send_signal(number)
            out, err = child.communicate(timeout=60)
        assert child.returncode == code and out == ""
        text = "".join(lines) + err
        assert f'go on with: yolograft train --resume "{run}"' in text and "Traceback" not in text
        assert not (run / "lock.json").exists()
        # The newest checkpoint is whole and further than before.
        newest = max(kept.iterdir())
        read_checkpoint(newest)
        saved = newest_checkpoint(kept)
        assert saved is not None and saved[1]["steps"] > steps[-1]
        steps.append(saved[1]["steps"])
