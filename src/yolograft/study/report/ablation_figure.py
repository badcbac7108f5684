"""The interactions of an ablation as a table and as one dot with interval a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from yolograft.study.holes import number, rows, table, words_of
from yolograft.study.report.charts import MUTED, x_axis
from yolograft.study.report.notation import interval, signed
from yolograft.study.report.reading import Arm
from yolograft.study.report.svg import (
    BOLD,
    Scale,
    esc,
    figure,
    fit,
    interval_mark,
    line,
    padded,
    text,
    text_width,
)
from yolograft.study.report.wording import DETAIL_WORDS, Wording

WIDTH, ROW = 640.0, 38.0


class _Row(NamedTuple):
    label: str
    colour: str
    kind: str
    found: float | None
    added: float | None
    value: float | None
    low: float | None
    high: float | None
    word: str


def ablation_table(ablation: Mapping[str, Any], *, words: Wording) -> str:
    """One line a contrast: what was found, what adding up would give, and what lies beyond it."""
    cumulative, read = bool(ablation.get("cumulative")), _rows(ablation, (), words)
    heads = [words("step" if cumulative else "combination"), words("found_delta")]
    heads += [words("step_gain")] if cumulative else [words("sum_of_parts"), words("beyond_sum")]
    heads.append(words("reading"))
    body = []
    for row in read:
        ends = interval(row.low, row.high) or f"({words('no_interval')})"
        cells = [f'<th scope="row">{esc(row.label)}</th>', f"<td>{signed(row.found)}</td>"]
        if not cumulative:
            cells.append(f"<td>{signed(row.added)}</td>")
        cells += [
            f"<td><b>{signed(row.value)}</b> {esc(ends)}</td>",
            f'<td class="words">{esc(row.word)}</td>',
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f'<th scope="col">{esc(h)}</th>' for h in heads[:-1])
    head += f'<th scope="col" class="words">{esc(heads[-1])}</th>'
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def ablation_chart(ablation: Mapping[str, Any], arms: Sequence[Arm], *, words: Wording) -> str:
    """Dot, interval and zero line per contrast; an empty string when no contrast has a number."""
    read = [row for row in _rows(ablation, arms, words) if row.value is not None]
    if not read:
        return ""
    ends = [v for row in read for v in (row.value, row.low, row.high) if v is not None]
    left = min(max(text_width(row.label, 13) for row in read) * BOLD + 20, 270.0)
    top, bottom = 12.0, 12.0 + ROW * len(read)
    scale = Scale(*padded([0.0, *ends]), left, WIDTH - 190)
    title = words("step_axis" if ablation.get("cumulative") else "beyond_axis")
    parts = [x_axis(scale, top, bottom, title=title)]
    parts.append(line(scale.at(0), top - 6, scale.at(0), bottom, stroke_width=1.4))
    parts += [_mark(row, scale, top + ROW * (i + 0.5), left) for i, row in enumerate(read)]
    return figure(WIDTH, bottom + 44, *parts, label=title)


def _mark(row: _Row, scale: Scale, y: float, left: float) -> str:
    parts = [text(0, y + 4.5, fit(row.label, (left - 14) / BOLD, 13), size=13, font_weight=600)]
    parts.append(interval_mark(scale, y, row.value or 0.0, (row.low, row.high), colour=row.colour))
    beside = scale.end + 16
    shown = f"{signed(row.value)} {interval(row.low, row.high)}".strip()
    parts.append(text(beside, y - 1, shown, font_weight=600))
    parts.append(text(beside, y + 14, fit(row.word, WIDTH - beside, 11), size=11, fill_opacity=MUTED))
    return "".join(parts)


def _rows(ablation: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> list[_Row]:
    colours = {arm.label: arm.colour for arm in arms}
    names = combination_names(ablation)
    found = []
    for entry in rows(ablation.get("rows")):
        raw = table(entry)
        label, kind = words_of(raw.get("label")), words_of(raw.get("kind"))
        shown = names.get(label, label)
        word = f"word_{words_of(raw.get('word'))}"
        found.append(
            _Row(
                label=words("joint", label=shown) if kind == "joint" else shown,
                colour=colours.get(label, "currentColor"),
                kind=kind,
                found=number(raw.get("found")),
                added=number(raw.get("sum")),
                value=number(raw.get("value")),
                low=number(raw.get("low")),
                high=number(raw.get("high")),
                word=words(word) if word in DETAIL_WORDS else words("no_verdict"),
            )
        )
    return found


def combination_names(ablation: Mapping[str, Any]) -> dict[str, str]:
    """Arm label -> its parts joined by ` + `, as a reader writes a combination."""
    parts = [words_of(table(part).get("label")) for part in rows(ablation.get("parts"))]
    names = {}
    for label, members in table(ablation.get("members")).items():
        known = [parts[i] for i in rows(members) if isinstance(i, int) and 0 <= i < len(parts)]
        names[str(label)] = " + ".join(known) or str(label)
    return names
