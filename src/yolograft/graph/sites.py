"""Site names: the roles a place can play, shared by all families.

Which layer plays a role is said by each family's model file; a role a family lacks answers with the
roles it has.
"""

from __future__ import annotations

import difflib

from yolograft.errors import SpecError
from yolograft.graph.spec import LayerSpec, ModelSpec

PLUMBING = ("upsample", "concat")


def resolve(spec: ModelSpec, name: str) -> str:
    """The layer whose output is at ``name``, a role or a layer's own name.

    Raises:
        SpecError: no such place; the message lists those that exist (YG120).
    """
    roles = dict(spec.sites)
    if name in roles:
        return roles[name]
    if any(layer.name == name for layer in spec.layers):
        return name
    known = [*roles, *(layer.name for layer in spec.layers if layer.name not in roles)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    hint = f"did you mean {near[0]}? " if near else ""
    raise SpecError("YG120", f"{spec.name} has no site '{name}'", fix=f"{hint}sites: {', '.join(roles)}")


def origin(spec: ModelSpec, name: str) -> LayerSpec:
    """The stock layer that plays a role, whatever has been grafted after it."""
    resolve(spec, name)
    for layer in spec.layers:
        if layer.name == name:
            return layer
    return spec.layer(dict(spec.sites)[name])


def head_slot(spec: ModelSpec, name: str) -> str:
    """The head slot (``p3.cls``) if ``name`` is ``head.p3.cls``, else an empty string."""
    prefix = spec.head.name + "."
    return name[len(prefix) :] if name.startswith(prefix) else ""


def edge_slot(spec: ModelSpec, source: str, target: str) -> tuple[str, str]:
    """The connection from ``source`` into ``target`` as (reading layer, layer it reads).

    Upsampling and concatenation in front of ``target`` belong to the connection, so that
    ``edge:backbone.p4..neck.td4`` means the skip connection into that block's Concat.

    Raises:
        SpecError: there is no such connection (YG121).
    """
    start, end = resolve(spec, source), origin(spec, target)
    reachable, queue = [], [end]
    while queue:
        layer = queue.pop(0)
        if start in layer.inputs:
            return layer.name, start
        for name in layer.inputs:
            reachable.append(name)
            previous = next((known for known in spec.layers if known.name == name), None)
            if previous is not None and previous.module in PLUMBING:
                queue.append(previous)
    raise SpecError(
        "YG121",
        f"no connection {source}..{target} in {spec.name}",
        fix=f"{target} reads: {', '.join(reachable)}",
    )
