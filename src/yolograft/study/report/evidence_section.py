"""What a verdict rests on and where the difference lies: variance parts, looks, parts of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from yolograft.study.holes import number, rows, table, whole, words_of
from yolograft.study.report.charts import NARROW
from yolograft.study.report.notation import decimal, interval, percent, signed
from yolograft.study.report.reading import Arm, judged
from yolograft.study.report.sections import framed
from yolograft.study.report.svg import esc
from yolograft.study.report.where_figure import WIDTH, WhereTable, read_where, where_chart
from yolograft.study.report.wording import Wording
from yolograft.study.statistics.evidence import Evidence
from yolograft.study.where.parts import ERROR, KINDS

SPLIT_ONLY = "this evaluation split"
# Column -> words and how its number is written.
COLUMNS = (
    ("sd_base", 2),
    ("sd_arm", 2),
    ("se_seed", 2),
    ("se_image", 2),
    ("se_both", 2),
    ("se_total", 2),
    ("df_head", 1),
    ("critical", 2),
)


def comparisons(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Label -> the comparison of that arm as ``results.json`` holds it, empty where it has none."""
    arms = map(table, rows(results.get("arms")))
    return {words_of(arm.get("label")): table(arm.get("comparison")) for arm in arms}


def evidence_section(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    """The parts of every interval as a table; an empty string where no interval is known."""
    shown = [
        (arm, variance_parts(arm.difference.evidence))
        for arm in judged(arms)
        if arm.difference is not None and arm.difference.evidence is not None
    ]
    shown = [(arm, parts) for arm, parts in shown if parts["se_total"] is not None]
    if not shown:
        return ""
    kept = [(key, places) for key, places in COLUMNS if any(parts[key] is not None for _, parts in shown)]
    head = "".join(f'<th scope="col">{esc(words(key))}</th>' for key, _ in kept)
    body = []
    for arm, parts in shown:
        cells = "".join(f"<td>{decimal(parts[key], places)}</td>" for key, places in kept)
        name = f'<i class="swatch" style="background:{arm.colour}"></i>{esc(arm.label)}'
        body.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    titles = f'<thead><tr><th scope="col">{esc(words("arm"))}</th>{head}</tr></thead>'
    drawn = f'<table class="plain">{titles}<tbody>{"".join(body)}</tbody></table>'
    caption = esc(_evidence_caption(shown, results, words))
    return f'<div class="scroll">{drawn}</div><p class="caption">{caption}</p>'


def _evidence_caption(
    shown: Sequence[tuple[Arm, Mapping[str, float | None]]], results: Mapping[str, Any], words: Wording
) -> str:
    said = [words("evidence_caption")]
    if any(parts["se_image"] is not None for _, parts in shown):
        said.append(words("evidence_images"))
    noise = table(results.get("noise"))
    sd, share = number(noise.get("sd")), number(noise.get("image_share"))
    if sd is not None:
        runs, rho = whole(noise.get("runs")), decimal(number(noise.get("rho")), 2)
        left = "–" if share is None else f"{100 * share:.0f} %"
        said.append(words("noise_line", sd=decimal(sd, 2), runs=runs or "?", rho=rho, share=left))
    return ("" if words.lang == "zh" else " ").join(said)


def variance_parts(evidence: Evidence) -> dict[str, float | None]:
    """The numbers of `COLUMNS` that a verdict's evidence holds; None for those it does not."""
    roots = {"se_seed": evidence.v_seed, "se_image": evidence.v_img, "se_both": evidence.v_int}
    found = {key: _known(variance**0.5 if variance >= 0 else math.nan) for key, variance in roots.items()}
    return found | {
        "sd_base": _known(evidence.sd_base),
        "sd_arm": _known(evidence.sd_arm),
        "se_total": _known(evidence.se),
        "df_head": _known(evidence.df),
        "critical": _known(evidence.critical),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def look_line(comparison: Mapping[str, Any], words: Wording) -> str:
    """At which look a verdict fell; empty for a study with one look or without the facts."""
    look = table(comparison.get("look"))
    plan = [n for n in map(whole, rows(look.get("of"))) if n is not None]
    seeds, alpha = whole(look.get("seeds")), number(look.get("alpha"))
    if len(plan) < 2 or seeds is None or alpha is None:
        return ""
    shown = words("list_comma").join(map(str, plan))
    key = "look_taken" if look.get("open") else "look_fell"
    return words(key, seeds=seeds, alpha=f"{alpha:g}", plan=shown)


def control_line(arm: Arm, words: Wording) -> str:
    """What a control arm controls for; empty for any other arm."""
    known = ("identity", "placebo", "next-scale")
    return words(f"control_{arm.control}", of=arm.of or "?") if arm.control in known else ""


def placebo_line(comparison: Mapping[str, Any], words: Wording) -> str:
    """A graft against its own placebo; empty where it has none."""
    found = table(comparison.get("placebo"))
    delta, label = number(found.get("delta")), words_of(found.get("against"))
    if delta is None:
        return ""
    ends = interval(number(found.get("low")), number(found.get("high")))
    return words("placebo_line", label=label or "?", delta=signed(delta), ends=f" {ends}" if ends else "")


def where_section(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    """A figure for every kind of part, exploratory and said to be; an empty string without rows."""
    tables = read_where(results)
    figures = []
    for kind in KINDS:
        own = [t for t in tables if t.kind == kind]
        svg, narrow = (where_chart(own, arms, words=words, width=width) for width in (WIDTH, NARROW))
        if svg:
            caption = _caption(own, words)
            caption += words("where_error_note") if kind == ERROR else ""
            caption = words("where_titled", title=words(f"where_{kind}"), caption=caption)
            figures.append(framed(svg, caption, wide=False, narrow=narrow))
    if not figures:
        return ""
    return f'<p class="notice">{esc(words("where_lead"))}</p><div class="pair">{"".join(figures)}</div>'


def _caption(tables: Sequence[WhereTable], words: Wording) -> str:
    first = next((t for t in tables if t.level and any(row.low is not None for row in t.rows)), None)
    if first is None:
        return words("where_caption_none")
    scope = words.verdict(first.scope or SPLIT_ONLY)
    return words("where_caption", level=percent(first.level), rule=first.rule or "–", scope=scope)
