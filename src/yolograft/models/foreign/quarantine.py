"""Asks a confined process what a foreign checkpoint holds, and believes nothing it answers unchecked."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from yolograft.errors import CheckpointError
from yolograft.models.foreign import child
from yolograft.models.foreign.claims import WIDTHS, TensorClaim, check_claim, shown
from yolograft.models.foreign.limits import MIB, Limits
from yolograft.models.foreign.torchzip import Stretch

CODES = frozenset({"YG431", "YG432", "YG433", "YG434", "YG435", "YG437", "YG438", "YG439"})
LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Index:
    """What a torch archive holds; every tensor lies within its storage, every storage within the file.

    tensors: by state-dict key. small: tensors among the facts. storages: by key. facts: as JSON has them.
    names: class names.
    """

    tensors: dict[str, TensorClaim]
    small: dict[str, TensorClaim]
    storages: dict[str, Stretch]
    facts: dict[str, Any]
    names: list[str]


@dataclass(frozen=True, slots=True)
class _Answer:
    index: Index | None = None
    error: tuple[str, str, str] | None = None


def ask(handle: BufferedReader, size: int, limits: Limits = LIMITS) -> Index:
    """The index of a torch archive, made by another process within the limits.

    Args:
        handle: the file; its position moves. size: its bytes.

    Raises:
        CheckpointError: a file that is not read, with its reason (YG431 .. YG439); the process was stopped
            or gave no answer (YG436).
    """
    return checked(_run(handle, limits), size, limits)


def _run(handle: BufferedReader, limits: Limits) -> bytes:
    """Standard output of the reading process; a file, so that its size is known before it is read."""
    # -I -S: no PYTHON* variable, no user folder, no installed package and none of their start-up hooks.
    command = [sys.executable or "", "-I", "-S", "-W", "ignore", str(Path(child.__file__))]
    handle.seek(0)
    with tempfile.TemporaryFile("w+b") as written:
        command.append(TypeAdapter(Limits).dump_json(limits).decode())
        try:
            process = subprocess.Popen(command, stdin=handle, stdout=written, stderr=subprocess.DEVNULL)
        except OSError as error:
            raise _stopped("before it began") from error
        try:
            status = process.wait(limits.seconds)
        except subprocess.TimeoutExpired as error:
            raise _stopped(f"after {limits.seconds:g} seconds") from error
        finally:
            process.kill()
            process.wait()
        if status != 0:
            raise _stopped(f"with status {status}")
        if written.seek(0, os.SEEK_END) > limits.answer_bytes:
            raise _stopped("by the length of its answer")
        written.seek(0)
        return written.read()


def _stopped(how: str) -> CheckpointError:
    return CheckpointError(
        "YG436", f"the process that reads it was stopped {how}", fix="no YOLO checkpoint asks for so much"
    )


def checked(answer: bytes, size: int, limits: Limits) -> Index:
    """An answer of the reading process as an index whose every claim holds.

    Raises:
        CheckpointError: the answer is the reason why the file is not read (YG431 .. YG439), or no answer
            (YG436), or claims what cannot be (YG434).
    """
    try:
        told = TypeAdapter(_Answer).validate_json(answer)
    except ValidationError as error:
        raise CheckpointError("YG436", "the process that reads it gave no answer") from error
    if told.error is not None and told.error[0] in CODES:
        code, cause, fix = told.error
        raise CheckpointError(code, shown(cause, 200), fix=shown(fix, 100))
    if told.index is None:
        raise CheckpointError("YG436", "the process that reads it gave no answer")
    index, total = told.index, 0
    for key, claim in (*index.tensors.items(), *index.small.items()):
        stretch = index.storages.get(claim.storage)
        if stretch is None or claim.dtype not in WIDTHS:
            raise CheckpointError("YG434", f"'{shown(key)}' has no data in the archive")
        if min(stretch.at, stretch.size) < 0 or stretch.at + stretch.size > size:
            raise CheckpointError("YG434", f"the data of '{shown(key)}' lie beyond the end of the file")
        check_claim(claim, stretch.size, key, limits)
        total += claim.numel * WIDTHS[claim.dtype]
    if total > limits.copies * size + MIB:
        raise CheckpointError("YG431", f"its tensors would take {total} bytes, the file has {size}")
    # Each is read once: many that share their bytes would be read without end.
    if sum(max(stretch.size, 0) for stretch in index.storages.values()) > size:
        raise CheckpointError("YG434", "its storages overlap in the archive; torch writes no such file")
    return index
