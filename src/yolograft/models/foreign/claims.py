"""What the inert values of a pickle claim to be: tensors, mappings, objects with attributes, plain facts.

A claim is checked against the storages that are really there before anybody acts on it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from yolograft.errors import CheckpointError
from yolograft.models.foreign.limits import Limits
from yolograft.models.foreign.opcodes import Bag, Call, Name, Storage

# Bytes of one element, by the name torch gives the type.
WIDTHS = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1,
}  # fmt: skip
_TYPED_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16",
    "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip
_UNTYPED_STORAGES = frozenset({"UntypedStorage", "_UntypedStorage"})
_PARAMETERS = frozenset({"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"})
_SUBCLASSED = "torch._tensor._rebuild_from_type_v2"
# A tensor wrapped in a parameter wrapped in a subclass: deeper wrappings are somebody's joke.
_WRAPPINGS = 4
# A shape with a side of this many elements overflows before it means anything.
_SIDE = 1 << 48
_ORDERED = frozenset({"collections.OrderedDict", "collections.defaultdict"})
_SETS = frozenset({"__builtin__.set", "builtins.set", "__builtin__.frozenset", "builtins.frozenset"})
_NUMPY = ("numpy.core.multiarray.", "numpy._core.multiarray.")
_NUMBERS = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b", "u1": "B", "b1": "?"}
MOST_NUMBERS = 1024
MOST_LETTERS = 4096


@dataclass(frozen=True, slots=True)
class TensorClaim:
    """A view of a storage: ``shape`` and ``stride`` in elements from ``offset`` on; not yet believed.

    storage: its key. storage_bytes: what it should hold.
    """

    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    storage: str
    storage_bytes: int

    @property
    def numel(self) -> int:
        """Elements of the tensor."""
        return math.prod(self.shape)


def shown(text: str, most: int = 80) -> str:
    """A stranger's text for a terminal: no control characters, no end of line, not long."""
    text = "".join(letter if letter.isprintable() else " " for letter in text[: most + 1])
    return text if len(text) <= most else f"{text[: most - 3]}..."


def name_of(value: Any) -> str:
    """The class or function behind an inert object, as ``module.name``; empty where it has none."""
    if isinstance(value, Name):
        return value.text
    if isinstance(value, Call) and isinstance(value.target, Name):
        first = value.args[0] if isinstance(value.args, tuple) and value.args else None
        by_protocol_0 = value.target.qualname == "_reconstructor" and isinstance(first, Name)
        return first.text if by_protocol_0 and isinstance(first, Name) else value.target.text
    return ""


