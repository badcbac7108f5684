"""The confusion matrix of one arm as a heat map: counts, shaded by their share of the row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yolograft.study.report.charts import MUTED
from yolograft.study.report.notation import decimal
from yolograft.study.report.reading import Arm
from yolograft.study.report.svg import BOLD, figure, fit, line, on_colour, rect, tag, text, text_width
from yolograft.study.report.wording import Wording

WIDTH = 520.0
MOST_CLASSES = 12  # more are folded into one: cells must hold their count
CELL = (26.0, 62.0)  # smallest and largest side
DARK = 0.55  # share from which the ink on a cell is chosen for the full colour


def fold(counts: NDArray[np.int64], names: Sequence[str], other: str) -> tuple[NDArray[np.int64], list[str]]:
    """The matrix of the classes with most truth and one row and column for the rest; totals stay.

    counts: [C + 1, C + 1], background last, which stays last.
    """
    shown = [names[k] if k < len(names) else str(k) for k in range(len(counts) - 1)]
    if len(shown) <= MOST_CLASSES:
        return counts, shown
    order = np.argsort(-counts[:-1].sum(axis=1), kind="stable")
    kept = np.sort(order[: MOST_CLASSES - 1])
    target = np.full(len(counts), MOST_CLASSES - 1)
    target[kept] = np.arange(len(kept))
    target[-1] = MOST_CLASSES
    folded = np.zeros((MOST_CLASSES + 1, MOST_CLASSES + 1), dtype=np.int64)
    np.add.at(folded, (target[:, None], target[None, :]), counts)
    return folded, [*(shown[k] for k in kept), other]


def confusion_figure(arm: Arm, names: Sequence[str], *, words: Wording) -> str:
    """Rows truth, columns predicted, background last; an empty string for an arm without a matrix."""
    if arm.confusion is None:
        return ""
    counts, labels = fold(arm.confusion.counts, names, words("other_classes"))
    labels = [*labels, words("background")]
    left = min(max(text_width(label, 12) for label in labels) + 34, 170.0)
    side = min(max((WIDTH - left - 8) / len(labels), CELL[0]), CELL[1])
    # Wide names lean over narrow columns.
    lean = any(text_width(label, 12) > side - 4 for label in labels)
    top = 56.0 + (min(max(text_width(label, 12) for label in labels), 110.0) * 0.7 if lean else 14.0)
    # The last name leans out to the right.
    width = left + side * len(labels) + (64.0 if lean else 8.0)
    name = fit(arm.label, width / BOLD, 13)
    parts = [text(0, 14, name, font_weight=600, size=13, fill=arm.colour)]
    parts.append(text(left, 36, f"{words('predicted')} →", size=11, fill_opacity=MUTED))
    parts.append(text(0, top - 8, f"{words('truth')} ↓", size=11, fill_opacity=MUTED))
    for k, label in enumerate(labels):
        parts.append(_heads(k, label, left, top, side, lean=lean))
    last = len(labels) - 1
    for row, share in enumerate(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)):
        for column in range(len(labels)):
            if (row, column) != (last, last):
                x, y = left + side * column, top + side * row
                # False alarms are no row of the truth: their shares must not look like recall.
                colour = arm.colour if row < last else None
                parts.append(_cell(x, y, side, int(counts[row, column]), float(share[column]), colour))
    edge, end = last * side, len(labels) * side
    parts.append(line(left, top + edge, left + end, top + edge, stroke_width=1.2))
    parts.append(line(left + edge, top, left + edge, top + end, stroke_width=1.2))
    title = f"{words('confusion')}: {arm.label}"
    return figure(width, top + end + 4, *parts, label=title)


def _heads(k: int, label: str, left: float, top: float, side: float, *, lean: bool) -> str:
    middle = side * (k + 0.5)
    row = text(left - 8, top + middle + 4, fit(label, left - 12, 12), text_anchor="end")
    x, y = left + middle, top - 8
    shown = fit(label, 110.0, 12)
    if lean:
        return row + text(x, y, shown, transform=f"rotate(-40 {x:.2f} {y:.2f})")
    return row + text(x, y, shown, text_anchor="middle")


def _share(share: float) -> str:
    """A share in percent that never rounds to none or all where it is neither."""
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{decimal(100 * share, 0)} %"


def _cell(x: float, y: float, side: float, count: int, share: float, colour: str | None) -> str:
    ink = on_colour(colour) if colour and share >= DARK else "currentColor"
    hint = tag("title", f"{count:,} ({decimal(100 * share)} %)")
    box, shade = side - 1.5, round(0.04 + (0.96 if colour else 0.2) * share, 3)
    parts = [rect(x, y, box, box, hint, fill=colour or "currentColor", fill_opacity=shade)]
    if not count:
        return parts[0]
    shown, size = f"{count:,}", 12.0
    while text_width(shown, size) > side - 4 and size > 7:
        size -= 1
    middle, roomy = x + (side - 1.5) / 2, side >= 42
    # The share stands under the count where a cell has room for two lines.
    base = y + side / 2 + (-1 if roomy else size * 0.35)
    parts.append(text(middle, base, shown, size=size, text_anchor="middle", fill=ink))
    if roomy:
        below = _share(share)
        parts.append(
            text(middle, base + 14, below, size=10, text_anchor="middle", fill=ink, fill_opacity=0.8)
        )
    return "".join(parts)
