"""Run folders: one writer, never overwritten."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from yolograft.engine.runfolder import LOCK, arm_folder, new_run_folder, sole_writer
from yolograft.errors import CheckpointError, MachineError


def test_no_folder_is_given_twice(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_run_folder(tmp_path / "runs", "x"), range(40)))
    assert sorted(folder.name for folder in made) == [f"x-{n:03d}" for n in range(1, 41)]
    (tmp_path / "runs" / "y-001").write_text("a file is in the way", encoding="utf-8")
    assert new_run_folder(tmp_path / "runs", "y").name == "y-002"
    assert arm_folder(made[0], "se", 3) == made[0] / "arms" / "se" / "seed-3"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(MachineError, match="YG702"):
        new_run_folder(tmp_path / "file", "x")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Another live process."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def _lock(run: Path, pid: int, host: str) -> None:
    (run / LOCK).write_text(json.dumps({"pid": pid, "host": host}), encoding="utf-8")


def test_a_live_process_keeps_its_folder(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    _lock(tmp_path, sleeper.pid, socket.gethostname())
    with pytest.raises(CheckpointError, match=rf"YG406.*process {sleeper.pid} "), sole_writer(tmp_path):
        raise AssertionError("two writers")
    assert json.loads((tmp_path / LOCK).read_text(encoding="utf-8"))["pid"] == sleeper.pid


def test_the_lock_of_a_dead_process_is_taken_over(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    sleeper.kill()
    sleeper.wait()
    _take_over(tmp_path, sleeper.pid)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_a_dead_process_that_nobody_collected_is_dead(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    os.kill(sleeper.pid, 0)
    _take_over(tmp_path, sleeper.pid)


def _take_over(tmp_path: Path, pid: int) -> None:
    _lock(tmp_path, pid, socket.gethostname())
    with sole_writer(tmp_path):
        held = json.loads((tmp_path / LOCK).read_text(encoding="utf-8"))
        assert held == {"pid": os.getpid(), "host": socket.gethostname()}
    assert not (tmp_path / LOCK).exists()


def test_a_lock_of_another_machine_is_left_alone(tmp_path: Path) -> None:
    # Whether its process lives cannot be seen from here; the message says what to delete.
    _lock(tmp_path, 1, "elsewhere")
    with pytest.raises(CheckpointError, match=r"on elsewhere .*delete lock\.json"), sole_writer(tmp_path):
        raise AssertionError("two writers")


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"pid": "x"}', '{"host": "a"}'])
def test_a_torn_lock_is_taken_over(torn: str, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(torn, encoding="utf-8")
    with sole_writer(tmp_path):
        assert (tmp_path / LOCK).stat().st_size > 10


def test_the_lock_goes_when_the_run_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), sole_writer(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
