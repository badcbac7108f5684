"""Result figures with one row an arm: differences with intervals, AP per seed, AP per class, cost."""

from __future__ import annotations

from collections.abc import Sequence

from yolograft.study.report.notation import decimal, interval, signed
from yolograft.study.report.reading import Arm, class_names, class_values, judged, mean_and_sd
from yolograft.study.report.svg import (
    BOLD,
    Scale,
    dot,
    figure,
    fit,
    interval_mark,
    line,
    padded,
    rect,
    tag,
    text,
    text_width,
    tick_places,
)
from yolograft.study.report.wording import Wording, split_verdict

WIDTH = 540.0
NARROW = 400.0  # of a figure that a phone shows at full width
NUMBERS = 182.0  # room for a difference, its interval and its verdict
ROW = 46.0
MAX_CLASSES = 40
FAINT, MUTED = 0.14, 0.68


def interval_chart(arms: Sequence[Arm], *, margin: float | None, words: Wording, width: float = WIDTH) -> str:
    """Difference in AP points of every arm set against another: dot, interval, zero line, margin band.

    An arm without a difference keeps its row and says so; no such arm gives an empty string.
    """
    grafts = judged(arms)
    if not grafts:
        return ""
    known = [arm.difference for arm in grafts if arm.difference]
    ends = [v for d in known for v in (d.delta, d.low, d.high) if v is not None]
    band = abs(margin or 0.0)
    left, right = label_room(grafts, width), width - NUMBERS
    top, bottom = 26.0, 26.0 + ROW * len(grafts)
    scale = Scale(*padded([0.0, band, -band, *ends]), left, right)
    parts = []
    if band:
        parts.append(
            rect(scale.at(-band), top, scale.at(band) - scale.at(-band), bottom - top, fill_opacity=0.09)
        )
    parts += [x_axis(scale, top, bottom, title=words("difference_axis"))]
    parts += [line(scale.at(0), top - 6, scale.at(0), bottom, stroke_width=1.4)]
    worse, better = f"← {words('worse')}", f"{words('better')} →"
    parts.append(text(scale.at(0) - 8, top - 10, worse, size=11, text_anchor="end", fill_opacity=MUTED))
    parts.append(text(scale.at(0) + 8, top - 10, better, size=11, fill_opacity=MUTED))
    for i, arm in enumerate(grafts):
        parts.append(_interval_row(arm, scale, top + ROW * (i + 0.5), left, words))
    return figure(width, bottom + 44, *parts, label=words("difference_axis"))


def _interval_row(arm: Arm, scale: Scale, y: float, left: float, words: Wording) -> str:
    found = arm.difference
    parts = [row_label(arm, left, y)]
    beside = scale.end + 16
    if found is None or found.delta is None:
        parts.append(text(beside, y + 4, words("no_verdict"), fill_opacity=MUTED))
        return "".join(parts)
    ends = interval(found.low, found.high)
    parts.append(interval_mark(scale, y, found.delta, (found.low, found.high), colour=arm.colour))
    shown = f"{signed(found.delta)} {ends or '(' + words('no_interval') + ')'}"
    parts.append(text(beside, y - 1, shown, font_weight=600))
    verdict = words.verdict(split_verdict(found.verdict)[0]) or words("no_verdict")
    parts.append(text(beside, y + 14, fit(verdict, NUMBERS - 16, 11), size=11, fill_opacity=MUTED))
    return "".join(parts)


def seed_chart(arms: Sequence[Arm], *, words: Wording, width: float = WIDTH) -> str:
    """AP of every finished run, one row an arm; light lines join equal seeds, a mark gives the mean."""
    values = [run.metrics["ap"] for arm in arms for run in arm.done]
    if not values:
        return ""
    left, right = label_room(arms, width), width - 118
    top, bottom = 26.0, 26.0 + ROW * len(arms)
    scale = Scale(*padded(values, share=0.08), left, right)
    parts = [x_axis(scale, top, bottom, title=words("ap_axis"))]
    parts.append(
        text(right + 16, top - 10, words("mean_sd"), size=11, fill_opacity=MUTED),
    )
    parts += _seed_lines(arms, scale, top)
    for i, arm in enumerate(arms):
        y = top + ROW * (i + 0.5)
        parts.append(row_label(arm, left, y))
        for run in arm.done:
            hint = tag("title", f"{words('seed', seed=_plain(run.seed))}: {decimal(run.metrics['ap'])}")
            place = {"cx": scale.at(run.metrics["ap"]), "cy": y}
            parts.append(tag("circle", hint, r=4.5, fill=arm.colour, fill_opacity=0.8, **place))
        parts.append(_mean_mark(arm, scale, y, words))
    return figure(width, bottom + 44, *parts, label=words("seeds"))


