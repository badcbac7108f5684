"""Reads the weights of a checkpoint from elsewhere: the tensors and plain facts, and nothing that could run.

A ``.pt`` file is a pickle, and to unpickle is to run what its author wrote. So it is not unpickled: a
confined process without torch follows the stream as a description (`quarantine`, `opcodes`), and this one
reads the numbers where the description says they lie. No class of the author's is needed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolograft.errors import CheckpointError
from yolograft.models.foreign.claims import MOST_NUMBERS, TensorClaim, check_key, shown
from yolograft.models.foreign.filekind import ARCHIVE, SAFETENSORS, kind_of
from yolograft.models.foreign.limits import MIB, Limits
from yolograft.models.foreign.quarantine import LIMITS, Index, ask

DTYPES: dict[str, torch.dtype] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint64": torch.uint64,
    "uint32": torch.uint32,
    "uint16": torch.uint16,
    "uint8": torch.uint8,
    "bool": torch.bool,
}
# A key of the detection head that only this family has. The first that is found decides.
_LAYOUTS = (
    ("yolox", r"(^|\.)head\.(cls|reg|obj)_preds\.0\.weight"),
    ("yolov5", r"(^|\.)model\.\d+\.m\.0\.weight"),
    ("ultralytics", r"(^|\.)model\.\d+\.cv3\.0\.2\.weight"),
)


@dataclass(frozen=True)
class ForeignCheckpoint:
    """The weights in a file from elsewhere.

    path, sha256: the file. tensors: by the keys of their ``state_dict()``, contiguous copies on the CPU in
    the precision of the file. layout: ``ultralytics`` (YOLOv8 and kin), ``yolov5``, ``yolox`` or ``unknown``,
    by the keys of the head. names: class names; empty where the file has none. facts: what it says about
    itself, as JSON has it: epoch, date, version, license, train_args, yaml, nc, stride, anchors; ``part``,
    where in the checkpoint the weights lay; ``class``, of a model pickled whole.
    """

    path: Path
    sha256: str
    tensors: dict[str, Tensor]
    layout: str
    names: tuple[str, ...]
    facts: dict[str, Any]


def read_foreign(path: Path, *, limits: Limits = LIMITS) -> ForeignCheckpoint:
    """Read the tensors of a ``.pt``, ``.pth`` or ``.safetensors`` file; nothing in it runs.

    Raises:
        CheckpointError: no such file (YG430), a file over the limits (YG431), of another kind (YG432),
            damaged (YG433) or with claims that do not hold (YG434), without weights (YG435), with tensors
            that are not read (YG437), of another byte order (YG438), or one that would run something
            (YG439); the reading process was stopped (YG436).
    """
    try:
        return _read(path, limits)
    except CheckpointError as error:
        raise CheckpointError(error.code, error.cause, where=shown(path.name), fix=error.fix) from error
    except OSError as error:
        cause = f"it cannot be read ({error.strerror or type(error).__name__})"
        raise CheckpointError("YG430", cause, where=shown(path.name), fix="check who may read it") from error


def _read(path: Path, limits: Limits) -> ForeignCheckpoint:
    if not path.is_file():
        cause = "this is a folder" if path.is_dir() else "there is no such file"
        raise CheckpointError("YG430", cause, fix="name a .pt, .pth or .safetensors file")
    with path.open("rb") as handle:
        size = path.stat().st_size
        if size > limits.file_bytes:
            allowed = f"at most {limits.file_bytes / MIB:.0f} are read"
            raise CheckpointError("YG431", f"it has {size / MIB:.0f} MiB, {allowed}")
        kind = kind_of(handle, size)
        handle.seek(0)
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        if kind == SAFETENSORS:
            tensors, facts = _safetensors(path, limits)
            names: tuple[str, ...] = ()
        else:
            assert kind == ARCHIVE
            index = ask(handle, size, limits)
            tensors, facts, names = (
                _taken(handle, index, index.tensors),
                _facts(handle, index),
                tuple(index.names),
            )
    return ForeignCheckpoint(path, sha256, tensors, layout_of(tensors), names, facts)


def layout_of(keys: Iterable[str]) -> str:
    """Whose keys these are: ``ultralytics``, ``yolov5``, ``yolox`` or ``unknown``."""
    keys = list(keys)
    for layout, pattern in _LAYOUTS:
        if any(re.search(pattern, key) for key in keys):
            return layout
    return "unknown"


def _taken(handle: BufferedReader, index: Index, claims: Mapping[str, TensorClaim]) -> dict[str, Tensor]:
    """The tensors as contiguous copies, each storage read once and let go of."""
    by_storage: dict[str, list[str]] = {}
    for key, claim in claims.items():
        by_storage.setdefault(claim.storage, []).append(key)
    found: dict[str, Tensor] = {}
    for storage, keys in by_storage.items():
        data = index.storages[storage].read(handle, f"the data of '{shown(keys[0])}'")
        for key in keys:
            found[key] = _view(data, claims[key])
    return {key: found[key] for key in claims}


def _view(data: bytearray, claim: TensorClaim) -> Tensor:
    """A copy of the numbers a claim, already checked, points at."""
    dtype = DTYPES[claim.dtype]
    if not claim.numel:
        return torch.empty(claim.shape, dtype=dtype)
    # A byte that is neither 0 nor 1 is no bool, and torch does not ask.
    flat = torch.frombuffer(data, dtype=torch.uint8 if dtype is torch.bool else dtype)
    view = flat.as_strided(claim.shape, claim.stride, claim.offset)
    return (
        view.ne(0).contiguous() if dtype is torch.bool else view.clone(memory_format=torch.contiguous_format)
    )


def _facts(handle: BufferedReader, index: Index) -> dict[str, Any]:
    """Plain facts, with the small tensors among them as lists."""
    few = {key: claim for key, claim in index.small.items() if claim.numel <= MOST_NUMBERS}
    return index.facts | {key: tensor.tolist() for key, tensor in _taken(handle, index, few).items()}


def _safetensors(path: Path, limits: Limits) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a safetensors file, which cannot hold anything else."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as opened:
            facts = {shown(key): shown(value) for key, value in (opened.metadata() or {}).items()}
            keys = list(opened.keys())
            for count, key in enumerate(keys, 1):
                check_key(key, count, limits)
            return {key: opened.get_tensor(key).clone() for key in keys}, facts
    except (SafetensorError, ValueError, TypeError, RuntimeError) as error:
        cause = f"a damaged safetensors file ({type(error).__name__})"
        raise CheckpointError("YG433", cause, fix="download or copy it again") from error
