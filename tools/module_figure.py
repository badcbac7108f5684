"""Draws the data flow of a module from its page: steps on a grid, arrows with right angles.

A step is a box (learned ones tinted), an input or output a pill, an operation element by element a circle.
What leaves a step is written under it. An arrow into a circle comes from above or below when its source
stands in another row; into a box, it changes rows after its source, or before its target where several
arrows meet.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from yolograft.models.pages import Figure, Node
from yolograft.study.report.svg import coordinate, dot, figure, line, rect, tag, text, text_width

Point = tuple[float, float]

INK, MUTED, RULE, TINT, EDGE = "#1b1e23", "#5b626c", "#8a929c", "#e3eef7", "#0072B2"
OP_SIZE, SHAPE_SIZE = 13.0, 11.0
BOX_HEIGHT, LINE_HEIGHT, RADIUS, GAP, ROW, MARGIN = 34.0, 17.0, 13.0, 38.0, 86.0, 26.0
LEGEND = 40.0


@dataclass(frozen=True, slots=True)
class Box:
    """A drawn step: centre and half sizes, in pixels."""

    x: float
    y: float
    half_width: float
    half_height: float

    def holds(self, x: float, y: float, *, slack: float = 1.0) -> bool:
        """Whether a point lies inside, ``slack`` pixels of the border left out."""
        return abs(x - self.x) < self.half_width - slack and abs(y - self.y) < self.half_height - slack


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything goes. paths: (source, target) -> corner points, arrow head last."""

    boxes: dict[str, Box]
    paths: dict[tuple[str, str], tuple[Point, ...]]
    width: float
    height: float


def lines_of(node: Node) -> list[str]:
    """The lines of a step's text; ``//`` parts them."""
    return [part.strip() for part in node.op.split("//")]


def half_size(node: Node) -> tuple[float, float]:
    """Half width and half height of a step."""
    if node.kind == "join":
        return RADIUS, RADIUS
    widest = max(text_width(part, OP_SIZE) for part in lines_of(node))
    extra = LINE_HEIGHT * (len(lines_of(node)) - 1)
    return max(widest + 20, 40.0) / 2, (BOX_HEIGHT + extra) / 2


def lay_out(drawing: Figure) -> Layout:
    """Places steps and arrows; a column is as wide as its widest step or shape."""
    columns = 1 + max(node.at[0] for node in drawing.nodes.values())
    rows = 1 + max(node.at[1] for node in drawing.nodes.values())
    widths = [0.0] * columns
    for node in drawing.nodes.values():
        shape = text_width(node.out, SHAPE_SIZE) * 0.9
        widths[node.at[0]] = max(widths[node.at[0]], 2 * half_size(node)[0], shape)
    lefts = [MARGIN + sum(widths[:i]) + GAP * i for i in range(columns)]
    boxes: dict[str, Box] = {}
    for name, node in drawing.nodes.items():
        column, row = node.at
        centre = lefts[column] + widths[column] / 2, MARGIN + BOX_HEIGHT / 2 + ROW * row
        boxes[name] = Box(*centre, *half_size(node))
    gaps = [left - GAP / 2 for left in lefts] + [lefts[-1] + widths[-1] + GAP / 2]
    paths = {edge: _path(drawing, boxes, gaps, *edge) for edge in drawing.edges()}
    width = lefts[-1] + widths[-1] + MARGIN
    return Layout(boxes, paths, width, MARGIN * 2 + BOX_HEIGHT + ROW * (rows - 1) + 18 + LEGEND)


def _path(
    drawing: Figure, boxes: dict[str, Box], gaps: list[float], source: str, target: str
) -> tuple[Point, ...]:
    start, end = boxes[source], boxes[target]
    leave, enter = (start.x + start.half_width, start.y), (end.x - end.half_width, end.y)
    if start.y == end.y:
        return leave, enter
    if drawing.nodes[target].kind == "join":
        side = end.y - end.half_height if start.y < end.y else end.y + end.half_height
        return leave, (end.x, start.y), (end.x, side)
    meeting = sum(edge[1] == target for edge in drawing.edges()) > 1
    channel = gaps[drawing.nodes[target].at[0]] if meeting else gaps[drawing.nodes[source].at[0] + 1]
    return leave, (channel, start.y), (channel, end.y), enter


