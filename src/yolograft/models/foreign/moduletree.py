"""From the inert root of a checkpoint to the state dict in it, by the keys ``state_dict()`` would give.

A YOLO checkpoint is a dictionary whose ``ema`` or ``model`` is a whole pickled module, or a state dict. What
a module holds is written in its state, ``_parameters``, ``_buffers``, ``_modules``: no class is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from yolograft.errors import CheckpointError
from yolograft.models.foreign.claims import (
    TensorClaim,
    attributes,
    check_key,
    is_tensor,
    mapping,
    members_of,
    name_of,
    plain,
    shown,
    tensor_claim,
)
from yolograft.models.foreign.limits import Limits

# Where checkpoints keep their weights; averaged weights first: they are what a detector is evaluated with.
PARTS = ("ema", "model", "state_dict", "model_state_dict", "net")
# What wraps a model: data parallelism, and the inference wrappers of the YOLO packages.
_WRAPPERS = ("module", "model")
_ABOUT_THE_FILE = (
    "epoch", "start_epoch", "date", "version", "license", "best_fitness", "best_ap", "train_args", "opt",
    "git",
)  # fmt: skip
_ABOUT_THE_MODEL = ("yaml", "nc", "stride", "anchors", "task")
_MOST_NAMES = 10_000


@dataclass(frozen=True, slots=True)
class Content:
    """What a checkpoint holds.

    tensors: by state-dict key. facts: plain values. small: tensors among the facts, by name.
    names: class names in the order of their indices.
    """

    tensors: dict[str, TensorClaim]
    facts: dict[str, Any]
    small: dict[str, TensorClaim]
    names: list[str]


def is_module(value: Any) -> bool:
    """Whether an inert object would have been a ``torch.nn.Module``."""
    return {"_parameters", "_buffers", "_modules"} <= attributes(value).keys()


def _has_tensors(value: Any) -> bool:
    return any(is_tensor(item) for item in (mapping(value) or {}).values())


def content_of(root: Any, limits: Limits) -> Content:
    """The weights in a checkpoint and what it says about them.

    Raises:
        CheckpointError: no weights where checkpoints keep them (YG435); or as `tensor_claim`.
    """
    part, weights = _weights_of(root)
    tensors: dict[str, TensorClaim] = {}
    for key, value in _module_entries(weights, limits) if is_module(weights) else _entries(weights):
        check_key(key, len(tensors) + 1, limits)
        tensors[key] = tensor_claim(value, key)
    if not tensors:
        raise CheckpointError(
            "YG435", "its model has no tensors", fix="give a checkpoint with trained weights"
        )
    facts: dict[str, Any] = {"part": part} if part else {}
    if is_module(weights):
        facts["class"] = shown(name_of(weights))
    about = (
        {key: value for key, value in (mapping(root) or {}).items() if key in _ABOUT_THE_FILE} if part else {}
    )
    found = {key: _attribute(weights, key) for key in (*_ABOUT_THE_MODEL, "names")}
    architecture = mapping(found["yaml"]) or {}
    for key in ("nc", "anchors", "names"):
        found[key] = architecture.get(key) if found[key] is None else found[key]
    names = found.pop("names")
    about |= {key: value for key, value in found.items() if value is not None}
    small = {key: claim for key, value in about.items() if (claim := _readable(key, value)) is not None}
    facts |= {key: plain(value, limits) for key, value in about.items() if not is_tensor(value)}
    return Content(tensors, facts, small, _names(names))


def _readable(key: str, value: Any) -> TensorClaim | None:
    """A tensor among the facts; one of a kind that is not read is no reason to refuse the weights."""
    try:
        return tensor_claim(value, key) if is_tensor(value) else None
    except CheckpointError:
        return None


def _weights_of(root: Any) -> tuple[str, Any]:
    """The part of a checkpoint that holds the weights, and its key; no key where it is the whole."""
    if is_module(root):
        return "", root
    pairs = mapping(root) or {}
    for part in PARTS:
        if part in pairs and (is_module(pairs[part]) or _has_tensors(pairs[part])):
            return part, pairs[part]
    if _has_tensors(root):
        return "", root
    keys = ", ".join(shown(str(key), 20) for key in list(pairs)[:6] if isinstance(key, str | int))
    cause = f"no weights in it: it holds {keys or name_of(root) or type(root).__name__}"
    raise CheckpointError("YG435", shown(cause, 160), fix="give a state dict or a YOLO checkpoint")


def _entries(weights: Any) -> Iterator[tuple[str, Any]]:
    for key, value in (mapping(weights) or {}).items():
        if isinstance(key, str) and is_tensor(value):
            yield key, value


def _module_entries(root: Any, limits: Limits) -> Iterator[tuple[str, Any]]:
    """Keys and tensors of a pickled module, in the order of ``state_dict()``.

    A module reached by two ways has its tensors under both names, as torch has it.
    """
    waiting: list[tuple[str, int, Any]] = [("", 0, root)]
    visited = 0
    while waiting:
        prefix, depth, module = waiting.pop()
        visited += 1
        if visited > limits.tensors or depth > limits.depth or len(prefix) > limits.key:
            raise CheckpointError("YG431", "its modules are nested without end")
        state = attributes(module)
        passing = {
            key for key in members_of(state.get("_non_persistent_buffers_set")) if isinstance(key, str)
        }
        for slot in ("_parameters", "_buffers"):
            for key, value in _named(state, slot).items():
                if value is not None and not (slot == "_buffers" and key in passing):
                    yield prefix + key, value
        children = [
            (f"{prefix}{key}.", depth + 1, child)
            for key, child in _named(state, "_modules").items()
            if is_module(child)
        ]
        waiting += reversed(children)


def _named(state: Mapping[str, Any], slot: str) -> dict[str, Any]:
    return {key: value for key, value in (mapping(state.get(slot)) or {}).items() if isinstance(key, str)}


def _attribute(model: Any, key: str) -> Any:
    """An attribute of a pickled model, looked for in what it wraps as well; None where it has none."""
    for _ in range(4):
        if not is_module(model):
            return None
        state = attributes(model)
        if state.get(key) is not None:
            return state[key]
        children = _named(state, "_modules")
        model = next((children[name] for name in _WRAPPERS if name in children), None)
    return None


def _names(value: Any) -> list[str]:
    """Class names of a list or of a dictionary index -> name; empty where they make no list."""
    pairs = mapping(value)
    rows = list(enumerate(members_of(value))) if pairs is None else list(pairs.items())
    by_index = {int(key): name for key, name in rows if str(key).isdecimal() and len(str(key)) < 6}
    complete = sorted(by_index) == list(range(len(rows))) and len(rows) <= _MOST_NAMES
    if not complete or not all(isinstance(name, str | int) for name in by_index.values()):
        return []
    return [shown(str(by_index[index])) for index in range(len(rows))]