def _plain(seed: str) -> str:
    return "".join(c for c in seed if c.isalnum() or c in "-_") or "?"


def _seed_lines(arms: Sequence[Arm], scale: Scale, top: float) -> list[str]:
    paths: dict[str, list[str]] = {}
    for i, arm in enumerate(arms):
        for run in arm.done:
            point = f"{scale.at(run.metrics['ap']):.2f},{top + ROW * (i + 0.5):.2f}"
            paths.setdefault(run.seed, []).append(point)
    light = {"fill": "none", "stroke": "currentColor", "stroke_opacity": 0.28}
    return [tag("polyline", points=" ".join(p), **light) for p in paths.values() if len(p) > 1]


def _mean_mark(arm: Arm, scale: Scale, y: float, words: Wording) -> str:
    mean, sd = arm.mean.get("ap"), arm.sd.get("ap")
    diverged = sum(run.status == "diverged" for run in arm.runs)
    parts = []
    if mean is None or not arm.done:
        parts.append(text(scale.end + 16, y + 4, words("none_done"), size=11, fill_opacity=MUTED))
    else:
        parts.append(line(scale.at(mean), y - 13, scale.at(mean), y + 13, stroke=arm.colour, stroke_width=3))
        shown = decimal(mean) if sd is None else f"{decimal(mean)} ± {decimal(sd)}"
        parts.append(text(scale.end + 16, y + 4, shown, font_weight=600))
    if diverged:
        note = words("diverged_short", count=diverged)
        parts.append(text(scale.end + 16, y + 18, note, size=11, fill_opacity=MUTED))
    return "".join(parts)


def class_chart(arms: Sequence[Arm], *, words: Wording) -> str:
    """AP per class: one dot an arm with a bar of one standard deviation over seeds to either side."""
    names = class_names(tuple(arms))[:MAX_CLASSES]
    cells = [(n, arm, mean_and_sd(class_values(arm, n))) for n, _ in names for arm in arms]
    found = [(mean, sd or 0.0) for _, _, (mean, sd) in cells if mean is not None]
    if not found:
        return ""
    left = min(max(text_width(n, 13) for n, _ in names) * BOLD + 80, 260.0)
    low, high = padded([v for mean, sd in found for v in (mean - sd, mean + sd)], least=10)
    scale = Scale(max(low, 0.0), min(high, 100.0), left, WIDTH - 60)
    key, key_height = legend(arms, WIDTH)
    step, pitch = 13.0, 13.0 * len(arms) + 14
    top = key_height + 10
    bottom = top + pitch * len(names)
    parts = [key, x_axis(scale, top, bottom, title=words("ap_axis"))]
    for i, (name, count) in enumerate(names):
        y = top + pitch * i
        if i:
            parts.append(line(0, y, WIDTH, y, stroke_opacity=FAINT))
        tail = f"n = {count:,}" if count is not None else ""
        parts.append(text(0, y + pitch / 2 + 4, fit(name, (left - 78) / BOLD, 13), size=13, font_weight=600))
        parts.append(text(left - 14, y + pitch / 2 + 4, tail, size=11, text_anchor="end", fill_opacity=MUTED))
        for j, arm in enumerate(arms):
            mean, sd = mean_and_sd(class_values(arm, name))
            if mean is not None:
                parts.append(_class_dot(arm, scale, mean, sd, y + 13.5 + step * j))
    return figure(WIDTH, bottom + 44, *parts, label=words("classes"))


def _class_dot(arm: Arm, scale: Scale, mean: float, sd: float | None, y: float) -> str:
    parts = []
    if sd is not None:
        low, high = scale.at(max(mean - sd, scale.low)), scale.at(min(mean + sd, scale.high))
        parts.append(line(low, y, high, y, stroke=arm.colour, stroke_width=2, stroke_opacity=0.6))
    parts.append(dot(scale.at(mean), y, 4.5, fill=arm.colour))
    parts.append(text(scale.end + 18, y + 4, decimal(mean), size=11, fill_opacity=MUTED))
    return "".join(parts)


