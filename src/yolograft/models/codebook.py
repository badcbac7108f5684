"""The user's own classes a spec refers to, loaded only because the user named their file.

A graft expression names a file itself; a stored run names a class and a hash, and the file must be given
again (``--code``), so that code never runs because a YAML or a checkpoint mentions it.
"""

from __future__ import annotations

import hashlib
import inspect
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from yolograft.errors import CheckpointError, ModuleError, YolograftError
from yolograft.graph.expr import GraftSpec
from yolograft.graph.spec import ModelSpec
from yolograft.models.usercode import UserClass, load_user_class

Codebook = Mapping[str, UserClass]


def references(spec: ModelSpec) -> tuple[str, ...]:
    """Every ``FILE::Class`` a spec refers to, in order of first use."""
    refs = [layer.module for layer in spec.layers]
    refs += [ref.module for layer in spec.layers for _, ref in layer.inside]
    return tuple(dict.fromkeys(ref for ref in refs if "::" in ref))


def code_of(spec: ModelSpec, code: Codebook) -> Codebook:
    """The part of the user's own classes a spec refers to."""
    return {ref: code[ref] for ref in references(spec) if ref in code}


def from_grafts(grafts: Iterable[GraftSpec]) -> dict[str, UserClass]:
    """Load the classes that graft expressions name.

    Raises:
        ModuleError: a file or class is missing or does not import (YG22x).
    """
    book: dict[str, UserClass] = {}
    for item in grafts:
        for term in item.terms:
            if "::" in term.ref.module and term.ref.module not in book:
                path, _, name = term.ref.module.rpartition("::")
                book[term.ref.module] = load_user_class(path, name)
    return book


def classes_of(code: Codebook) -> tuple[type[nn.Module], ...]:
    """The user's own classes."""
    return tuple(user.cls for user in code.values())


def _sha256(file: str | Path) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if Path(file).is_file() else ""


def from_files(hashes: Mapping[str, str], files: Sequence[str | Path]) -> dict[str, UserClass]:
    """Load the classes a stored spec refers to from the files the user gives.

    Args:
        hashes: reference -> SHA-256 of the source it was trained with.
        files: what ``--code`` named; matched by file name, or by dotted name for installed packages.

    Raises:
        CheckpointError: a class has no file (YG410). ModuleError: the file has another hash (YG22x).
    """
    book: dict[str, UserClass] = {}
    for ref, digest in hashes.items():
        path, _, name = ref.rpartition("::")
        named = [f for f in files if Path(f).name == Path(path).name or str(f) == path]
        if not named:
            raise CheckpointError("YG410", f"this run uses {ref}", fix=f"name its file: --code {path}")
        # Two files may share a name: the one with the hash is meant.
        file = next((f for f in named if _sha256(f) == digest), named[0])
        book[ref] = load_user_class(file, name, expected_sha256=digest)
    return book


@contextmanager
def own_failures_in_one_line(code: Codebook) -> Iterator[None]:
    """What the user's own classes raise in here becomes one line with the place in their file.

    Raises:
        ModuleError: a class of ``code`` raised, or wrote over what the backward pass needs (YG208).
    """
    try:
        yield
    except (YolograftError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        where = _own_line(error, code)
        # The backward pass runs no line of theirs; an overwritten map is told without a place.
        if not where and code and "inplace operation" in str(error):
            where = ", ".join(code)
        if not where:
            raise
        cause = f"fails in training: {type(error).__name__}: {error}"
        raise ModuleError("YG208", cause, where=where, fix="see `yolograft doctor`") from error


def _own_line(error: BaseException, code: Codebook) -> str:
    """``file:line`` of the last frame in a file of the user's; empty when there is none."""
    files = {inspect.getsourcefile(user.cls) for user in code.values()}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
