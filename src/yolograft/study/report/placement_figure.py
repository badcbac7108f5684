"""Draws the grid of `placement` as an architecture figure; grafted layers carry the arm's colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from yolograft.study.report.placement import GROUPS, Cell, Layout, lay_out
from yolograft.study.report.reading import Layer
from yolograft.study.report.svg import BOLD, esc, figure, fit, on_colour, rect, tag, text
from yolograft.study.report.wording import Wording

BOX_WIDTH, BOX_HEIGHT, GRAFT_HEIGHT = 122.0, 42.0, 24.0
GAP_X, GAP_Y = 50.0, 34.0
LEFT, TOP = 74.0, 56.0
MUTED = 0.68

Point = tuple[float, float]


class _Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2


class _Canvas(NamedTuple):
    layout: Layout
    axes: tuple[float, ...]  # y of every row's axis, on which all its cells are centred
    bottom: float
    boxes: tuple[_Box, ...]


def placement_figure(layers: Sequence[Layer], *, colour: str, words: Wording) -> str:
    """The network of one arm with its grafts in `colour`; an empty string when no layers are known."""
    layout = lay_out(layers)
    if not layout.cells:
        return ""
    canvas = _canvas(layout)
    width = max(box.x + box.width for box in canvas.boxes) + 14
    parts = [*_bands(canvas, words), *_row_labels(canvas, words)]
    parts += [_edge(canvas, source, target) for source, target in layout.edges]
    parts += [_input_arrow(canvas, i, words) for i in _entries(layout)]
    parts += [_cell(cell, box, colour) for cell, box in zip(layout.cells, canvas.boxes, strict=True)]
    return figure(width, canvas.bottom, *parts, label=words("placement"))


def _entries(layout: Layout) -> list[int]:
    fed = {target for _, target in layout.edges}
    return [i for i in range(len(layout.cells)) if i not in fed]


def _height(cell: Cell) -> float:
    return BOX_HEIGHT + GRAFT_HEIGHT * len(cell.grafts)


def _canvas(layout: Layout) -> _Canvas:
    axes, y = [], TOP
    for row in range(len(layout.strides)):
        tall = max((_height(c) for c in layout.cells if c.row == c.last == row), default=BOX_HEIGHT)
        axes.append(y + tall / 2)
        y += tall + GAP_Y
    boxes = []
    for cell in layout.cells:
        x = LEFT + 12 + cell.column * (BOX_WIDTH + GAP_X)
        top, bottom = axes[cell.row] - _height(cell) / 2, axes[cell.last] + _height(cell) / 2
        width = BOX_WIDTH * 0.72 if cell.row != cell.last else BOX_WIDTH
        boxes.append(_Box(x, top, width, bottom - top))
    return _Canvas(layout, tuple(axes), y - GAP_Y + 16, tuple(boxes))


def _bands(canvas: _Canvas, words: Wording) -> list[str]:
    parts = []
    for number, name in enumerate(GROUPS):
        boxes = [b for b, c in zip(canvas.boxes, canvas.layout.cells, strict=True) if c.group == number]
        if not boxes:
            continue
        left, right = min(b.x for b in boxes) - 14, max(b.x + b.width for b in boxes) + 14
        parts.append(rect(left, 24, right - left, canvas.bottom - 24, rx=8, fill_opacity=0.045))
        parts.append(text(left + 2, 15, words(name), size=13, font_weight=600))
    return parts


def _row_labels(canvas: _Canvas, words: Wording) -> list[str]:
    parts = []
    for stride, y in zip(canvas.layout.strides, canvas.axes, strict=True):
        level = f"P{stride.bit_length() - 1}" if stride & (stride - 1) == 0 else ""
        parts.append(text(0, y - 2, level, size=13, font_weight=600))
        parts.append(text(0, y + 13, words("stride", stride=stride), size=11, fill_opacity=MUTED))
    return parts


def _cell(cell: Cell, box: _Box, colour: str) -> str:
    layer = cell.layer
    about = f"{layer.out_channels}" if layer.out_channels else ""
    hint = tag("title", _described(layer))
    ink, fill = (on_colour(colour), colour) if layer.new else ("currentColor", "var(--paper, #FFFFFF)")
    top, bottom = (_module_name(layer), layer.name) if layer.new else (layer.name, _module_name(layer))
    second = " · ".join(part for part in (bottom, about) if part)
    middle, host = box.x + box.width / 2, box.height - GRAFT_HEIGHT * len(cell.grafts)
    outline = {"rx": 6, "fill": fill, "stroke": "currentColor", "stroke_opacity": 0.55}
    parts = [hint, rect(box.x, box.y, box.width, box.height, **outline)]
    for i, graft in enumerate(cell.grafts):
        parts.append(_graft(graft, box, box.y + host + GRAFT_HEIGHT * i, colour, i + 1 == len(cell.grafts)))
    y = box.y + host / 2
    shown = fit(top, (box.width - 8) / BOLD, 12.5)
    parts.append(text(middle, y - 2, shown, size=12.5, font_weight=600, text_anchor="middle", fill=ink))
    shown = fit(second, box.width - 8, 11)
    opacity = 0.9 if layer.new else MUTED
    parts.append(text(middle, y + 14, shown, size=11, text_anchor="middle", fill=ink, fill_opacity=opacity))
    return tag("g", *parts)


def _graft(layer: Layer, box: _Box, y: float, colour: str, last: bool) -> str:
    right, base, r = box.x + box.width, y + GRAFT_HEIGHT, 6 if last else 0
    path = f"M{box.x:.2f},{y:.2f}H{right:.2f}V{base - r:.2f}q0,{r} -{r},{r}H{box.x + r:.2f}q-{r},0 -{r},-{r}Z"
    shape = tag("path", d=path, fill=colour, stroke="currentColor", stroke_opacity=0.55)
    shown = fit(f"+ {_module_name(layer)}", (box.width - 8) / BOLD, 12)
    label = text(
        box.x + box.width / 2,
        y + 16,
        shown,
        size=12.0,
        font_weight=600,
        text_anchor="middle",
        fill=on_colour(colour),
    )
    return tag("g", tag("title", _described(layer)), shape, label)


def _module_name(layer: Layer) -> str:
    """The bare name: options stand in the tooltip and in the expression above the figure."""
    return layer.module.rsplit("::", 1)[-1].removeprefix("timm:").partition(":")[0]


def _described(layer: Layer) -> str:
    params = "" if layer.params is None else f", {layer.params:,} parameters"
    return esc(f"{layer.name}: {layer.module}, {layer.out_channels or '?'} channels{params}")


def _input_arrow(canvas: _Canvas, index: int, words: Wording) -> str:
    box = canvas.boxes[index]
    x = box.middle[0]
    label = text(x + 8, box.y - 9, words("image"), size=11, fill_opacity=MUTED)
    return _arrow([(x, box.y - 22), (x, box.y)]) + label


def _free(layout: Layout, row: int, columns: range) -> bool:
    return all(layout.at(row, column) is None for column in columns)


def _edge(canvas: _Canvas, source: int, target: int) -> str:
    layout = canvas.layout
    u, v = layout.cells[source], layout.cells[target]
    a, b = canvas.boxes[source], canvas.boxes[target]
    row = u.row
    if v.row <= row <= v.last and v.column > u.column:
        y = canvas.axes[row]
        if _free(layout, row, range(u.column + 1, v.column)):
            return _arrow([(a.x + a.width, y), (b.x, y)])
        return _arrow(_over(a, b, v))
    up = v.last < row
    near = b.y + b.height if up else b.y
    between = range(v.last + 1, row) if up else range(row + 1, v.row)
    if u.column == v.column:
        if all(layout.at(r, u.column) is None for r in between):
            return _arrow([(a.middle[0], a.y if up else a.y + a.height), (a.middle[0], near)])
        return _arrow(_beside(a, b))
    y = canvas.axes[row]
    if _free(layout, row, range(u.column + 1, v.column + 1)) and all(
        layout.at(r, v.column) is None for r in between
    ):
        return _arrow([(a.x + a.width, y), (b.middle[0], y), (b.middle[0], near)])
    goal = canvas.axes[v.last if up else v.row]
    rows = range(v.last, row) if up else range(row + 1, v.row + 1)
    if all(layout.at(r, u.column) is None for r in rows) and _free(
        layout, v.last if up else v.row, range(u.column + 1, v.column)
    ):
        x = a.middle[0]
        return _arrow([(x, a.y if up else a.y + a.height), (x, goal), (b.x, goal)])
    gutter = b.x - GAP_X * 0.55
    if _free(layout, row, range(u.column + 1, v.column)):
        return _arrow([(a.x + a.width, y), (gutter, y), (gutter, goal), (b.x, goal)])
    lane = a.y - 12
    start = a.x + a.width * 0.72
    return _arrow([(start, a.y), (start, lane), (gutter, lane), (gutter, goal), (b.x, goal)])


def _over(a: _Box, b: _Box, target: Cell) -> list[Point]:
    lane, start = min(a.y, b.y if target.row == target.last else a.y) - 14, a.x + a.width * 0.72
    if target.row != target.last:
        return [(start, a.y), (start, lane), (b.x, lane)]
    end = b.x + b.width * 0.28
    return [(start, a.y), (start, lane), (end, lane), (end, b.y)]


def _beside(a: _Box, b: _Box) -> list[Point]:
    lane = a.x + a.width + 16
    start, end = a.middle[1], b.middle[1]
    return [(a.x + a.width, start), (lane, start), (lane, end), (b.x + b.width, end)]


def _arrow(points: list[Point]) -> str:
    """A line with rounded corners through `points`, ending in a small filled head."""
    (x0, y0), (x1, y1) = points[-2], points[-1]
    length = max(abs(x1 - x0) + abs(y1 - y0), 1e-6)
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    tail = (x1 - 6 * dx, y1 - 6 * dy)
    path = [f"M{points[0][0]:.2f},{points[0][1]:.2f}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        path.append(_corner(before, corner, after))
    path.append(f"L{tail[0]:.2f},{tail[1]:.2f}")
    head = f"M{x1:.2f},{y1:.2f}L{tail[0] - 4 * dy:.2f},{tail[1] + 4 * dx:.2f}"
    head += f"L{tail[0] + 4 * dy:.2f},{tail[1] - 4 * dx:.2f}Z"
    stroke = tag("path", d="".join(path), fill="none", stroke="currentColor", stroke_width=1.1)
    return tag("g", stroke, tag("path", d=head))


def _corner(before: Point, corner: Point, after: Point) -> str:
    def towards(other: Point) -> Point:
        dx, dy = other[0] - corner[0], other[1] - corner[1]
        length = max((dx * dx + dy * dy) ** 0.5, 1e-6)
        step = min(7.0, length / 2)
        return corner[0] + dx / length * step, corner[1] + dy / length * step

    enter, leave = towards(before), towards(after)
    curve = f"Q{corner[0]:.2f},{corner[1]:.2f} {leave[0]:.2f},{leave[1]:.2f}"
    return f"L{enter[0]:.2f},{enter[1]:.2f}{curve}"
