"""The methods by name, and the text that names one: ``hard``, ``soft:method=linear,iou=0.3``."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from yolograft.errors import SpecError
from yolograft.graph.expr import parse_scalar
from yolograft.graph.spec import Scalar
from yolograft.ops.suppression.adaptive import adaptive, adaptive_free
from yolograft.ops.suppression.cluster import cluster
from yolograft.ops.suppression.diou import diou
from yolograft.ops.suppression.hard import hard
from yolograft.ops.suppression.matrix import matrix
from yolograft.ops.suppression.overlap import ranked
from yolograft.ops.suppression.soft import soft
from yolograft.ops.suppression.weighted import weighted
from yolograft.types import Detections

# What an option may be: one of some words, or a number above the first and up to the second.
Allowed = tuple[str, ...] | tuple[float, float]
# Below the least sigma an exponential of float32 is no number any more.
_SHARE, _SIGMA = (0.0, 1.0), (1e-6, math.inf)
_IOU: Mapping[str, Allowed] = {"iou": _SHARE}
_DECAY: Mapping[str, Allowed] = {"method": ("gaussian", "linear"), "sigma": _SIGMA}
_OF_GAUSSIAN = {"sigma": ("method", "gaussian")}


@dataclass(frozen=True, slots=True)
class Method:
    """A function of this room and the options it takes; the first of some words is the default.

    only: option -> (another one, the value of that at which it is read). crowding: it reads what is
    predicted of it.
    """

    function: Callable[..., Detections]
    options: Mapping[str, Allowed] = field(default_factory=lambda: _IOU)
    only: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    crowding: bool = False


METHODS: Mapping[str, Method] = {
    "hard": Method(hard),
    "soft": Method(soft, {**_IOU, **_DECAY}, {**_OF_GAUSSIAN, "iou": ("method", "linear")}),
    "diou": Method(diou),
    "weighted": Method(weighted, {**_IOU, "by": ("score", "score_iou")}),
    "adaptive": Method(adaptive, crowding=True),
    "adaptive_free": Method(adaptive_free, {**_IOU, "same": _SHARE, "share": _SHARE}),
    "cluster": Method(
        cluster, {**_IOU, "penalty": ("none", "score"), "sigma": _SIGMA}, {"sigma": ("penalty", "score")}
    ),
    "matrix": Method(matrix, _DECAY, _OF_GAUSSIAN),
}


@dataclass(frozen=True, slots=True)
class Suppression:
    """A method and its options, checked when made.

    Raises:
        SpecError: no method of that name (YG371), or an option that it does not take or read (YG372).
    """

    name: str = "hard"
    options: tuple[tuple[str, Scalar], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in METHODS:
            names = ", ".join(METHODS)
            raise SpecError("YG371", f"no suppression '{self.name}'", where="--nms", fix=f"one of {names}")
        given = [key for key, _ in self.options]
        for key, value in self.options:
            _check(self.name, key, value, twice=given.count(key) > 1)
        _check_read(self.name, dict(self.options))

    def text(self) -> str:
        """The method as a user types it."""
        options = ",".join(f"{key}={value}" for key, value in self.options)
        return f"{self.name}:{options}" if options else self.name

    def __call__(
        self,
        boxes: Tensor,
        scores: Tensor,
        labels: Tensor,
        *,
        iou: float,
        density: Tensor | None = None,
        limit: int | None = None,
    ) -> Detections:
        """Apply it to one image; an ``iou`` among the options goes before the one given."""
        method = METHODS[self.name]
        found, order = ranked(boxes, scores, labels)
        options: dict[str, Any] = {"iou": iou} if "iou" in method.options else {}
        if method.crowding:
            options["density"] = None if density is None else density[order]
        return method.function(found, limit=limit, **options | dict(self.options))


def read_suppressions(text: str) -> tuple[Suppression, ...]:
    """``hard,soft:method=linear,iou=0.3,diou`` as methods, in order.

    A piece ``key=value`` belongs to the method before it.

    Raises:
        SpecError: YG371 and YG372, as `Suppression`; YG372 also where a method is named twice.
    """
    found: list[tuple[str, list[tuple[str, Scalar]]]] = []
    for piece in (piece.strip() for piece in text.split(",")):
        head, equals, _ = piece.partition("=")
        name, colon, first = piece.partition(":")
        goes_on = bool(found) and bool(equals) and ":" not in head
        if not goes_on:
            found.append((name.strip(), []))
        if goes_on or colon:
            found[-1][1].append(_option(piece if goes_on else first))
    made = tuple(Suppression(name, tuple(options)) for name, options in found)
    for method in made:
        if made.count(method) > 1:
            raise SpecError("YG372", f"{method.text()} is named twice", where="--nms")
    return made


def read_suppression(text: str) -> Suppression:
    """One method.

    Raises:
        SpecError: as `read_suppressions`; YG372 where the text names several.
    """
    first, *more = read_suppressions(text)
    if more:
        raise SpecError("YG372", f"'{text}' names {1 + len(more)} methods, not one", where="--nms")
    return first


def _option(text: str) -> tuple[str, Scalar]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (equals and key and value):
        raise SpecError("YG372", f"'{text}' is not option=value", where="--nms", fix="e.g. soft:sigma=0.3")
    return key, parse_scalar(value)


def _check(name: str, key: str, value: Scalar, *, twice: bool) -> None:
    known = METHODS[name].options
    if key not in known:
        raise SpecError(
            "YG372", f"{name} has no option '{key}'", where="--nms", fix=f"it takes {', '.join(known)}"
        )
    if twice:
        raise SpecError("YG372", f"option '{key}' is given twice", where="--nms")
    first, last = known[key][0], known[key][-1]
    if isinstance(first, str):
        right, wanted = value in known[key], " or ".join(map(str, known[key]))
    else:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        right = number and first < value <= last  # type: ignore[operator]
        wanted = f"a number above {first:g}" + (f" and up to {last:g}" if last != math.inf else "")
    if not right:
        raise SpecError("YG372", f"{name}: {key}={value}", where="--nms", fix=f"{key} is {wanted}")


def _check_read(name: str, given: Mapping[str, Scalar]) -> None:
    """Refuse an option that has no effect beside the others."""
    method = METHODS[name]
    for key, (other, wanted) in method.only.items():
        value = given.get(other, method.options[other][0])
        if key in given and value != wanted:
            cause = f"{name} does not read {key} where {other} is {value}"
            raise SpecError("YG372", cause, where="--nms", fix=f"add {other}={wanted}, or leave {key} out")
    if name != "adaptive_free" or "same" not in given:
        return
    least = given.get("iou", inspect.signature(method.function).parameters["iou"].default)
    if given["same"] <= least:  # type: ignore[operator]
        cause = f"adaptive_free acts between iou and same: {least} and {given['same']} leave nothing"
        raise SpecError("YG372", cause, where="--nms", fix=f"a same above {least}, or a lower iou")
