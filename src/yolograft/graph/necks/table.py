"""The necks by name, and a spec with its neck exchanged."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from yolograft.errors import SpecError
from yolograft.graph.anchors import ANCHORS
from yolograft.graph.levels import without_unread
from yolograft.graph.necks.bifpn import bifpn
from yolograft.graph.necks.dualpath import dualpath
from yolograft.graph.necks.fpn import fpn
from yolograft.graph.necks.frame import read_frame
from yolograft.graph.necks.pan import pan
from yolograft.graph.sites import FUSIONS, OUTPUT, backbone_layers, head_levels
from yolograft.graph.spec import Args, LayerSpec, ModelSpec, ModuleRef, Value, frozen_args

NO_IDENTITY = "another neck, join or level has no identity form: it changes the net's outputs from the start"
LOWEST, HIGHEST, MOST_REPEATS = 2, 6, 8
LEVELS = "levels"
_LEVEL = re.compile(rf"p([{LOWEST}-{HIGHEST}])")
_ROLE = re.compile(r"neck\.(lat|td|p)\d")


@dataclass(frozen=True, slots=True)
class Neck:
    """One neck. options: what it takes besides ``levels``. paper: where it was published."""

    name: str
    build: Callable[..., tuple[list[LayerSpec], dict[int, str]]]
    options: tuple[str, ...]
    paper: str
    summary: str


NECKS = (
    Neck(
        "pan",
        pan,
        (),
        "Liu et al. 2018, Path Aggregation Network for Instance Segmentation, arXiv 1803.01534",
        "down and up again: the neck the families have",
    ),
    Neck(
        "fpn",
        fpn,
        (),
        "Lin et al. 2017, Feature Pyramid Networks for Object Detection, arXiv 1612.03144",
        "down only",
    ),
    Neck(
        "bifpn",
        bifpn,
        ("repeats", "fusion"),
        "Tan et al. 2020, EfficientDet: Scalable and Efficient Object Detection, arXiv 1911.09070",
        "down and up, weighted sums, an edge past the middle",
    ),
    Neck(
        "dualpath",
        dualpath,
        ("kernel", "gate"),
        "",
        "down and up, a spatial gate at every lateral join",
    ),
)


def find_neck(name: str) -> Neck:
    """The neck of a name.

    Raises:
        SpecError: no such neck; the nearest name is offered (YG180).
    """
    known = {neck.name: neck for neck in NECKS}
    if name.lower() in known:
        return known[name.lower()]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise SpecError("YG180", f"no neck '{name}'", fix=f"{hint}necks: {', '.join(known)}")


def with_neck(spec: ModelSpec, ref: ModuleRef) -> ModelSpec:
    """The detector with another neck between its backbone and its head.

    Layers that play the part they played keep their names, and so their weights and sites. The option
    ``levels`` (``p2-p5``, or one by one ``p3-p4-p6``) says where the head predicts; left out, where it did.
    A level above the backbone's last, P6, begins with one more convolution of stride 2.

    Raises:
        SpecError: no such neck, or an option that is none (YG180); the spec lacks a role that a neck is built
            on (YG181); a graft in the old neck would be lost (YG182).
    """
    neck = find_neck(ref.module)
    options: dict[str, Any] = dict(ref.args)
    had = _head_levels(spec)
    levels = _read_levels(options.pop(LEVELS)) if LEVELS in options else tuple(sorted(had))
    _check_options(neck, options)
    backbone = backbone_layers(spec)
    _refuse_lost_grafts(spec, backbone)
    frame, beyond = read_frame(spec, levels if LEVELS in dict(ref.args) else _built(spec, levels))
    rows, outputs = neck.build(frame, **options)
    inputs = tuple(outputs[level] for level in levels)
    head = replace(spec.head, inputs=inputs, args=_head_args(spec.head, had, levels))
    kept = tuple(layer for layer in spec.layers if layer.name in backbone)
    names = {layer.name for layer in kept}
    sites = [(role, name) for role, name in spec.sites if name in names]
    sites += [(layer.name.removesuffix(".down"), layer.name) for layer in beyond]
    sites += [(row.name, row.name) for row in rows if _ROLE.fullmatch(row.name)]
    sites += [(f"neck.p{k}", name) for k, name in outputs.items() if name != f"neck.p{k}"]
    return without_unread(replace(spec, layers=(*kept, *beyond, *rows, head), sites=tuple(sites)))


def other_neck(spec: ModelSpec, source: ModelSpec) -> bool:
    """Whether a detector is another one with its neck, or a join of it, exchanged or joined by another rule.

    Of the weights of the neck only what kept its shape carries over then. A neck that only has the joins of
    ``source``, or predicts on other levels, is none.
    """
    same = _outputs(spec) == _outputs(source)
    return same and _parts(source) <= _parts(spec) and bool(_marks(spec) - _marks(source))


def no_identity(spec: ModelSpec, source: ModelSpec) -> bool:
    """Whether a detector cannot start as another: it has other levels, joins or paths."""
    return _outputs(spec) != _outputs(source) or _marks(spec) != _marks(source)


def _marks(spec: ModelSpec) -> set[tuple[str, str, Args]]:
    """What tells a neck from PAN: joins that weigh or gate, how they do, and outputs of the path down."""
    fusions = [layer for layer in spec.layers if layer.module in FUSIONS]
    joins = {(layer.name, layer.module, _rule(layer)) for layer in fusions}
    return joins | {(role, "", ()) for role in outputs_on_the_way_down(spec)}


def _rule(join: LayerSpec) -> Args:
    """How a join weighs or gates, defaults spelled out; its width does not belong to it."""
    return frozen_args({key: dict(join.args).get(key, usual) for key, usual in FUSIONS[join.module].items()})


def outputs_on_the_way_down(spec: ModelSpec) -> list[str]:
    """The sites ``neck.pN`` that a block of the path down plays: there is no path up."""
    roles = dict(spec.sites)
    return [
        role for role in roles if OUTPUT.fullmatch(role) and roles[role] == roles.get(f"neck.td{role[-1]}")
    ]


def _outputs(spec: ModelSpec) -> set[str]:
    return set(head_levels(spec))


def _parts(spec: ModelSpec) -> set[tuple[str, str, Args]]:
    backbone = backbone_layers(spec)
    return {(layer.name, layer.module, layer.args) for layer in spec.layers if layer.name in backbone}


def _head_levels(spec: ModelSpec) -> dict[int, str]:
    """Level -> the layer the head reads there."""
    roles = dict(zip(spec.head.inputs, head_levels(spec), strict=True))
    for name, role in roles.items():
        if not role:
            raise SpecError("YG181", f"the head of {spec.name} reads '{name}', which plays no role neck.pN")
    return {int(role[-1]): name for name, role in roles.items()}


def _built(spec: ModelSpec, levels: tuple[int, ...]) -> tuple[int, ...]:
    """The levels of the old neck: one that the head does not read may be on the way to one that it does."""
    return (*levels, *(int(role[-1]) for role, _ in spec.sites if OUTPUT.fullmatch(role)))


def _read_levels(text: object) -> tuple[int, ...]:
    found = [_LEVEL.fullmatch(part) for part in str(text).split("-")]
    levels = [int(each[1]) for each in found if each]
    rising = all(low < high for low, high in itertools.pairwise(levels))
    if len(levels) != len(found) or len(levels) < 2 or not rising:
        cause = f"levels={text}: not levels of p{LOWEST} to p{HIGHEST} in order"
        raise SpecError("YG180", cause, fix="levels=p3-p6, or one by one: levels=p3-p4-p6")
    return tuple(range(levels[0], levels[1] + 1)) if len(levels) == 2 else tuple(levels)


def _check_options(neck: Neck, options: Mapping[str, Value]) -> None:
    for name in options:
        if name not in neck.options:
            fix = f"options: {', '.join((*neck.options, LEVELS))}"
            raise SpecError("YG180", f"neck:{neck.name} has no option '{name}'", fix=fix)
    repeats = options.get("repeats", 1)
    if type(repeats) is not int or not 1 <= repeats <= MOST_REPEATS:
        raise SpecError("YG180", f"repeats={repeats}: not a whole number of 1 to {MOST_REPEATS}")


def _refuse_lost_grafts(spec: ModelSpec, backbone: frozenset[str]) -> None:
    for layer in spec.layers[:-1]:
        if layer.name not in backbone and ("+" in layer.name or layer.inside):
            cause = f"the graft at '{layer.name}' stands in the neck, which another would take the place of"
            raise SpecError("YG182", cause, fix='place it after: "neck:bifpn+MODULE@SITE"')


def _head_args(head: LayerSpec, had: Mapping[int, str], levels: tuple[int, ...]) -> Args:
    """The head's arguments: a level it did not have gets its neighbour's anchors, halved or doubled."""
    anchors = dict(head.args).get(ANCHORS)
    if not isinstance(anchors, tuple) or tuple(had) == levels:
        return head.args
    each = len(anchors) // len(had)
    sides = {k: anchors[i * each : (i + 1) * each] for i, k in enumerate(had)}
    low, high = min(had), max(had)
    for level in levels:
        if level not in sides:
            near = low if level < low else high
            sides[level] = tuple(float(side) * 2.0 ** (level - near) for side in sides[near])
    return frozen_args({**dict(head.args), ANCHORS: tuple(s for level in levels for s in sides[level])})