def mapping(value: Any) -> Mapping[Any, Any] | None:
    """The pairs of a dictionary or of an object that is filled like one; None for anything else."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, Call):
        return None
    if value.pairs or name_of(value) not in _ORDERED:
        return value.pairs or None
    match value.args:
        case (list(rows),) if all(isinstance(row, list | tuple) and len(row) == 2 for row in rows):
            return {key: item for key, item in rows if isinstance(key, str | int)}
    return value.pairs


def attributes(value: Any) -> dict[str, Any]:
    """The ``__dict__`` of an inert object as far as its states tell."""
    found: dict[str, Any] = {}
    for state in value.states if isinstance(value, Call) else ():
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        for part in parts:
            found |= {key: item for key, item in (mapping(part) or {}).items() if isinstance(key, str)}
    return found


def members_of(value: Any) -> list[Any]:
    """The members of a set, a list or a tuple; empty for anything else."""
    if isinstance(value, Call) and name_of(value) in _SETS:
        value = value.args[0] if isinstance(value.args, tuple) and value.args else value.items
    if isinstance(value, Bag):
        value = value.items
    return list(value) if isinstance(value, list | tuple) else []


def is_tensor(value: Any) -> bool:
    """Whether an inert value would have been a tensor, readable or not."""
    name = name_of(value) if isinstance(value, Call) else ""
    return name.startswith("torch._utils._rebuild_") or name == _SUBCLASSED


def tensor_claim(value: Any, what: str) -> TensorClaim:
    """What a tensor claims to be.

    Args:
        value: something that `is_tensor`. what: its key, for the message.

    Raises:
        CheckpointError: a kind of tensor that is not read: sparse, quantised, complex, without data (YG437);
            or arguments no tensor has (YG434).
    """
    for _ in range(_WRAPPINGS):
        name = name_of(value)
        if not isinstance(value, Call) or not isinstance(value.args, tuple):
            break
        if name in _PARAMETERS and value.args:
            value = value.args[0]
        elif name == _SUBCLASSED and len(value.args) >= 3 and isinstance(value.args[2], tuple):
            value = Call(value.args[0], value.args[2])
        else:
            return _plain_tensor(name.rpartition(".")[2], value.args, what)
    raise CheckpointError("YG434", f"'{shown(what)}' is no tensor torch would write")


def _plain_tensor(function: str, args: tuple[Any, ...], what: str) -> TensorClaim:
    if function not in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"):
        kind = function.removeprefix("_rebuild_")
        raise CheckpointError("YG437", f"'{shown(what)}' is no plain dense tensor ({shown(kind)})")
    if len(args) < 4 or not isinstance(args[0], Storage):
        raise CheckpointError("YG434", f"'{shown(what)}' is a tensor without a storage")
    storage: Storage = args[0]
    offset, shape, stride = args[1:4]
    kind = storage.kind.qualname
    typed = kind not in _UNTYPED_STORAGES
    dtype = _TYPED_STORAGES.get(kind, kind)
    if function.endswith("v3") and not typed and len(args) > 6 and isinstance(args[6], Name):
        dtype = args[6].qualname
    metadata = args[-1] if len(args) in (7, 8) else None
    if dtype not in WIDTHS or not storage.kind.module.startswith("torch"):
        raise CheckpointError("YG437", f"'{shown(what)}' holds {shown(dtype)}, which is not read")
    if isinstance(metadata, dict) and any(value is True for value in metadata.values()):
        raise CheckpointError("YG437", f"'{shown(what)}' is a negated or conjugated view, which is not read")
    (first,) = _whole((offset,), what)
    claimed = storage.count * (WIDTHS[dtype] if typed else 1)
    return TensorClaim(dtype, _whole(shape, what), _whole(stride, what), first, storage.key, claimed)


def _whole(value: Any, what: str) -> tuple[int, ...]:
    if (
        isinstance(value, Call)
        and name_of(value) == "torch.Size"
        and isinstance(value.args, tuple)
        and value.args
    ):
        value = value.args[0]
    if isinstance(value, list | tuple) and all(type(side) is int and 0 <= side < _SIDE for side in value):
        return tuple(value)
    raise CheckpointError(
        "YG434", f"the shape, stride or offset of '{shown(what)}' is not made of whole numbers"
    )


def check_key(key: str, count: int, limits: Limits) -> None:
    """See that the key of the ``count``-th tensor is fit to be kept and shown.

    Raises:
        CheckpointError: letters that cannot be printed (YG434); too long, or one too many (YG431).
    """
    if not key.isprintable():
        raise CheckpointError("YG434", f"the key '{shown(key)}' has letters that cannot be printed")
    if count > limits.tensors or len(key) > limits.key:
        cause = f"it has over {limits.tensors} tensors, or one with a key of {len(key)} letters"
        raise CheckpointError("YG431", cause)


def check_claim(claim: TensorClaim, size: int, what: str, limits: Limits) -> None:
    """Compare a claim with the storage that is there.

    Args:
        size: bytes of the storage.

    Raises:
        CheckpointError: the storage is not of the size the pickle states, the tensor reaches beyond it, or
            has too many dimensions (YG434).
    """
    if claim.storage_bytes != size:
        cause = f"the data of '{shown(what)}' should be {claim.storage_bytes} bytes and are {size}"
        raise CheckpointError("YG434", cause, fix="download or copy it again")
    if len(claim.shape) != len(claim.stride) or len(claim.shape) > limits.dims:
        raise CheckpointError("YG434", f"'{shown(what)}' has shape and stride that do not go together")
    sides = (*claim.shape, *claim.stride, claim.offset)
    if any(side < 0 or side >= _SIDE for side in sides):
        raise CheckpointError("YG434", f"'{shown(what)}' has a side no tensor has")
    # An empty view may begin behind the end of its storage: nothing of it is read.
    needed = 0
    if claim.numel:
        steps = zip(claim.shape, claim.stride, strict=True)
        needed = claim.offset + 1 + sum((side - 1) * step for side, step in steps)
    there = size // WIDTHS[claim.dtype]
    if needed > there or size % WIDTHS[claim.dtype]:
        cause = f"'{shown(what)}' claims {needed} {claim.dtype} numbers, its storage holds {there}"
        raise CheckpointError("YG434", cause, fix="download or copy it again")


def numbers(value: Any) -> list[float] | None:
    """The numbers of a small numpy scalar or array, flat; None for anything else."""
    name = name_of(value)
    if not isinstance(value, Call) or not name.startswith(_NUMPY) or not isinstance(value.args, tuple):
        return None
    match name.rpartition(".")[2], value.args, value.states:
        case "scalar", (dtype, raw), _:
            return _unpacked(dtype, raw)
        case "_reconstruct", _, [(_, _, dtype, _, raw)]:
            return _unpacked(dtype, raw)
    return None


def _unpacked(dtype: Any, raw: Any) -> list[float] | None:
    """Numbers in the byte order their numpy type states."""
    if (
        isinstance(raw, Call)
        and name_of(raw) == "_codecs.encode"
        and isinstance(raw.args, tuple)
        and raw.args
    ):
        # How Python 2's protocols write bytes: as text of the same code points.
        raw = raw.args[0].encode("latin-1", "replace") if isinstance(raw.args[0], str) else None
    if (
        not isinstance(dtype, Call)
        or name_of(dtype) != "numpy.dtype"
        or not isinstance(raw, bytes | bytearray)
    ):
        return None
    match dtype.args:
        case (str(kind), *_):
            letter = _NUMBERS.get(kind)
        case _:
            letter = None
    if letter is None or len(raw) > MOST_NUMBERS * 8 or len(raw) % struct.calcsize(f"<{letter}"):
        return None
    state = dtype.states[0] if dtype.states else None
    order = ">" if isinstance(state, tuple) and len(state) > 1 and state[1] == ">" else "<"
    return [row[0] for row in struct.iter_unpack(order + letter, raw)]


def plain(value: Any, limits: Limits) -> Any:
    """A value as JSON has it; what is no plain value is named in angle brackets, a surplus left out."""
    return _plain(value, iter(range(limits.facts)), 0)


def _plain(value: Any, budget: Iterator[int], depth: int) -> Any:
    if next(budget, None) is None or depth > 12:
        return None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return shown(value, MOST_LETTERS)
    if (pairs := mapping(value)) is not None:
        kept = ((key, item) for key, item in pairs.items() if isinstance(key, str | int | float))
        return {shown(str(key)): _plain(item, budget, depth + 1) for key, item in _first(kept, budget)}
    if (found := numbers(value)) is not None:
        rows = [_plain(number, budget, depth + 1) for number in found]
        return rows[0] if len(rows) == 1 else rows
    if isinstance(value, list | tuple | Bag) or name_of(value) in _SETS:
        return [_plain(item, budget, depth + 1) for item in _first(members_of(value), budget)]
    return f"<{shown(name_of(value))}>"


def _first(items: Any, budget: Iterator[int]) -> Iterator[Any]:
    """The items as long as the budget lasts."""
    for item in items:
        if next(budget, None) is None:
            return
        yield item
