"""Learning curves: one thin line a run, one bold line an arm, labels at the line's end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from yolograft.study.report.charts import FAINT, MUTED
from yolograft.study.report.notation import decimal
from yolograft.study.report.reading import Arm, Run
from yolograft.study.report.svg import (
    BOLD,
    Scale,
    figure,
    fit,
    line,
    spread,
    tag,
    text,
    text_width,
    tick_places,
)
from yolograft.study.report.wording import Wording

WIDTH, HEIGHT = 520.0, 320.0
LEFT, TOP, BOTTOM = 46.0, 34.0, 46.0
LEAST_AP = 1.0  # points the axis of AP spans at least


class _Frame(NamedTuple):
    x: Scale
    y: Scale


def curve_chart(arms: Sequence[Arm], metric: str, *, words: Wording) -> str:
    """`metric` (``loss`` or ``ap``) over epochs, counted from 1; empty unless two epochs have values.

    Losses that span more than a factor of eight are drawn on a logarithmic scale, and the axis says so.
    """
    steps = [step for arm in arms for run in arm.runs for step in run.history]
    values = [step[metric] for step in steps if metric in step]
    if len({step["epoch"] for step in steps if metric in step}) < 2:
        return ""
    epochs = [step["epoch"] + 1 for step in steps]
    log = metric == "loss" and min(values) > 0 and max(values) / min(values) > 8
    right = WIDTH - min(max(text_width(arm.label, 12) for arm in arms) * BOLD + 14, 150.0)
    x = Scale(min(epochs), max(max(epochs), min(epochs) + 1), LEFT, right)
    y = Scale(*_bounds(values, log, LEAST_AP if metric == "ap" else 0.0), HEIGHT - BOTTOM, TOP, log=log)
    frame = _Frame(x, y)
    title = words("ap_epoch_axis" if metric == "ap" else "loss_log_axis" if log else "loss_axis")
    parts = [_axes(frame, title, words)]
    ends = []
    for arm in arms:
        parts += [_run_line(arm, run, metric, frame) for run in arm.runs]
        mean = _mean_line(arm, metric)
        if mean:
            parts.append(_polyline(mean, frame, stroke=arm.colour, stroke_width=2.2))
            ends.append((arm, frame.y.at(mean[-1][1])))
    places = spread([y for _, y in ends], 15, low=TOP, high=HEIGHT - BOTTOM)
    for (arm, _), place in zip(ends, places, strict=True):
        shown = fit(arm.label, (WIDTH - right - 8) / BOLD, 12)
        parts.append(text(right + 8, place + 4, shown, fill=arm.colour, font_weight=600))
    return figure(WIDTH, HEIGHT, *parts, label=title)


def _bounds(values: list[float], log: bool, least: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    if log:
        return low / 1.1, high * 1.1
    if high - low < least:
        # Without a range every tick would print alike.
        low, high = (0.0, least) if high <= least and low >= 0 else (low - least / 2, high + least / 2)
    pad = max(high - low, 1e-3 * max(abs(high), 1.0)) * 0.05
    floor = 0.0 if low >= 0 and low < 0.4 * high else low - pad
    return floor, high + pad


def _axes(frame: _Frame, title: str, words: Wording) -> str:
    parts = [text(0, 14, title, font_weight=600)]
    ticks = frame.y.ticks(5)
    places = tick_places(ticks)
    for value in ticks:
        y = frame.y.at(value)
        parts.append(line(LEFT, y, frame.x.end, y, stroke_opacity=FAINT))
        shown = decimal(value, places)
        parts.append(text(LEFT - 8, y + 4, shown, size=11, text_anchor="end", fill_opacity=MUTED))
    for value in frame.x.ticks(6):
        if float(value).is_integer():
            x, y = frame.x.at(value), HEIGHT - BOTTOM + 18
            parts.append(text(x, y, str(int(value)), size=11, text_anchor="middle", fill_opacity=MUTED))
    middle = (frame.x.start + frame.x.end) / 2
    parts.append(text(middle, HEIGHT - 8, words("epoch_axis"), text_anchor="middle"))
    return "".join(parts)


def _points(run: Run, metric: str) -> list[tuple[float, float]]:
    return sorted((step["epoch"] + 1, step[metric]) for step in run.history if metric in step)


def _run_line(arm: Arm, run: Run, metric: str, frame: _Frame) -> str:
    points = _points(run, metric)
    if not points:
        return ""
    drawn = _polyline(points, frame, stroke=arm.colour, stroke_width=0.9, stroke_opacity=0.55)
    if run.status == "diverged":
        x, y = frame.x.at(points[-1][0]), frame.y.at(points[-1][1])
        cross = f"M{x - 5:.2f},{y - 5:.2f}l10,10M{x + 5:.2f},{y - 5:.2f}l-10,10"
        drawn += tag("path", d=cross, stroke=arm.colour, stroke_width=2, fill="none")
    return drawn


def _mean_line(arm: Arm, metric: str) -> list[tuple[float, float]]:
    # Diverged runs stop early; averaging them in would bend the mean where they leave it.
    by_epoch: dict[float, list[float]] = {}
    for run in arm.runs:
        if run.status != "diverged":
            for epoch, value in _points(run, metric):
                by_epoch.setdefault(epoch, []).append(value)
    return [(epoch, sum(v) / len(v)) for epoch, v in sorted(by_epoch.items())]


def _polyline(points: list[tuple[float, float]], frame: _Frame, **attributes: str | float) -> str:
    if len(points) == 1:
        x, y = frame.x.at(points[0][0]), frame.y.at(points[0][1])
        return tag("circle", cx=x, cy=y, r=2.5, fill=attributes["stroke"])
    drawn = " ".join(f"{frame.x.at(e):.2f},{frame.y.at(v):.2f}" for e, v in points)
    return tag("polyline", points=drawn, fill="none", stroke_linejoin="round", **attributes)
