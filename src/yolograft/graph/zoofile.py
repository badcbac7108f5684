"""Reads a model file of ours: named layers once, scaled to n ... x.

Depth scales ``repeats`` (rounded, at least 1); width scales ``channels`` after the cap of the scale,
rounded up to a multiple of 8, the rule the families publish with their scale tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolograft.errors import SpecError
from yolograft.graph.spec import LayerSpec, ModelSpec, frozen_args

CHANNEL_MULTIPLE = 8
_LAYER_KEYS = {"name", "module", "from", "site", "channels", "repeats", "args"}


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
    for row in document["layers"]:
        where = f"{path.name}:{row.lc.line + 1}"
        layer = _read_row(row, layers[-1].name if layers else "image", factors, where)
        layers.append(layer)
        sites += [(site, layer.name) for site in _as_list(row.get("site", []))]
    return ModelSpec(document["family"], scale, num_classes, tuple(layers), tuple(sites))


def _read_row(row: Mapping[str, Any], previous: str, factors: Mapping[str, Any], where: str) -> LayerSpec:
    unknown = set(row) - _LAYER_KEYS
    if unknown or "name" not in row or "module" not in row:
        raise SpecError("YG131", f"row needs name and module, has {sorted(row)}", where=where)
    args = dict(row.get("args", {}))
    if "channels" in row:
        capped = min(int(row["channels"]), int(factors["max_channels"]))
        args["out_channels"] = scaled_channels(capped, float(factors["width"]))
    if "repeats" in row:
        args["repeats"] = max(round(int(row["repeats"]) * float(factors["depth"])), 1)
    return LayerSpec(
        name=str(row["name"]),
        module=str(row["module"]),
        inputs=tuple(_as_list(row.get("from", previous))),
        args=frozen_args({str(k): _plain(v) for k, v in args.items()}),
    )


def scaled_channels(channels: int, width: float) -> int:
    """Channels times width, rounded up to a multiple of 8."""
    return math.ceil(channels * width / CHANNEL_MULTIPLE) * CHANNEL_MULTIPLE


def _as_list(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)]


def _plain(value: Any) -> Any:
    """ruamel's round-trip scalars as plain Python ones."""
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    raise SpecError("YG131", f"value {value!r} is neither a number nor text")
