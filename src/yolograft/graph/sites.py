"""Site names: the roles a place can play, shared by all families.

Which layer plays a role is said by each family's model file; a role a family lacks answers with the
roles it has.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from yolograft.errors import SpecError
from yolograft.graph.spec import LayerSpec, ModelSpec, Value

# What makes one map of several by weights or gates, and can take the place of a plain `concat`: the options
# that say how, with their defaults.
FUSIONS: Mapping[str, Mapping[str, Value]] = {
    "bifpn_add": {"fusion": "fast"},
    "bifpn_concat": {"fusion": "fast"},
    "gated_concat": {"kernel": 7, "gate": "both"},
}
JOINS = ("concat", *FUSIONS)
PLUMBING = ("upsample", *JOINS)
OUTPUT = re.compile(r"neck\.p\d")  # the role of a map for the head
ON_EDGE = ".in+"  # in the name of every graft on a connection: <reading layer>.in+<module>


def resolve(spec: ModelSpec, name: str) -> str:
    """The layer whose output is at ``name``, a role or a layer's own name.

    Raises:
        SpecError: no such place; the message lists those that exist (YG120).
    """
    roles = dict(spec.sites)
    if name in roles:
        return roles[name]
    if _standing(spec, name):
        return _tail(spec, name)
    known = [*roles, *(layer.name for layer in spec.layers if layer.name not in roles)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    hint = f"did you mean {near[0]}? " if near else ""
    raise SpecError("YG120", f"{spec.name} has no site '{name}'", fix=f"{hint}sites: {', '.join(roles)}")


def _tail(spec: ModelSpec, name: str) -> str:
    """The last of the grafts placed after a layer that plays no role, or the layer itself."""
    tail = _standing(spec, name)
    for layer in spec.layers:
        if layer.name.startswith(f"{name}+") and layer.inputs == (tail,):
            tail = layer.name
    return tail


def _standing(spec: ModelSpec, name: str) -> str:
    """The layer of that name, or the one that was put in its place; empty where there is neither."""
    names = [layer.name for layer in spec.layers if ON_EDGE not in layer.name or layer.name == name]
    return name if name in names else next((each for each in names if each.startswith(f"{name}+")), "")


def origin(spec: ModelSpec, name: str) -> LayerSpec:
    """The stock layer that plays a role, whatever has been grafted after it."""
    resolve(spec, name)
    layers = {layer.name: layer for layer in spec.layers}
    roles = dict(spec.sites)
    if name in layers or name not in roles:
        return layers[_standing(spec, name)]
    target = roles[name]
    # One layer may play several roles and bear the name of one of them (YOLOX: backbone.sppf, backbone.p5).
    named = [role for role, layer in spec.sites if layer == target and role in layers]
    # A layer that was replaced has gone; what stands in its place is its own origin.
    return layers[named[0]] if named else layers.get(target.partition("+")[0], layers[target])


def backbone_layers(spec: ModelSpec) -> frozenset[str]:
    """Names of the layers up to the ends of the backbone's stages, grafts between them included."""
    found = {layer for role, layer in spec.sites if role.partition(".")[0] in ("stem", "backbone")}
    for layer in reversed(spec.layers):
        if layer.name in found:
            found.update(layer.inputs)
    return frozenset(found) & {layer.name for layer in spec.layers}


def head_levels(spec: ModelSpec) -> list[str]:
    """The site ``neck.pN`` behind every map the head reads; empty for a map of no site."""
    roles = {layer: role for role, layer in spec.sites if OUTPUT.fullmatch(role)}
    return [roles.get(_before_grafts(spec, name), "") for name in spec.head.inputs]


def _before_grafts(spec: ModelSpec, read: str) -> str:
    while ON_EDGE in read:
        read = spec.layer(read).inputs[0]
    return read


def head_slot(spec: ModelSpec, name: str) -> str:
    """The head slot (``p3.cls``) if ``name`` is ``head.p3.cls``, else an empty string."""
    prefix = spec.head.name + "."
    return name[len(prefix) :] if name.startswith(prefix) else ""


def edge_slot(spec: ModelSpec, source: str, target: str) -> tuple[str, str]:
    """The connection from ``source`` into ``target`` as (reading layer, layer it reads).

    Upsampling and concatenation in front of ``target`` belong to the connection, so that
    ``edge:backbone.p4..neck.td4`` means the skip connection into that block's Concat. So do grafts
    already placed there: the next one on the same connection comes after them.

    Raises:
        SpecError: there is no such connection (YG121).
    """
    start, end = resolve(spec, source), origin(spec, target)
    reachable, queue = [], [end]
    while queue:
        layer = queue.pop(0)
        if start in layer.inputs:
            return _behind_grafts(spec, layer, start)
        for name in layer.inputs:
            reachable.append(name)
            previous = next((known for known in spec.layers if known.name == name), None)
            if previous is not None and _belongs_to_connection(spec, previous):
                queue.append(previous)
    raise SpecError(
        "YG121",
        f"no connection {source}..{target} in {spec.name}",
        fix=f"{target} reads: {', '.join(reachable)}",
    )


def join_of(spec: ModelSpec, source: str, target: str) -> LayerSpec:
    """The layer that joins the connection from ``source`` into ``target`` with others.

    Raises:
        SpecError: there is no such connection (YG121), or it is joined with no other (YG183).
    """
    edge_slot(spec, source, target)
    start, layer = resolve(spec, source), origin(spec, target)
    known = {each.name: each for each in spec.layers}
    while layer.module not in JOINS:
        # What lies in front of `start` is joined before the connection begins.
        if len(layer.inputs) != 1 or layer.inputs[0] not in known or layer.inputs[0] == start:
            cause = f"{source}..{target} leads into no join: '{layer.name}' is a {layer.module}"
            joins = [each.name for each in spec.layers if each.module in JOINS]
            raise SpecError("YG183", cause, fix=f"joins: {', '.join(joins) or 'none'}")
        layer = known[layer.inputs[0]]
    return layer


def _belongs_to_connection(spec: ModelSpec, layer: LayerSpec) -> bool:
    place = layer.name.partition("+")[0]
    # A join that was exchanged bears the name of its place, a plus and its own.
    alike = (known for known in spec.layers if known.name.partition("+")[0] == place)
    after_plumbing = any(known.module in PLUMBING for known in alike)
    return layer.module in PLUMBING or ON_EDGE in layer.name or after_plumbing


def _behind_grafts(spec: ModelSpec, reader: LayerSpec, read: str) -> tuple[str, str]:
    while ON_EDGE in reader.name:
        read, reader = reader.name, spec.consumers(reader.name)[0]
    return reader.name, read
