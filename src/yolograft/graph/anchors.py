"""Anchors as data: the head of an anchor-based detector carries its own in the spec.

They are (width, height) pairs in input pixels, flat, level by level, as many on each level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from yolograft.errors import SpecError
from yolograft.graph.sites import head_levels
from yolograft.graph.spec import Args, LayerSpec, ModelSpec, Scalar, frozen_args

ANCHORS = "anchors"


def anchors_of(spec: ModelSpec) -> tuple[float, ...]:
    """The anchors of a detector.

    Raises:
        SpecError: it predicts without anchors (YG133).
    """
    anchors = dict(spec.head.args).get(ANCHORS)
    if not isinstance(anchors, tuple):
        raise SpecError("YG133", f"{spec.name} predicts without anchors", fix="leave out --anchors")
    return tuple(float(side) for side in anchors)


def with_anchors(spec: ModelSpec, anchors: Sequence[float]) -> ModelSpec:
    """The same detector with other anchors, as many as it had; itself where they are the same.

    Raises:
        SpecError: it predicts without anchors, or with another number of them (YG133).
    """
    had = anchors_of(spec)
    if len(anchors) != len(had):
        cause = f"{len(anchors)} numbers are no anchors of {spec.name}: it takes {len(had)}"
        raise SpecError("YG133", cause, fix="width, height pairs, as many on each level")
    # 10 and 10.0 are one anchor, but two digests.
    if tuple(anchors) == had:
        return spec
    return replace(spec, layers=(*spec.layers[:-1], replace(spec.head, args=_exchanged(spec.head, anchors))))


def with_anchors_of(spec: ModelSpec, source: ModelSpec) -> ModelSpec:
    """The detector with the anchors that another one has on the same levels.

    Itself where one of them predicts without anchors, or where the other lacks a level or a pair.
    """
    if not all(isinstance(dict(each.head.args).get(ANCHORS), tuple) for each in (spec, source)):
        return spec
    anchors, wanted, known = anchors_of(source), head_levels(spec), head_levels(source)
    if all(wanted) and all(known):
        if not set(wanted) <= set(known):
            return spec
        each = len(anchors) // len(known)
        starts = [known.index(level) * each for level in wanted]
        anchors = tuple(side for start in starts for side in anchors[start : start + each])
    return with_anchors(spec, anchors) if len(anchors) == len(anchors_of(spec)) else spec


def anchors_on(head: LayerSpec, inputs: Sequence[str]) -> Args:
    """The arguments of a head that reads only these of its maps: the anchors of the others go."""
    anchors = dict(head.args).get(ANCHORS)
    if not isinstance(anchors, tuple):
        return head.args
    each = len(anchors) // len(head.inputs)
    starts = [head.inputs.index(name) * each for name in inputs]
    return _exchanged(head, [side for start in starts for side in anchors[start : start + each]])


def _exchanged(head: LayerSpec, anchors: Sequence[Scalar]) -> Args:
    return frozen_args({**dict(head.args), ANCHORS: tuple(anchors)})
