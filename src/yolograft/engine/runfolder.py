"""Run folders: one writer, never overwritten.

RUN/manifest.json            what was planned, written before the first step
RUN/code/                    source text of the user's own classes (kept, never run from here)
RUN/arms/LABEL/seed-K/       checkpoints/ while running; then model/, detections.npz, matches.npz, scores.json
RUN/results.json, report.html
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from yolograft.errors import CheckpointError, MachineError

LOCK = "lock.json"


def new_run_folder(base: Path, name: str) -> Path:
    """Create BASE/NAME-001 or the next free number.

    Raises:
        MachineError: the folder cannot be made (YG702).
    """
    number = 1
    try:
        base.mkdir(parents=True, exist_ok=True)
        while (base / f"{name}-{number:03d}").exists():
            number += 1
        folder = base / f"{name}-{number:03d}"
        folder.mkdir()
    except FileExistsError:
        return new_run_folder(base, name) if base.is_dir() else _refuse(base, "it is no folder")
    except OSError as error:
        return _refuse(base, error.strerror or str(error))
    return folder


def _refuse(base: Path, why: str) -> NoReturn:
    raise MachineError("YG702", f"cannot make a run folder: {why}", where=str(base))


def arm_folder(run: Path, label: str, seed: int) -> Path:
    """Where one arm keeps one seed's run."""
    return run / "arms" / label / f"seed-{seed}"


@contextmanager
def sole_writer(run: Path) -> Iterator[None]:
    """Hold the run folder; a lock left by a dead process of this machine is taken over.

    Raises:
        CheckpointError: another live process writes here (YG406).
    """
    lock = run / LOCK
    owner = {"pid": os.getpid(), "host": socket.gethostname()}
    mine = run / f".{LOCK}.{os.getpid()}"
    try:
        mine.write_text(json.dumps(owner), encoding="utf-8")
        while not _linked(mine, lock):
            _remove_if_dead(lock, owner["host"])
    except OSError as error:
        raise MachineError("YG702", f"cannot lock the run: {error.strerror}", where=str(run)) from error
    finally:
        mine.unlink(missing_ok=True)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _linked(mine: Path, lock: Path) -> bool:
    """Put the lock in place with its content, or find one there: it is never seen half written."""
    try:
        lock.hardlink_to(mine)
    except FileExistsError:
        return False
    return True


def _remove_if_dead(lock: Path, host: object) -> None:
    try:
        held = json.loads(lock.read_text(encoding="utf-8"))
        pid, where = int(held["pid"]), held["host"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        pid, where = 0, host  # torn by a crash while it was written
    if where != host or (pid and _alive(pid)):
        raise CheckpointError(
            "YG406",
            f"process {pid} on {where} is writing this run",
            where=str(lock.parent),
            fix=f"wait, stop it, or delete {lock.name} if it is gone",
        )
    lock.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    if sys.platform == "win32":
        return True  # os.kill would not ask there but act; the user is told what to delete
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Dead but not yet collected by its parent, as it stays in containers without an init process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
