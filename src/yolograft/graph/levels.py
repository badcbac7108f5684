"""A detector that predicts on other levels: the head reads fewer maps; what nobody reads then goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from yolograft.errors import SpecError
from yolograft.graph.anchors import anchors_on
from yolograft.graph.spec import ModelSpec

# Level -> stride: the map the head receives there is the site neck.<level>.
LEVELS = ("p2", "p3", "p4", "p5")
STOCK = ("p3", "p4", "p5")


def check_levels(levels: Sequence[str]) -> tuple[str, ...]:
    """The levels in order of stride.

    Raises:
        SpecError: a level that does not exist, none, or one twice (YG132).
    """
    wrong = [level for level in levels if level not in LEVELS]
    if wrong or not levels or len(set(levels)) != len(levels):
        cause = f"levels {','.join(levels) or 'none'}"
        raise SpecError("YG132", cause, fix=f"name each once, of {', '.join(LEVELS)}: --levels p2,p3,p4,p5")
    return tuple(level for level in LEVELS if level in levels)


def keep_levels(spec: ModelSpec, levels: Sequence[str]) -> ModelSpec:
    """The stock detector with a head on these levels only.

    Layers keep their names, so that weights and sites keep theirs.

    Raises:
        SpecError: the model has no such level (YG132).
    """
    sites = dict(spec.sites)
    wanted = [f"neck.{level}" for level in check_levels(levels)]
    missing = [site for site in wanted if sites.get(site) not in spec.head.inputs]
    if missing:
        has = ", ".join(role for role, name in spec.sites if name in spec.head.inputs)
        raise SpecError("YG132", f"{spec.name} has no level {missing[0]}", fix=f"its head reads {has}")
    inputs = tuple(sites[site] for site in wanted)
    head = replace(spec.head, inputs=inputs, args=anchors_on(spec.head, inputs))
    return without_unread(replace(spec, layers=(*spec.layers[:-1], head)))


def without_unread(spec: ModelSpec) -> ModelSpec:
    """The detector without the layers, and the sites, that its head does not need."""
    needed, layers = {spec.head.name}, []
    for layer in reversed(spec.layers):
        if layer.name in needed:
            needed.update(layer.inputs)
            layers.append(layer)
    kept = tuple((role, name) for role, name in spec.sites if name in needed)
    return replace(spec, layers=tuple(reversed(layers)), sites=kept)
