"""Necks side by side, levels as rows and paths as arrows; read off the specs, so that it shows what runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from yolograft.graph.necks.table import outputs_on_the_way_down
from yolograft.graph.spec import LayerSpec, ModelSpec
from yolograft.study.report.svg import ARM_COLOURS, BASELINE, dot, figure, line, tag, text, text_width

COLUMN, ROW, RADIUS, LEFT, TOP, GAP = 74.0, 64.0, 10.0, 46.0, 62.0, 44.0
NODE = re.compile(r"neck(?:\.r(\d+))?\.(td|p)(\d)")
BLUE, ORANGE, GREEN, PINK = ARM_COLOURS[:4]
LEGEND = {
    "down": (BLUE, "top-down", "自顶向下"),
    "up": (ORANGE, "bottom-up", "自底向上"),
    "lateral": (BASELINE, "lateral", "横向"),
    "skip": (GREEN, "same-level skip", "同级跳连"),
    "gate": (PINK, "spatial gate", "空间门控"),
}
COLOURS = {kind: row[0] for kind, row in LEGEND.items()}


class Node(NamedTuple):
    """A map on the grid. level: halvings of the image; weighted: behind a weighted sum."""

    level: int
    column: int
    weighted: bool = False


class Edge(NamedTuple):
    """A connection between two nodes. kind: a key of ``LEGEND``, gates apart; gated: it passes one."""

    source: str
    target: str
    kind: str
    gated: bool


def read_neck(spec: ModelSpec) -> tuple[dict[str, Node], list[Edge]]:
    """The maps that enter a neck and its blocks, and how they are connected; plumbing is folded in."""
    layers = {layer.name: layer for layer in spec.layers}
    nodes: dict[str, Node] = {}
    blocks = [(layer, found) for layer in spec.layers if (found := NODE.fullmatch(layer.name))]
    inner = [int(found[1]) for _, found in blocks if found[1]]
    one_way = bool(outputs_on_the_way_down(spec))
    edges: list[Edge] = []
    for layer, found in blocks:
        run = int(found[1]) - 1 if found[1] else max(inner, default=0)
        column = 1 + 2 * run + (found[2] == "p" and not one_way)
        sources = dict(_sources(layers, layer))
        for name in sources:
            if name not in nodes:
                nodes[name] = Node(_entry_level(spec, name), 0)
        join = layers.get(layer.inputs[0])
        nodes[layer.name] = Node(int(found[3]), column, join is not None and join.module == "bifpn_add")
        for name, gated in sources.items():
            edges.append(Edge(name, layer.name, _kind(nodes, name, layer.name), gated))
    return nodes, edges


def _sources(
    layers: Mapping[str, LayerSpec], layer: LayerSpec, gated: bool = False
) -> Iterator[tuple[str, bool]]:
    """The nodes and backbone maps a layer reads through what is no node, and whether a gate is on the way."""
    for index, name in enumerate(layer.inputs):
        behind = gated or (layer.module == "gated_concat" and index > 0)
        if NODE.fullmatch(name) or not name.startswith("neck."):
            yield name, behind
        else:
            yield from _sources(layers, layers[name], behind)


def _entry_level(spec: ModelSpec, name: str) -> int:
    stages = {layer: int(role[-1]) for role, layer in spec.sites if re.fullmatch(r"backbone\.p\d", role)}
    order = [layer.name for layer in spec.layers]
    # The pooling pyramid, where it is a layer of its own, stands at the level of the stage in front of it.
    return stages.get(name) or max(k for layer, k in stages.items() if order.index(layer) < order.index(name))


def _kind(nodes: Mapping[str, Node], source: str, target: str) -> str:
    a, b = nodes[source], nodes[target]
    if a.level != b.level:
        return "down" if a.level > b.level else "up"
    between = any(n.level == a.level and a.column < n.column < b.column for n in nodes.values())
    return "skip" if between else "lateral"


def neck_figure(necks: Mapping[str, ModelSpec], *, lang: str = "en") -> str:
    """The necks of detectors, title -> spec, side by side as SVG."""
    read = {title: read_neck(spec) for title, spec in necks.items()}
    levels = sorted({node.level for nodes, _ in read.values() for node in nodes.values()}, reverse=True)
    y = {level: TOP + ROW * row for row, level in enumerate(levels)}
    parts = [text(0, y[k] + 5, f"P{k}", size=13, font_weight=600) for k in levels]
    left = LEFT
    for title, (nodes, edges) in read.items():
        parts += _panel(title, nodes, edges, left, y)
        left += COLUMN * max(node.column for node in nodes.values()) + 2 * RADIUS + GAP
    bottom = TOP + ROW * (len(levels) - 1) + 52
    legend, width = _legend(bottom, lang)
    return figure(max(left, width), bottom + 14, *parts, *legend, label=", ".join(necks))


def _panel(
    title: str, nodes: Mapping[str, Node], edges: list[Edge], left: float, y: Mapping[int, float]
) -> list[str]:
    at = {name: (left + RADIUS + COLUMN * n.column, y[n.level]) for name, n in nodes.items()}
    parts = [text(left, 22, title, size=14, font_weight=600)]
    parts += [_arrow(at[e.source], at[e.target], e) for e in edges]
    for name, node in nodes.items():
        fill = BASELINE if node.column == 0 else "var(--paper, #FFFFFF)"
        hint = tag("title", name)
        style = {"fill": fill, "stroke": "currentColor", "stroke_width": 1.4}
        parts.append(dot(*at[name], RADIUS, hint, **style))
        if node.weighted:
            x, height = at[name]
            parts.append(text(x, height + 4, "Σ", size=11, text_anchor="middle"))
    return parts


def _arrow(start: tuple[float, float], end: tuple[float, float], edge: Edge) -> str:
    """A line between two circles with a head; a same-level skip bends over what stands between."""
    bend = ROW * 0.72 if edge.kind == "skip" else 0.0
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 - bend)
    a, b = _towards(start, middle, RADIUS), _towards(end, middle, RADIUS)
    tail = _towards(b, middle, 6)
    across = (-(b[1] - tail[1]) * 0.6, (b[0] - tail[0]) * 0.6)
    colour = COLOURS[edge.kind]
    curve = f"M{a[0]:.2f},{a[1]:.2f}Q{middle[0]:.2f},{middle[1]:.2f} {tail[0]:.2f},{tail[1]:.2f}"
    head = f"M{b[0]:.2f},{b[1]:.2f}L{tail[0] + across[0]:.2f},{tail[1] + across[1]:.2f}"
    head += f"L{tail[0] - across[0]:.2f},{tail[1] - across[1]:.2f}Z"
    parts = [
        tag("path", d=curve, fill="none", stroke=colour, stroke_width=1.6),
        tag("path", d=head, fill=colour),
    ]
    if edge.gated:
        x, y = _towards(b, middle, 15)
        parts.append(tag("path", d=f"M{x - 5:.2f},{y:.2f}l5,-5l5,5l-5,5Z", fill=PINK))
    return tag("g", *parts)


def _towards(start: tuple[float, float], goal: tuple[float, float], by: float) -> tuple[float, float]:
    dx, dy = goal[0] - start[0], goal[1] - start[1]
    length = max(math.hypot(dx, dy), 1e-6)
    return start[0] + dx / length * by, start[1] + dy / length * by


def _legend(y: float, lang: str) -> tuple[list[str], float]:
    parts, x = [], 0.0
    for colour, *words in LEGEND.values():
        word = words[lang == "zh"]
        parts.append(line(x, y - 4, x + 20, y - 4, stroke=colour, stroke_width=3))
        parts.append(text(x + 26, y, word, size=12))
        x += 26 + text_width(word, 12) + 22
    return parts, x
