"""What a detector is, as data: named layers, their inputs and their arguments.

A spec is frozen, hashable and complete: it is stored in every checkpoint, so that loading needs no
model file and cannot drift. It names modules by catalog key; it never holds a class.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from yolograft.errors import SpecError

IMAGE = "image"
NAME = re.compile(r"[a-z0-9_]+([.+-][a-z0-9_]+)*")

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...]
Args = tuple[tuple[str, Value], ...]


def model_name(family: str, scale: str) -> str:
    """A family that ends in its number takes the scale as it is (``yolov8n``), others a dash in between."""
    return f"{family}{scale}" if family[-1:].isdigit() else f"{family}-{scale}"


def frozen_args(args: Mapping[str, Any]) -> Args:
    """Keyword arguments as a sorted, hashable tuple; lists become tuples."""
    return tuple(sorted((k, tuple(v) if isinstance(v, list | tuple) else v) for k, v in args.items()))


@dataclass(frozen=True, slots=True)
class ModuleRef:
    """A graftable module by reference.

    module: catalog key, ``timm:KEY``, ``path/to/file.py::Class`` or ``package::Class``.
    args: its keyword options.
    init: ``paper`` (the published form) or ``identity`` (x + s (f(x) - x), s = 0).
    """

    module: str
    args: Args = ()
    init: str = "paper"

    def text(self) -> str:
        """The reference as it is written in a graft expression."""
        options = [f"{k}={_text(v)}" for k, v in self.args]
        if self.init != "paper":
            options.append(f"init={self.init}")
        return self.module + (":" + ",".join(options) if options else "")


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One named layer.

    name: unique; the state-dict keys of its weights derive from it.
    module: what it is (see `ModuleRef`). inputs: names of the layers it reads; ``image`` is the input.
    args: keyword arguments. init: as in `ModuleRef`.
    inside: grafts placed inside the layer, as (slot, module): the slot ``*`` is every bottleneck of a
    block, ``p3.cls`` a branch of a decoupled head.
    """

    name: str
    module: str
    inputs: tuple[str, ...]
    args: Args = ()
    init: str = "paper"
    inside: tuple[tuple[str, ModuleRef], ...] = ()

    @property
    def ref(self) -> ModuleRef:
        """The layer's module as a reference."""
        return ModuleRef(self.module, self.args, self.init)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A whole detector.

    family: which criterion and decoder apply. scale: such as n or nano. num_classes: of the head.
    layers: in execution order; the last one is the head.
    sites: (role, layer) pairs; a role points at the layer whose output plays it, grafts included.
    """

    family: str
    scale: str
    num_classes: int
    layers: tuple[LayerSpec, ...]
    sites: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise SpecError("YG105", "not a model spec: it has no layers")
        if self.num_classes < 1:
            raise SpecError("YG107", f"{self.num_classes} classes: a detector needs at least one")
        seen: set[str] = {IMAGE}
        for layer in self.layers:
            if not NAME.fullmatch(layer.name):
                raise SpecError("YG101", f"layer name '{layer.name}' is not made of a-z 0-9 _ . + -")
            if layer.name in seen:
                raise SpecError("YG102", f"two layers are named '{layer.name}'")
            for source in layer.inputs:
                if source not in seen:
                    raise SpecError(
                        "YG103", f"layer '{layer.name}' reads '{source}', which is not an earlier layer"
                    )
            seen.add(layer.name)
        for role, target in self.sites:
            if target not in seen:
                raise SpecError("YG104", f"site '{role}' points at '{target}', which is not a layer")

    def __iter__(self) -> Iterator[LayerSpec]:
        return iter(self.layers)

    @property
    def head(self) -> LayerSpec:
        """The detection head: the last layer."""
        return self.layers[-1]

    @property
    def name(self) -> str:
        """Model name as a user types it, e.g. ``yolov8n`` or ``yolox-nano``."""
        return model_name(self.family, self.scale)

    def layer(self, name: str) -> LayerSpec:
        """The layer of that name.

        Raises:
            KeyError: no such layer.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def consumers(self, name: str) -> tuple[LayerSpec, ...]:
        """Layers that read the output of ``name``."""
        return tuple(layer for layer in self.layers if name in layer.inputs)

    def with_classes(self, num_classes: int) -> ModelSpec:
        """The same detector for another number of classes."""
        return replace(self, num_classes=num_classes)

    def to_json(self) -> dict[str, Any]:
        """A plain structure for JSON; `from_json` reads it back to an equal spec."""
        return {
            "family": self.family,
            "scale": self.scale,
            "num_classes": self.num_classes,
            "sites": dict(self.sites),
            "layers": [_layer_to_json(layer) for layer in self.layers],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ModelSpec:
        """Read a spec written by `to_json`.

        Raises:
            SpecError: a field is missing or of the wrong form (YG105).
        """
        try:
            return ModelSpec(
                family=str(data["family"]),
                scale=str(data["scale"]),
                num_classes=int(data["num_classes"]),
                layers=tuple(_layer_from_json(item) for item in data["layers"]),
                sites=tuple((str(k), str(v)) for k, v in data["sites"].items()),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SpecError("YG105", f"not a model spec: {type(error).__name__} {error}") from error

    def digest(self) -> str:
        """SHA-256 of the spec: equal digests mean equal architectures."""
        text = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def _layer_to_json(layer: LayerSpec) -> dict[str, Any]:
    out: dict[str, Any] = {"name": layer.name, "module": layer.module, "inputs": list(layer.inputs)}
    if layer.args:
        out["args"] = {k: list(v) if isinstance(v, tuple) else v for k, v in layer.args}
    if layer.init != "paper":
        out["init"] = layer.init
    if layer.inside:
        out["inside"] = [
            {"slot": slot, "module": ref.module, "args": dict(ref.args), "init": ref.init}
            for slot, ref in layer.inside
        ]
    return out


def _layer_from_json(item: Mapping[str, Any]) -> LayerSpec:
    inside = tuple(
        (str(g["slot"]), ModuleRef(str(g["module"]), frozen_args(g["args"]), str(g["init"])))
        for g in item.get("inside", ())
    )
    return LayerSpec(
        name=str(item["name"]),
        module=str(item["module"]),
        inputs=tuple(str(i) for i in item["inputs"]),
        args=frozen_args(item.get("args", {})),
        init=str(item.get("init", "paper")),
        inside=inside,
    )


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return "x".join(_text(v) for v in value)
    return str(value)
