"""Sections of the report beyond the answer and the result tables: ablation, rates, confusion, samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from yolograft.study.holes import number, rows, table, words_of
from yolograft.study.report.ablation_figure import ablation_chart, ablation_table
from yolograft.study.report.confusion_figure import MOST_CLASSES, confusion_figure
from yolograft.study.report.gallery import Sample, class_key, sample_caption, sample_figure, shown_score
from yolograft.study.report.map_figure import map_figure
from yolograft.study.report.maps import MapPanel
from yolograft.study.report.notation import percent
from yolograft.study.report.rate_curves import rate_legend, rate_panels
from yolograft.study.report.reading import Arm
from yolograft.study.report.subject import seeds_behind
from yolograft.study.report.svg import esc
from yolograft.study.report.wording import Wording


def framed(svg: str, caption: str, *, wide: bool = True, narrow: str = "") -> str:
    """A numbered figure with its caption; an empty string for an empty figure.

    narrow: the same figure drawn for a phone, shown there in its place.
    """
    if not svg:
        return ""
    kind = "wide" if wide else "half"
    drawn = f'<div class="broad">{svg}</div><div class="narrow">{narrow}</div>' if narrow else svg
    return f'<figure class="{kind}">{drawn}<figcaption>{esc(caption)}</figcaption></figure>'


def warning_list(results: Mapping[str, Any], words: Wording) -> str:
    """What the study found odd about itself, in its own sentences."""
    said = [words_of(warning) for warning in rows(results.get("warnings"))]
    items = "".join(f"<li>{esc(words.verdict(sentence))}</li>" for sentence in said if sentence)
    return f'<div class="notice"><b>{esc(words("warnings"))}</b><ul>{items}</ul></div>' if items else ""


def ablation_section(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    """Table and figure of an ablation's interactions; an empty string for any other study."""
    found = table(results.get("ablation"))
    shown = rows(found.get("rows"))
    if not shown:
        return ""
    level, df = number(found.get("level")), number(found.get("df"))
    key = "steps_caption" if found.get("cumulative") else "ablation_caption"
    caption = words(key, level=percent(level), tests=len(shown), df=f"{df or 0:.3g}")
    parts = _parts(found)
    lines = f'<div class="scroll">{ablation_table(found, words=words)}</div>'
    return f"{parts}{lines}{framed(ablation_chart(found, arms, words=words), caption)}"


def _parts(found: Mapping[str, Any]) -> str:
    """Which expression each letter stands for."""
    parts = [table(part) for part in rows(found.get("parts"))]
    known = [(words_of(part.get("label")), words_of(part.get("expression"))) for part in parts]
    lines = "".join(
        f"<dt>{esc(label)}</dt><dd><code>{esc(text)}</code></dd>" for label, text in known if label
    )
    return f"<dl>{lines}</dl>" if lines else ""


def rate_section(arms: Sequence[Arm], words: Wording) -> str:
    """Precision over recall, and the three rates over confidence."""
    panels = "".join(f"<div>{svg}</div>" for svg in rate_panels(arms, words=words))
    if not panels:
        return ""
    caption = esc(words("rates_caption"))
    return (
        f'<figure class="wide">{rate_legend(arms)}<div class="panels">{panels}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def confusion_section(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    """One heat map an arm under one caption."""
    shown = [(arm, arm.confusion) for arm in arms if arm.confusion is not None]
    if not shown:
        return ""
    names = [words_of(name) for name in rows(table(results.get("data")).get("names"))]
    panels = "".join(f"<div>{confusion_figure(arm, names, words=words)}</div>" for arm, _ in shown)
    lowest = shown_score(min(found.confidence[0] for _, found in shown))
    highest = shown_score(max(found.confidence[1] for _, found in shown))
    first = shown[0][1]
    caption = words(
        "confusion_caption",
        seeds=seeds_behind([found.seeds for _, found in shown]),
        confidence=lowest if lowest == highest else f"{lowest}–{highest}",
        iou=f"{first.iou:g}",
    )
    total = int(np.max([len(found.counts) - 1 for _, found in shown]))
    if total > MOST_CLASSES:
        kept = MOST_CLASSES - 1
        caption += words("folded_caption", shown=kept, folded=total - kept)
    return (
        f'<figure class="wide"><div class="matrices">{panels}</div>'
        f"<figcaption>{esc(caption)}</figcaption></figure>"
    )


def sample_section(
    samples: Sequence[Sample],
    arms: Sequence[Arm],
    words: Wording,
    *,
    maps: Mapping[str, Sequence[MapPanel]] | None = None,
) -> str:
    """The gallery: what the arms find on a few images, and where they look, for images that have maps."""
    parts = []
    for count, sample in enumerate(samples):
        svg = sample_figure(sample, arms, number=count, words=words)
        parts.append(framed(svg, sample_caption(sample, words=words)))
        looked = map_figure((maps or {}).get(sample.image_id, ()), arms, words=words)
        parts.append(framed(looked, words("maps_caption", image=sample.image_id)))
    if not parts:
        return ""
    lead = esc(words("samples_lead"))
    return f'<p>{lead}</p><p class="keys">{class_key(samples)}</p>{"".join(parts)}'
