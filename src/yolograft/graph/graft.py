"""``graft(spec, *grafts)``: place modules at named sites; pure, returns a new spec.

Inserting a layer renames nothing, so every weight of the base detector keeps its key.
"""

from __future__ import annotations

from dataclasses import replace

from yolograft.errors import SpecError
from yolograft.graph.dialect.naming import free_name, stem
from yolograft.graph.expr import NECK, GraftSpec, Site
from yolograft.graph.necks.table import with_neck
from yolograft.graph.sites import FUSIONS, edge_slot, head_slot, join_of, origin, resolve
from yolograft.graph.spec import LayerSpec, ModelSpec, ModuleRef

BLOCKS_WITH_BOTTLENECKS = ("c2f", "c3")


def graft(spec: ModelSpec, *grafts: GraftSpec) -> ModelSpec:
    """The spec with its neck exchanged where a term asks for it, then every module placed as written.

    A distillation leaves the spec as it is.

    Raises:
        SpecError: a site does not exist, cannot take that placement, or nobody reads the graft; a neck that
            does not fit (YG180-YG182), two of them, or a join exchanged twice (YG182); no join (YG183).
    """
    necks = [ref for item in grafts for ref in item.of_kind(NECK)]
    if len(necks) > 1:
        cause = f"a detector has one neck, these are {len(necks)}: {', '.join(ref.text() for ref in necks)}"
        raise SpecError("YG182", cause, fix="make an arm of each")
    for ref in necks:
        spec = with_neck(spec, ref)
    for item in grafts:
        for term in item.terms:
            for site in term.sites:
                spec = _place(spec, term.ref, site)
    return spec


def _place(spec: ModelSpec, ref: ModuleRef, site: Site) -> ModelSpec:
    slot = head_slot(spec, site.target)
    if slot and site.mode in ("after", "inside"):
        return _inside(spec, ref, spec.head, slot)
    if site.mode == "after":
        return _after(spec, ref, site.target)
    if site.mode == "before":
        return _before(spec, ref, site.target)
    if site.mode == "replace":
        return _replace(spec, ref, site.target)
    if site.mode == "edge" and ref.module in FUSIONS:
        return _exchange_join(spec, ref, site)
    if site.mode == "edge":
        reader, read = edge_slot(spec, site.target, site.to)
        return _insert_on_edge(spec, ref, reader, read)
    block = origin(spec, site.target)
    if block.module not in BLOCKS_WITH_BOTTLENECKS:
        raise SpecError(
            "YG122",
            f"'{site.target}' is a {block.module}: it has no bottlenecks to graft inside",
            fix="name a branch, e.g. head.p3.cls, or, of a head without any, neck.p3"
            if block is spec.head
            else f"use after:{site.target}",
        )
    return _inside(spec, ref, block, "*")


def _graft_name(spec: ModelSpec, place: str, ref: ModuleRef) -> str:
    return free_name(f"{place}+{stem(ref.module)}", {layer.name for layer in spec.layers})


def _after(spec: ModelSpec, ref: ModuleRef, target: str) -> ModelSpec:
    tail = resolve(spec, target)
    if tail == spec.head.name or not spec.consumers(tail):
        raise SpecError("YG123", f"graft has no consumer: nobody reads the output of '{target}'")
    new = LayerSpec(_graft_name(spec, target, ref), ref.module, (tail,), ref.args, ref.init)
    layers: list[LayerSpec] = []
    for layer in spec.layers:
        layers.append(_reread(layer, tail, new.name))
        if layer.name == tail:
            layers.append(new)
    sites = tuple((role, new.name if layer == tail else layer) for role, layer in spec.sites)
    return replace(spec, layers=tuple(layers), sites=sites)


def _before(spec: ModelSpec, ref: ModuleRef, target: str) -> ModelSpec:
    layer = origin(spec, target)
    if len(layer.inputs) != 1:
        raise SpecError(
            "YG124",
            f"'{target}' reads {len(layer.inputs)} maps ({', '.join(layer.inputs)})",
            fix=f"name the connection: edge:{layer.inputs[0]}..{target}",
        )
    return _insert_on_edge(spec, ref, layer.name, layer.inputs[0])


def _insert_on_edge(spec: ModelSpec, ref: ModuleRef, reader: str, read: str) -> ModelSpec:
    new = LayerSpec(_graft_name(spec, f"{reader}.in", ref), ref.module, (read,), ref.args, ref.init)
    layers: list[LayerSpec] = []
    for layer in spec.layers:
        if layer.name == reader:
            layers += [new, _reread(layer, read, new.name)]
        else:
            layers.append(layer)
    return replace(spec, layers=tuple(layers))


def _exchange_join(spec: ModelSpec, ref: ModuleRef, site: Site) -> ModelSpec:
    """The join that a connection leads into, weighed or gated from now on; it has no identity form."""
    old = join_of(spec, site.target, site.to)
    if old.module in FUSIONS and "+" in old.name:
        cause = f"{site.text()} leads into {old.name}: this join has already been exchanged"
        raise SpecError("YG182", cause, fix="name each join once")
    new = LayerSpec(_graft_name(spec, old.name, ref), ref.module, old.inputs, ref.args)
    layers = (new if layer is old else _reread(layer, old.name, new.name) for layer in spec.layers)
    sites = tuple((role, new.name if layer == old.name else layer) for role, layer in spec.sites)
    return replace(spec, layers=tuple(layers), sites=sites)


def _replace(spec: ModelSpec, ref: ModuleRef, target: str) -> ModelSpec:
    old = origin(spec, target)
    if old is spec.head or len(old.inputs) != 1:
        raise SpecError("YG125", f"'{target}' cannot be replaced by a module with one input")
    # A replaced layer holds other weights, so it must not answer to the old weights' keys.
    new = LayerSpec(_graft_name(spec, old.name, ref), ref.module, old.inputs, ref.args, ref.init)
    layers = tuple(
        new if layer.name == old.name else _reread(layer, old.name, new.name) for layer in spec.layers
    )
    sites = tuple((role, new.name if layer == old.name else layer) for role, layer in spec.sites)
    return replace(spec, layers=layers, sites=sites)


def _inside(spec: ModelSpec, ref: ModuleRef, block: LayerSpec, slot: str) -> ModelSpec:
    changed = replace(block, inside=(*block.inside, (slot, ref)))
    layers = tuple(changed if layer.name == block.name else layer for layer in spec.layers)
    return replace(spec, layers=layers)


def _reread(layer: LayerSpec, old: str, new: str) -> LayerSpec:
    if old not in layer.inputs:
        return layer
    return replace(layer, inputs=tuple(new if name == old else name for name in layer.inputs))


def diff(before: ModelSpec, after: ModelSpec) -> list[str]:
    """What changed, one line each: ``+`` a new layer, ``~`` a layer that reads or holds something else."""
    old = {layer.name: layer for layer in before.layers}
    lines = []
    for layer in after.layers:
        previous = old.get(layer.name)
        if previous is None:
            lines.append(f"+ {layer.name}: {layer.ref.text()} reads {', '.join(layer.inputs)}")
            continue
        if previous.inputs != layer.inputs:
            lines.append(
                f"~ {layer.name}: reads {', '.join(layer.inputs)} (was {', '.join(previous.inputs)})"
            )
        for slot, ref in layer.inside[len(previous.inside) :]:
            lines.append(f"~ {layer.name}: {ref.text()} inside {slot}")
    kept = {layer.name for layer in after.layers}
    return lines + [f"- {name}: {old[name].module}" for name in old if name not in kept]
