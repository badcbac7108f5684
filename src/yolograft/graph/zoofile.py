"""Reads a model file of ours: named layers once, scaled to n ... x.

Depth scales ``repeats`` (rounded, at least 1); width scales ``channels`` after the cap of the scale,
rounded up to a multiple of 8, the rule the families publish with their scale tables. ``scaled`` holds further
arguments that width scales; ``of_scale`` names those whose value stands with the scale. A module a scale line
holds a value for is what that line says: ``spatial: dwconv``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolograft.errors import SpecError
from yolograft.graph.spec import IMAGE, LayerSpec, ModelSpec, frozen_args

CHANNEL_MULTIPLE = 8
_LAYER_KEYS = {"name", "module", "from", "site", "channels", "repeats", "args", "scaled", "of_scale"}


def read_model_file(path: Path, scale: str, num_classes: int) -> ModelSpec:
    """Read one scale of a model file.

    Raises:
        SpecError: unknown scale (YG130) or a malformed row, with file and line (YG131).
    """
    from ruamel.yaml import YAML

    document: Any = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    scales = document["scales"]
    if scale not in scales:
        raise SpecError("YG130", f"no scale '{scale}'", where=path.name, fix=f"scales: {', '.join(scales)}")
    factors = scales[scale]
    layers: list[LayerSpec] = []
    sites: list[tuple[str, str]] = []
    for index, row in enumerate(document["layers"]):
        where = f"{path.name}:{document['layers'].lc.item(index)[0] + 1}"
        layer = _read_row(row, layers[-1].name if layers else IMAGE, factors, where)
        _check_names(layer, layers, where)
        layers.append(layer)
        sites += [(site, layer.name) for site in _as_list(row.get("site", []))]
    return ModelSpec(document["family"], scale, num_classes, tuple(layers), tuple(sites))


def _read_row(row: Mapping[str, Any], previous: str, factors: Mapping[str, Any], where: str) -> LayerSpec:
    if not isinstance(row, Mapping) or not {"name", "module"} <= set(row):
        raise SpecError("YG131", f"a row needs name and module, this is {row!r}", where=where)
    if unknown := set(row) - _LAYER_KEYS:
        known = ", ".join(sorted(_LAYER_KEYS))
        raise SpecError("YG131", f"no key '{min(unknown)}'", where=where, fix=f"keys: {known}")
    args = row.get("args", {})
    if not isinstance(args, Mapping):
        raise SpecError("YG131", f"args: {args!r} is no mapping", where=where)
    args = {str(key): _plain(value, where) for key, value in args.items()}
    if "channels" in row:
        capped = min(_whole(row, "channels", where), factors.get("max_channels", math.inf))
        args["out_channels"] = scaled_channels(capped, float(factors["width"]))
    scaled = row.get("scaled", {})
    for key in scaled:
        args[str(key)] = scaled_channels(_whole(scaled, key, where), float(factors["width"]))
    for key in _as_list(row.get("of_scale", [])):
        if key in factors:
            args[key] = _plain(factors[key], where)
    if "repeats" in row:
        args["repeats"] = max(round(_whole(row, "repeats", where) * float(factors["depth"])), 1)
    return LayerSpec(
        name=str(row["name"]),
        module=str(factors.get(row["module"], row["module"])),
        inputs=tuple(_as_list(row.get("from", previous))),
        args=frozen_args(args),
    )


def _check_names(layer: LayerSpec, earlier: list[LayerSpec], where: str) -> None:
    names = {IMAGE, *(known.name for known in earlier)}
    if layer.name in names:
        raise SpecError("YG131", f"'{layer.name}' is taken by an earlier row", where=where)
    for name in layer.inputs:
        if name not in names:
            raise SpecError(
                "YG131", f"'{layer.name}' reads '{name}', which is not an earlier row", where=where
            )


def _whole(row: Mapping[str, Any], key: str, where: str) -> int:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError("YG131", f"{key}: {value!r} is no whole number above 0", where=where)
    return int(value)


def scaled_channels(channels: float, width: float) -> int:
    """Channels times width, rounded up to a multiple of 8."""
    return math.ceil(channels * width / CHANNEL_MULTIPLE) * CHANNEL_MULTIPLE


def _as_list(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)]


def _plain(value: Any, where: str) -> Any:
    """ruamel's round-trip scalars as plain Python ones."""
    if isinstance(value, list | tuple):
        return tuple(_plain(v, where) for v in value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    raise SpecError("YG131", f"value {value!r} is neither a number nor text", where=where)
