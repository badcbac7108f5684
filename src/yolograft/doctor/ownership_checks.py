"""Does the module own every tensor it computes with, so that optimiser, ``.to`` and checkpoints see it?"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from torch import Tensor, nn

from yolograft.doctor.report import Finding, failed, passed
from yolograft.doctor.specimen import Specimen, listed, run, shape_text

PLAIN = (16, 16)
DEPTH = 4
_REGISTRIES = frozenset({"_parameters", "_buffers", "_modules"})
# The old forms of spectral and weight norm, and pruning, keep the weight itself as an attribute that they
# compute anew from the registered one in every forward.
_DERIVED_FROM = ("_orig", "_g")


def registered(specimen: Specimen) -> Finding:
    """``parameters()`` and ``state_dict()`` know every tensor, so the optimiser and ``.to`` do too.

    Looked for twice: in what attributes hold, and among the leaves of the graph that a training forward
    leaves behind, where nothing can be hidden.
    """
    module = specimen.fresh()
    known = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    places: dict[int, tuple[str, Tensor]] = {}
    for place, tensor in held(module):
        places.setdefault(id(tensor), (place, tensor))
    strange = {key: entry for key, entry in places.items() if key not in known}
    hidden = [place for place, tensor in strange.values() if tensor.requires_grad]
    plain = [place for place, tensor in strange.values() if not tensor.requires_grad]
    for leaf in _leaves_used(specimen, module):
        if id(leaf) not in known and id(leaf) not in places:
            hidden.append(f"{type(leaf).__name__} {shape_text(leaf)}")
    if hidden:
        return failed("hidden", names=listed(hidden))
    if plain:
        return failed("plain_tensor", names=listed(plain))
    return passed("all_registered", count=len(list(module.parameters())))


def _leaves_used(specimen: Specimen, module: nn.Module) -> list[Tensor]:
    """The leaf tensors, the input apart, that a training forward takes gradients to."""
    leaf = specimen.maps(PLAIN).requires_grad_()
    try:
        y = run(module, leaf * 1)
    except Exception:
        return []  # another check reports what does not run
    found: list[Tensor] = []
    open_nodes, seen = [y.grad_fn], set()
    while open_nodes:
        node = open_nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor) and variable is not leaf:
            found.append(variable)
        open_nodes += [following for following, _ in node.next_functions]
    return found


def held(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(place, tensor) of what attributes hold outside the registries of ``nn.Module``."""
    for path, part in module.named_modules():
        for attribute, value in vars(part).items():
            derived = any(attribute + suffix in part._parameters for suffix in _DERIVED_FROM)
            if attribute in _REGISTRIES or attribute.endswith("_hooks") or derived:
                continue
            yield from _tensors(f"{path}.{attribute}".lstrip("."), value, DEPTH)


def _tensors(place: str, value: Any, depth: int) -> Iterator[tuple[str, Tensor]]:
    """Tensors in a value and in what it holds, each with its place."""
    if isinstance(value, Tensor):
        yield place, value
    elif isinstance(value, nn.Module):
        for name, tensor in [*value.named_parameters(), *value.named_buffers()]:
            yield f"{place}.{name}", tensor
    elif depth:
        for step, item in _contents(value):
            yield from _tensors(f"{place}{step}", item, depth - 1)


def _contents(value: Any) -> Iterator[tuple[str, Any]]:
    """What a container, a partial, a closure or a plain object holds, and how one writes that."""
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, functools.partial):
        yield from ((f".args[{index}]", item) for index, item in enumerate(value.args))
        yield from ((f".{key}", item) for key, item in value.keywords.items())
        yield ".func", value.func
    elif isinstance(value, FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            yield from ((f".{name}", item) for item in _in_cell(cell))
    elif not isinstance(value, type | ModuleType):
        yield from ((f".{key}", item) for key, item in getattr(value, "__dict__", {}).items())


def _in_cell(cell: Any) -> tuple[Any, ...]:
    """The contents of a closure's cell; nothing where it is empty."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()
