"""Checkpoints: safetensors for tensors, JSON for everything else, written atomically and hashed.

A checkpoint is a folder. It is written under a temporary name, flushed to disk and renamed, so that at
every moment either the old or the new one is whole; both its files are hashed. Nothing in it can run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from yolograft.errors import CheckpointError, MachineError

TENSORS, STATE = "tensors.safetensors", "state.json"
FORMAT = 1


def write_json(path: Path, data: Any) -> None:
    """Write JSON atomically: temporary file, flush, rename.

    Text that is no Unicode, such as a file name of undecodable bytes, comes back from `read_json` as it was.
    """
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # What backslashreplace writes for a lone surrogate is its escape in JSON.
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise MachineError("YG702", f"cannot write: {error.strerror}", where=str(path)) from error


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        CheckpointError: the file is missing or not JSON (YG401).
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError("YG401", "no such file", where=str(path)) from None
    except (ValueError, OSError) as error:
        raise CheckpointError("YG401", f"not readable JSON: {error}", where=str(path)) from error


def write_checkpoint(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write a checkpoint folder; an older one of the same name is replaced once the new one is whole."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        # Tied or strided tensors must stand alone in the file.
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary / TENSORS)
        _flush(temporary / TENSORS)
        whole = {"format": FORMAT, "sha256": _sha256(temporary / TENSORS), **state}
        write_json(temporary / STATE, {"state_sha256": _state_sha256(whole), **whole})
        _put_in_place(temporary, folder)
        _flush(folder.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        # safetensors reports a full disk as an error of its own.
        if not isinstance(error, OSError | SafetensorError):
            raise
        cause = getattr(error, "strerror", None) or error
        raise MachineError("YG702", f"cannot write a checkpoint: {cause}", where=str(folder)) from error


def _put_in_place(temporary: Path, folder: Path) -> None:
    """Rename a whole folder to its name; the one it replaces is moved aside, and back if that fails."""
    aside = folder.with_name(f".{folder.name}.old.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        if folder.exists():
            folder.replace(aside)
        temporary.replace(folder)
    finally:
        if aside.exists() and not folder.exists():
            aside.replace(folder)
        shutil.rmtree(aside, ignore_errors=True)


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state of a checkpoint folder.

    Raises:
        CheckpointError: missing (YG401), damaged (YG402) or of another version (YG403).
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    state = read_json(folder / STATE)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(
            "YG403", f"no checkpoint of format {FORMAT}", where=str(folder), fix="update yolograft"
        )
    if state.pop("state_sha256", None) not in (None, _state_sha256(state)):
        raise CheckpointError(
            "YG402", "it does not match its hash: the file is damaged", where=str(folder / STATE)
        )
    path = folder / TENSORS
    if not path.is_file():
        raise CheckpointError("YG401", "no such file", where=str(path))
    if _sha256(path) != state.get("sha256"):
        raise CheckpointError(
            "YG402", "the tensors do not match their hash: the file is damaged", where=str(path)
        )
    try:
        return load_file(path), state
    except SafetensorError as error:
        raise CheckpointError("YG402", f"not a safetensors file: {error}", where=str(path)) from error


def step_folder(root: Path, step: int) -> Path:
    """Folder of the checkpoint after ``step`` optimiser steps."""
    return root / f"step-{step:08d}"


def newest_checkpoint(root: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest whole checkpoint under ``root``; a damaged one falls back to the one before."""
    for folder in sorted(root.glob("step-*"), reverse=True):
        try:
            return read_checkpoint(folder)
        except CheckpointError:
            continue
    return None


def drop_old_checkpoints(root: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints, and temporary folders of dead writers."""
    for folder in sorted(root.glob("step-*"), reverse=True)[keep:]:
        shutil.rmtree(folder, ignore_errors=True)
    for folder in root.glob(".step-*.tmp"):
        shutil.rmtree(folder, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state_sha256(state: dict[str, Any]) -> str:
    # Through JSON and back: what is read again is what is hashed (keys become text, tuples lists).
    plain = json.loads(json.dumps(state, allow_nan=False))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _flush(path: Path) -> None:
    if path.is_dir() and sys.platform == "win32":
        return  # folders cannot be flushed there
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
