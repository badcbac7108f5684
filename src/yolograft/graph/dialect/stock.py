"""The stock graph of a family before any scaling: what users' files are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolograft.graph.anchors import ANCHORS
from yolograft.graph.dialect.indexfile import IMAGE_INDEX, Row, Scale
from yolograft.graph.dialect.rowargs import Width, write_arguments
from yolograft.graph.dialect.words import Words
from yolograft.graph.spec import IMAGE, Value
from yolograft.graph.zoofile import scaled_channels

STOCK_ANCHORS = 3  # of each level


@dataclass(frozen=True, slots=True)
class StockLayer:
    """One named layer. channels, repeats: unscaled, None where it has none. args: the others, as written."""

    name: str
    module: str
    inputs: tuple[str, ...]
    channels: int | None
    repeats: int | None
    args: Mapping[str, Value]

    def options(self, scale: Scale) -> dict[str, Value]:
        """All its options at one scale."""
        out = dict(self.args)
        if self.channels is not None:
            out["out_channels"] = scaled_channels(min(self.channels, scale.max_channels), scale.width)
        if self.repeats is not None:
            out["repeats"] = max(round(self.repeats * scale.depth), 1)
        return out


@dataclass(frozen=True, slots=True)
class Stock:
    """A model file of ours, unscaled. sites: (role, layer) pairs."""

    name: str
    family: str
    scales: Mapping[str, Scale]
    layers: tuple[StockLayer, ...]
    sites: tuple[tuple[str, str], ...]

    @property
    def anchor_pairs(self) -> int:
        """Width, height pairs its head predicts from, over all levels; 0 where it gives none."""
        sides = self.layers[-1].args.get(ANCHORS)
        return len(sides) // 2 if isinstance(sides, tuple) else 0


def read_stock(path: Path) -> Stock:
    """Read one of our own model files, checked by `zoofile` already."""
    from ruamel.yaml import YAML

    document: Any = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    layers: list[StockLayer] = []
    sites: list[tuple[str, str]] = []
    for row in document["layers"]:
        source = row.get("from", layers[-1].name if layers else IMAGE)
        args = {key: tuple(v) if isinstance(v, list) else v for key, v in row.get("args", {}).items()}
        layers.append(
            StockLayer(
                name=row["name"],
                module=row["module"],
                inputs=tuple(source) if isinstance(source, list) else (source,),
                channels=row.get("channels"),
                repeats=row.get("repeats"),
                args=args,
            )
        )
        roles = row.get("site", [])
        sites += [(role, row["name"]) for role in (roles if isinstance(roles, list) else [roles])]
    scales = {name: _scale(item) for name, item in document["scales"].items()}
    return Stock(path.stem, document["family"], scales, tuple(layers), tuple(sites))


def _scale(item: Mapping[str, float]) -> Scale:
    return Scale(float(item["depth"]), float(item["width"]), float(item.get("max_channels", "inf")))


UNSCALED = Scale(1.0, 1.0)


def index_rows(stock: Stock, words: Words, *, scale: Scale = UNSCALED) -> tuple[Row, ...]:
    """The stock graph as rows of the index dialect, as its family's own file has them.

    Args:
        scale: multiples to write out; left out, the numbers are those before scaling.
    """
    place = {IMAGE: IMAGE_INDEX} | {layer.name: index for index, layer in enumerate(stock.layers)}
    rows = []
    for index, layer in enumerate(stock.layers):
        inputs = tuple(place[name] for name in layer.inputs)
        word = words[layer.module]
        sources = inputs if word.kind == "head" else tuple(-1 if i == index - 1 else i for i in inputs)
        options = layer.options(scale)
        repeats = int(options.pop("repeats", 1))  # type: ignore[arg-type]
        if word.kind == "head":
            args: list[Any] = ["nc"]
        else:
            given = {key: value for key, value in options.items() if value != word.defaults().get(key)}
            args = write_arguments(word, given, Width(None, None)) or []
        rows.append(Row(index, sources, inputs, repeats, word.names[0], tuple(args), 0))
    return tuple(rows)
