"""Where did it help: differences by class, size, crowding and kind of error, one figure each.

All of it is exploratory: the verdict rests on AP over everything, and these rows say where to look next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from yolograft.study.holes import number, rows, table, whole, words_of
from yolograft.study.report.charts import FAINT, MUTED, legend, x_axis
from yolograft.study.report.notation import interval, signed
from yolograft.study.report.reading import Arm
from yolograft.study.report.svg import (
    BOLD,
    Scale,
    figure,
    fit,
    interval_mark,
    line,
    padded,
    text,
    text_width,
)
from yolograft.study.report.wording import WORDS, Wording
from yolograft.study.where.parts import CLASS, CROWDING, ERROR, KINDS, OVERLAP

WIDTH, STEP, PAD = 640.0, 18.0, 12.0
ROOM = 150.0  # for numbers at the right
MOST_ROWS = 40


@dataclass(frozen=True, slots=True)
class WhereRow:
    """Difference to the baseline in one part of the images, AP points. boxes: ground truth in that part."""

    name: str
    delta: float
    low: float | None
    high: float | None
    boxes: int | None


@dataclass(frozen=True, slots=True)
class WhereTable:
    """One arm's rows of one kind. level: of its intervals, all rows together; rule: how that was kept."""

    arm: str
    kind: str
    level: float | None
    rule: str
    scope: str
    rows: tuple[WhereRow, ...]


def read_where(results: Mapping[str, Any]) -> tuple[WhereTable, ...]:
    """The tables of ``results["where"]`` that can be shown; none for a study without any."""
    found = []
    where = results.get("where")
    for raw in map(table, rows(table(where).get("tables") if isinstance(where, Mapping) else where)):
        kind = words_of(raw.get("kind"))
        read = tuple(row for entry in rows(raw.get("rows")) if (row := _row(table(entry))) is not None)
        if read and kind in KINDS:
            rule, scope = words_of(raw.get("rule")), words_of(raw.get("scope"))
            found.append(
                WhereTable(words_of(raw.get("arm")), kind, number(raw.get("level")), rule, scope, read)
            )
    return tuple(found)


def where_charts(results: Mapping[str, Any], arms: Sequence[Arm], *, words: Wording) -> dict[str, str]:
    """Kind -> figure, for every kind the results hold, in the order of `KINDS`."""
    tables = read_where(results)
    drawn = {kind: where_chart([t for t in tables if t.kind == kind], arms, words=words) for kind in KINDS}
    return {kind: svg for kind, svg in drawn.items() if svg}


def where_chart(
    tables: Sequence[WhereTable], arms: Sequence[Arm], *, words: Wording, width: float = WIDTH
) -> str:
    """One block a row name with a dot and interval an arm, zero line; an empty string without a row."""
    shown = [(arm, own) for arm in arms for own in tables if own.arm == arm.label]
    names = list(dict.fromkeys(row.name for _, own in shown for row in own.rows))[:MOST_ROWS]
    if not names:
        return ""
    kept = [row for _, own in shown for row in own.rows if row.name in names]
    boxes = {row.name: row.boxes for row in kept if row.boxes is not None and tables[0].kind != ERROR}
    titles = row_titles(tables[0].kind, names, words)
    if width < WIDTH:
        # A phone has room for names or for counts.
        boxes = {}
    tail = 84.0 if boxes else 24.0
    left = min(max(text_width(title, 13) for title in titles.values()) * BOLD + tail, 0.45 * width)
    ends = [v for row in kept for v in (row.delta, row.low, row.high) if v is not None]
    scale = Scale(*padded([0.0, *ends]), left, width - ROOM)
    key, key_height = legend([arm for arm, _ in shown], width) if len(shown) > 1 else ("", 4.0)
    pitch, top = STEP * len(shown) + PAD, key_height + 10
    bottom = top + pitch * len(names)
    axis = words("error_axis" if tables[0].kind == ERROR else "difference_axis")
    parts = [key, x_axis(scale, top, bottom, title=axis)]
    parts.append(line(scale.at(0), top - 4, scale.at(0), bottom, stroke_width=1.4))
    for i, name in enumerate(names):
        y = top + pitch * i
        if i:
            parts.append(line(0, y, width, y, stroke_opacity=FAINT))
        middle = y + pitch / 2 + 4
        parts.append(
            text(0, middle, fit(titles[name], (left - tail + 4) / BOLD, 13), size=13, font_weight=600)
        )
        if name in boxes:
            count = f"n = {boxes[name]:,}"
            parts.append(text(left - 14, middle, count, size=11, text_anchor="end", fill_opacity=MUTED))
        for j, (arm, own) in enumerate(shown):
            row = next((r for r in own.rows if r.name == name), None)
            if row is not None:
                parts.append(_mark(row, arm, scale, y + PAD / 2 + STEP * (j + 0.5)))
    return figure(width, bottom + 44, *parts, label=words(f"where_{tables[0].kind}"))


def row_titles(kind: str, names: Sequence[str], words: Wording) -> dict[str, str]:
    """Row name -> what the figure calls it. Groups by overlap are told apart by the borders between them.

    Their own least and largest values, rounded, would leave gaps or seem to share images.
    """
    plain = {name: row_title(kind, name, words) for name in names}
    highs = [name.rpartition("-")[2] for name in names]
    if kind != OVERLAP or len(set(highs)) < len(highs) or len(names) < 2:
        return plain
    first = "where_overlap_upto" if highs[0].strip("0.") else "where_overlap_none"
    titles = [words(first, high=highs[0])]
    titles += [words("where_overlap_row", range="–".join(pair)) for pair in pairwise(highs[:-1])]
    titles.append(words("where_overlap_above", low=highs[-2]))
    return dict(zip(names, titles, strict=True))


def row_title(kind: str, name: str, words: Wording) -> str:
    """A row's name in the reader's language, where it is one of ours; a class keeps its own."""
    if kind in (CROWDING, OVERLAP):
        return words(f"where_{kind}_row", range=name.replace("-", "–"))
    key = f"where_{kind}_{name.lower()}"
    return words(key) if kind != CLASS and key in WORDS else name


def _mark(row: WhereRow, arm: Arm, scale: Scale, y: float) -> str:
    mark = interval_mark(scale, y, row.delta, (row.low, row.high), colour=arm.colour, size=4.0)
    shown = f"{signed(row.delta)} {interval(row.low, row.high)}".strip()
    return mark + text(scale.end + 14, y + 4, shown, size=11)


def _row(raw: Mapping[str, Any]) -> WhereRow | None:
    name, delta = words_of(raw.get("name")), number(raw.get("delta"))
    if not name or delta is None:
        return None
    return WhereRow(name, delta, number(raw.get("low")), number(raw.get("high")), whole(raw.get("boxes")))
