"""Checkpoints: safetensors for tensors, JSON for everything else, written atomically and hashed.

A checkpoint is a folder. It is written under a temporary name, flushed to disk and renamed, so that at
every moment either the old or the new one is whole. Nothing in it can run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from yolograft.errors import CheckpointError, MachineError

TENSORS, STATE = "tensors.safetensors", "state.json"
FORMAT = 1


def write_json(path: Path, data: Any) -> None:
    """Write JSON atomically: temporary file, flush, rename."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
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
    from safetensors.torch import save_file

    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        # Tied or strided tensors must stand alone in the file.
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary / TENSORS)
        _flush(temporary / TENSORS)
        write_json(temporary / STATE, {"format": FORMAT, "sha256": _sha256(temporary / TENSORS), **state})
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
        _flush(folder.parent)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise MachineError(
            "YG702", f"cannot write a checkpoint: {error.strerror}", where=str(folder)
        ) from error


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state of a checkpoint folder.

    Raises:
        CheckpointError: missing (YG401), damaged (YG402) or written by a newer version (YG403).
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    state = read_json(folder / STATE)
    if not isinstance(state, dict) or state.get("format", 0) > FORMAT:
        raise CheckpointError(
            "YG403", "written by a newer yolograft", where=str(folder), fix="update yolograft"
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


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