def crossed(layout: Layout) -> Iterator[str]:
    """Every arrow that runs through a step which is neither its source nor its target."""
    for edge, points in layout.paths.items():
        for (x1, y1), (x2, y2) in itertools.pairwise(points):
            steps = [i / 100 for i in range(101)]
            for name, box in layout.boxes.items():
                if name not in edge and any(box.holds(x1 + t * (x2 - x1), y1 + t * (y2 - y1)) for t in steps):
                    yield f"{edge[0]} > {edge[1]} through {name}"


def draw(drawing: Figure, label: str) -> str:
    """The figure as one SVG document on white; ``label`` is read by screen readers."""
    layout = lay_out(drawing)
    head = tag(
        "marker", tag("path", d="M0 0 L8 4 L0 8 z", fill=RULE), id="head", viewBox="0 0 8 8", refX=7.5,
        refY=4.0, markerWidth=8.0, markerHeight=8.0, orient="auto",
    )  # fmt: skip
    return (
        figure(
            layout.width,
            layout.height,
            tag("defs", head),
            rect(0, 0, layout.width, layout.height, fill="#ffffff"),
            *(_arrow(points) for points in layout.paths.values()),
            *_forks(layout),
            *(_step(node, layout.boxes[name]) for name, node in drawing.nodes.items()),
            *_legend(layout),
            label=label,
        )
        + "\n"
    )


def _arrow(points: tuple[Point, ...]) -> str:
    path = " L".join(f"{coordinate(x)} {coordinate(y)}" for x, y in points)
    return tag(
        "path", d=f"M{path}", fill="none", stroke=RULE, stroke_width=1.5, stroke_linejoin="round",
        marker_end="url(#head)",
    )  # fmt: skip


def _forks(layout: Layout) -> Iterator[str]:
    """A dot wherever arrows from one step part, so that a branch is not taken for a crossing."""
    for source in layout.boxes:
        paths = [points for edge, points in layout.paths.items() if edge[0] == source]
        corners = {points[1] for points in paths if len(points) > 2}
        farthest = max((points[1][0] for points in paths), default=0.0)
        for x, y in sorted(corners):
            alone = sum(points[1] == (x, y) for points in paths) == 1
            if x < farthest or not alone:
                yield dot(x, y, 3.0, fill=RULE)


def _step(node: Node, box: Box) -> str:
    if node.kind == "join":
        shape = tag(
            "circle", cx=box.x, cy=box.y, r=box.half_width, fill="#ffffff", stroke=INK, stroke_width=1.4
        )
    else:
        learned, pill = node.kind == "learned", node.kind == "map"
        shape = rect(
            box.x - box.half_width, box.y - box.half_height, 2 * box.half_width, 2 * box.half_height,
            rx=box.half_height if pill else 6.0, fill=TINT if learned else "#ffffff",
            stroke=EDGE if learned else INK if pill else RULE, stroke_width=1.4,
        )  # fmt: skip
    parts = lines_of(node)
    first = box.y - LINE_HEIGHT * (len(parts) - 1) / 2 + OP_SIZE * 0.35
    size = 17.0 if node.kind == "join" else OP_SIZE
    lift = 1.2 if node.kind == "join" else 0.0
    style = "italic" if node.kind == "map" else None
    words = [
        text(box.x, y, part, size=size, text_anchor="middle", fill=INK, font_style=style)
        for y, part in zip(itertools.count(first + lift, LINE_HEIGHT), parts, strict=False)
    ]
    below = text(
        box.x, box.y + box.half_height + 15, node.out, size=SHAPE_SIZE, text_anchor="middle", fill=MUTED
    )
    return tag("g", shape, *words, below if node.out else "")


def _legend(layout: Layout) -> Iterator[str]:
    y = layout.height - 20
    yield line(MARGIN, y - 20, layout.width - MARGIN, y - 20, stroke="#d9dde2")
    x = MARGIN
    for words, fill, stroke in (("learned", TINT, EDGE), ("no parameters", "#ffffff", RULE)):
        yield rect(x, y - 9, 18, 12, rx=3.0, fill=fill, stroke=stroke, stroke_width=1.2)
        yield text(x + 25, y + 1, words, size=SHAPE_SIZE, fill=MUTED)
        x += 25 + text_width(words, SHAPE_SIZE) + 22
