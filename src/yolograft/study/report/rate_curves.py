"""Precision over recall, and P, R and F1 over confidence: one panel each, one line an arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yolograft.study.detail import POINTS, Band
from yolograft.study.report.charts import FAINT, MUTED, legend
from yolograft.study.report.notation import decimal
from yolograft.study.report.reading import Arm
from yolograft.study.report.svg import Scale, dot, figure, line, tag, text
from yolograft.study.report.wording import Wording

WIDTH, HEIGHT = 520.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 508.0, 34.0, 46.0
PANELS = (("recall", "recall_panel"), ("f1", "f1_panel"), ("p", "p_panel"), ("r", "r_panel"))


def rate_panels(arms: Sequence[Arm], *, words: Wording) -> list[str]:
    """The panels somebody has a curve for, in the order of `PANELS`, each an svg."""
    drawn = []
    for key, title in PANELS:
        shown = [arm for arm in arms if key in arm.bands and np.isfinite(arm.bands[key].mean).any()]
        if shown:
            drawn.append(_panel(shown, key, words(title), words))
    return drawn


def rate_legend(arms: Sequence[Arm]) -> str:
    """One colour key for all panels."""
    shown = [arm for arm in arms if arm.bands]
    key, height = legend(shown, 1080.0)
    return figure(1080.0, height + 10, key, label=", ".join(arm.label for arm in shown)) if shown else ""


def _panel(arms: Sequence[Arm], key: str, title: str, words: Wording) -> str:
    x, y = Scale(0.0, 1.0, LEFT, RIGHT), Scale(0.0, 100.0, HEIGHT - BOTTOM, TOP)
    over = words("recall_axis") if key == "recall" else words("confidence_axis")
    parts = [text(0, 14, title, font_weight=600), _axes(x, y, over, points=key == "recall")]
    parts += [_band(arm, arm.bands[key], x, y) for arm in arms]
    parts += [_line(arm, arm.bands[key], x, y) for arm in arms]
    if key == "f1":
        parts += [_peak(arm, arm.bands[key], x, y) for arm in arms]
    return figure(WIDTH, HEIGHT, *parts, label=title)


def _axes(x: Scale, y: Scale, over: str, *, points: bool) -> str:
    parts = []
    for value in y.ticks(5):
        place = y.at(value)
        parts.append(line(LEFT, place, RIGHT, place, stroke_opacity=FAINT))
        shown = decimal(value, 0)
        parts.append(text(LEFT - 8, place + 4, shown, size=11, text_anchor="end", fill_opacity=MUTED))
    for value in x.ticks(5):
        shown = decimal(100 * value, 0) if points else decimal(value, 1)
        place, bottom = x.at(value), HEIGHT - BOTTOM + 18
        parts.append(text(place, bottom, shown, size=11, text_anchor="middle", fill_opacity=MUTED))
    parts.append(text((LEFT + RIGHT) / 2, HEIGHT - 8, over, text_anchor="middle"))
    return "".join(parts)


def _points(values: NDArray[np.float64], x: Scale, y: Scale) -> list[str]:
    grid = np.linspace(0.0, 1.0, POINTS)
    known = ((g, float(v)) for g, v in zip(grid, values, strict=True) if np.isfinite(v))
    return [f"{x.at(float(g)):.2f},{y.at(v):.2f}" for g, v in known]


def _band(arm: Arm, band: Band, x: Scale, y: Scale) -> str:
    if band.seeds < 2:
        return ""
    there, back = _points(band.high, x, y), _points(band.low, x, y)[::-1]
    return tag("polygon", points=" ".join(there + back), fill=arm.colour, fill_opacity=0.16)


def _line(arm: Arm, band: Band, x: Scale, y: Scale) -> str:
    shown = " ".join(_points(band.mean, x, y))
    return tag(
        "polyline", points=shown, fill="none", stroke=arm.colour, stroke_width=1.9, stroke_linejoin="round"
    )


def _peak(arm: Arm, band: Band, x: Scale, y: Scale) -> str:
    at = int(np.nan_to_num(band.mean).argmax())
    value = float(band.mean[at])
    hint = tag("title", f"F1 {decimal(value)}, {decimal(at / (POINTS - 1), 2)}")
    return dot(x.at(at / (POINTS - 1)), y.at(value), 4.0, hint, fill=arm.colour)
