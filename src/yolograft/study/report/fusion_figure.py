"""How the weights of weighted joins moved: a panel a join, a line an input, over the epochs."""

from __future__ import annotations

from collections.abc import Mapping

from yolograft.study.report.notation import decimal
from yolograft.study.report.reading import FUSION, Arm
from yolograft.study.report.svg import ARM_COLOURS, Scale, figure, fit, line, spread, tag, text
from yolograft.study.report.wording import Wording

WIDTH, HEIGHT, COLUMNS = 250.0, 130.0, 2
LEFT, TOP, BOTTOM, NAMES = 34.0, 30.0, 16.0, 92.0

Curve = list[tuple[float, float]]


def fusion_chart(arm: Arm, *, words: Wording) -> str:
    """The normalised weights of an arm's joins, mean over its runs; an empty string where it has none."""
    joins = _joins(arm)
    if not joins:
        return ""
    last = max(epoch for curves in joins.values() for curve in curves.values() for epoch, _ in curve)
    parts = []
    for index, (name, curves) in enumerate(joins.items()):
        row, column = divmod(index, COLUMNS)
        where = f"translate({column * WIDTH:.0f},{row * HEIGHT:.0f})"
        parts.append(tag("g", *_panel(name, curves, last), transform=where))
    rows = -(-len(joins) // COLUMNS)
    title = words("fusion_caption", label=arm.label)
    return figure(WIDTH * min(len(joins), COLUMNS), HEIGHT * rows, *parts, label=title)


def _joins(arm: Arm) -> dict[str, dict[str, Curve]]:
    """Join -> input -> (epoch, mean weight), epochs counted from 1; diverged runs are left out."""
    found: dict[tuple[str, str], dict[float, list[float]]] = {}
    for run in arm.runs:
        for step in run.history if run.status != "diverged" else ():
            for key, value in step.items():
                if key.startswith(FUSION):
                    join, _, source = key.removeprefix(FUSION).partition("/")
                    found.setdefault((join, source), {}).setdefault(step["epoch"] + 1, []).append(value)
    joins: dict[str, dict[str, Curve]] = {}
    for (join, source), epochs in found.items():
        curve = [(epoch, sum(values) / len(values)) for epoch, values in sorted(epochs.items())]
        joins.setdefault(join, {})[source] = curve
    return joins


def _panel(name: str, curves: Mapping[str, Curve], last: float) -> list[str]:
    x = Scale(1, max(last, 2), LEFT, WIDTH - NAMES)
    most = max(1.0, *(value for curve in curves.values() for _, value in curve))
    y = Scale(0, most, HEIGHT - BOTTOM, TOP)
    parts = [text(0, 14, fit(name, WIDTH - 10, 12), font_weight=600)]
    for value in (0.0, most / 2, most):
        parts.append(line(LEFT, y.at(value), x.end, y.at(value), stroke_opacity=0.15))
        parts.append(text(LEFT - 6, y.at(value) + 4, decimal(value, 1), size=10, text_anchor="end"))
    ends = spread([y.at(curve[-1][1]) for curve in curves.values()], 13, low=TOP, high=HEIGHT - BOTTOM)
    for (source, curve), colour, end in zip(curves.items(), ARM_COLOURS, ends, strict=False):
        points = " ".join(f"{x.at(epoch):.2f},{y.at(value):.2f}" for epoch, value in curve)
        parts.append(tag("polyline", points=points, fill="none", stroke=colour, stroke_width=2))
        parts.append(text(x.end + 6, end + 4, fit(source, NAMES - 10, 11), size=11, fill=colour))
    return parts