def cost_chart(arms: Sequence[Arm], *, words: Wording) -> str:
    """Small bars from zero, one panel a cost; a panel nobody has numbers for is left out."""
    panels = [
        (words("params"), "params", 1e-6, 3),
        (words("flops"), "flops", 1e-9, 3),
        (words("latency_short"), "p50", 1.0, 1),
        (words("train_seconds"), "seconds", 1.0, 0),
        (words("memory"), "memory", 1.0, 0),
    ]
    panels = [p for p in panels if any(p[1] in arm.cost for arm in arms)]
    if not panels:
        return ""
    total, height, top = 1080.0, 30.0, 34.0
    left = label_room(arms)
    pitch = (total - left) / len(panels)
    bottom = top + height * len(arms)
    parts = [row_label(arm, left, top + height * (i + 0.5)) for i, arm in enumerate(arms)]
    for i, (title, key, unit, places) in enumerate(panels):
        start = left + pitch * i
        widest = max(max(arm.cost.get(k, 0.0) for k in (key, "p90" if key == "p50" else key)) for arm in arms)
        scale = Scale(0.0, widest * unit or 1.0, start, start + pitch - 78)
        parts.append(text(start, top - 14, title, size=12, font_weight=600))
        parts.append(line(start, top, start, bottom, stroke_opacity=0.4))
        for j, arm in enumerate(arms):
            if key in arm.cost:
                parts.append(_cost_bar(arm, key, unit, places, scale, top + height * (j + 0.5)))
    return figure(total, bottom + 8, *parts, label=words("cost"))


def _cost_bar(arm: Arm, key: str, unit: float, places: int, scale: Scale, y: float) -> str:
    value = arm.cost[key] * unit
    end = scale.at(value)
    parts = [rect(scale.start, y - 7, end - scale.start, 14, fill=arm.colour, fill_opacity=0.85)]
    tail = arm.cost.get("p90") if key == "p50" else None
    shown = decimal(value, places)
    if tail is not None:
        parts.append(line(end, y, scale.at(tail), y, stroke=arm.colour, stroke_width=1.5))
        parts.append(line(scale.at(tail), y - 4, scale.at(tail), y + 4, stroke=arm.colour, stroke_width=1.5))
        end, shown = max(end, scale.at(tail)), f"{shown} / {decimal(tail, places)}"
    return "".join([*parts, text(end + 6, y + 4, shown, size=11)])


def label_room(arms: Sequence[Arm], width: float = WIDTH) -> float:
    """Width that row labels need, at most 170 units and a third of a figure's width."""
    needed = max((text_width(arm.label, 13) for arm in arms), default=0.0) * BOLD + 34
    return min(needed, 170.0, width / 3.2)


def row_label(arm: Arm, left: float, y: float) -> str:
    """Colour mark and label of an arm's row; the whole label shows on hover."""
    shown = text(18, y + 4.5, fit(arm.label, (left - 30) / BOLD, 13), size=13, font_weight=600)
    return rect(0, y - 5, 10, 10, rx=2, fill=arm.colour) + shown


def legend(arms: Sequence[Arm], width: float) -> tuple[str, float]:
    """Colour key that wraps at `width`, and its height."""
    parts, x, y = [], 0.0, 8.0
    for arm in arms:
        shown = fit(arm.label, 260, 12)
        room = text_width(shown, 12) + 34
        if x and x + room > width:
            x, y = 0.0, y + 20
        parts.append(dot(x + 5, y, 4.5, fill=arm.colour) + text(x + 15, y + 4, shown))
        x += room
    return "".join(parts), y + 12


def x_axis(scale: Scale, top: float, bottom: float, *, title: str) -> str:
    """Vertical grid lines with their values and the axis title underneath."""
    parts = []
    ticks = scale.ticks(6)
    places = tick_places(ticks)
    for value in ticks:
        x = scale.at(value)
        parts.append(line(x, top, x, bottom, stroke_opacity=FAINT))
        shown = decimal(value, places)
        parts.append(text(x, bottom + 16, shown, size=11, text_anchor="middle", fill_opacity=MUTED))
    middle = (scale.start + scale.end) / 2
    parts.append(text(middle, bottom + 36, title, size=12, text_anchor="middle"))
    return "".join(parts)
