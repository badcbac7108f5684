"""One self-contained `report.html` per study: the answer first, then the figures, then how it was run.

The page holds no script and loads nothing: styles, figures and pictures are inside it, and a content
security policy in its head says so. Every number comes from `results` and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from yolograft.study.holes import number, rows, table, whole, words_of
from yolograft.study.report import charts, tables
from yolograft.study.report.curves import curve_chart
from yolograft.study.report.evidence_section import (
    comparisons,
    control_line,
    evidence_section,
    look_line,
    placebo_line,
    where_section,
)
from yolograft.study.report.fusion_figure import fusion_chart
from yolograft.study.report.gallery import Sample
from yolograft.study.report.maps import MAPS, MapPanel, read_maps
from yolograft.study.report.methods_section import methods_section
from yolograft.study.report.notation import interval, percent, signed
from yolograft.study.report.placement_figure import placement_figure
from yolograft.study.report.reading import (
    Arm,
    Difference,
    class_names,
    compared,
    contrasted,
    judged,
    levels_of,
    read_arms,
    with_interval,
)
from yolograft.study.report.sections import (
    ablation_section,
    confusion_section,
    framed,
    rate_section,
    sample_section,
    warning_list,
)
from yolograft.study.report.subject import (
    detector_line,
    models_note,
    partial_notice,
    seeds_behind,
    seeds_run,
    stopped_note,
    unsound_notice,
)
from yolograft.study.report.svg import esc
from yolograft.study.report.wording import Wording, split_verdict
from yolograft.study.statistics.verdict import judge

__all__ = ["Sample", "render_report", "write_report"]

SIGNS = {"helps": "▲", "hurts": "▼", "no detectable difference": "≈"}


def write_report(
    results: Mapping[str, Any], out: Path, *, samples: Sequence[Sample] = (), lang: str = "en"
) -> Path:
    """Write the report of a study to the file `out`, whole or not at all, and return `out`.

    Args:
        results: a parsed `results.json`; AP, P, R, F1 and differences in points, 0 to 100. Anything in it
            may be missing, null or not finite: a study in progress renders too.
        samples: images for the gallery, in the order shown; maps that `explain` left beside ``out`` join
            them.
        lang: ``en`` or ``zh``.

    Raises:
        StudyError: YG620, a language that the report does not speak.
    """
    page = render_report(results, samples=samples, maps=read_maps(out.parent / MAPS), lang=lang)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return out


def render_report(
    results: Mapping[str, Any],
    *,
    samples: Sequence[Sample] = (),
    maps: Mapping[str, Sequence[MapPanel]] | None = None,
    lang: str = "en",
) -> str:
    """The report as one HTML document; arguments as in `write_report`. maps: image id -> panels."""
    words, arms = Wording(lang), read_arms(results)
    sections = [
        ("answer", _answer(results, arms, words)),
        ("intervals", _result_figures(results, arms, words)),
        ("evidence", evidence_section(results, arms, words)),
        ("results", _results(results, arms, words)),
        (_ablation_key(results), ablation_section(results, arms, words)),
        ("where", where_section(results, arms, words)),
        ("placement", _placement(arms, words)),
        ("curves", _curves(arms, words)),
        ("rates", rate_section(arms, words)),
        ("classes", _classes(arms, words)),
        ("confusion", confusion_section(results, arms, words)),
        ("cost", _cost(results, arms, words)),
        ("samples", sample_section(samples, arms, words, maps=maps)),
        ("how", _how(results, words)),
        ("methods", methods_section(results, words)),
        ("limits", _limits(results, arms, words)),
    ]
    body = [
        f'<section id="{key}"><h2>{esc(words(key))}</h2>{content}</section>'
        for key, content in sections
        if content
    ]
    name = words_of(results.get("name")) or words_of(results.get("model")) or "yolograft"
    files = resources.files("yolograft.study.report") / "templates"
    style = (files / "report.css").read_text(encoding="utf-8")
    return Template((files / "report.html").read_text(encoding="utf-8")).substitute(
        lang={"en": "en", "zh": "zh-Hans"}[lang],
        title=esc(words("title", name=name)),
        style=style,
        name=esc(name),
        subtitle=esc(_subtitle(results, words)),
        notice=_notice(results, arms, words),
        sections="\n".join(body),
    )


def _ablation_key(results: Mapping[str, Any]) -> str:
    return "steps" if table(results.get("ablation")).get("cumulative") else "ablation"


def _subtitle(results: Mapping[str, Any], words: Wording) -> str:
    data, budget = table(results.get("data")), table(results.get("budget"))
    train, held = table(data.get("train")), table(data.get("eval"))
    seeds = seeds_behind(seeds_run(results, read_arms(results)))
    parts = [detector_line(results, words), words_of(data.get("name"))]
    if whole(train.get("images")) is not None:
        parts.append(words("train_images", images=whole(train.get("images"))))
    if whole(held.get("images")) is not None:
        split = words_of(held.get("split")) or "val"
        parts.append(words("eval_images", images=whole(held.get("images")), split=split))
    if rows(budget.get("seeds")):
        parts.append(words("one_seed") if seeds == "1" else words("seeds_count", count=seeds))
    if whole(budget.get("epochs")) is not None:
        parts.append(words("epochs", epochs=whole(budget.get("epochs"))))
    parts += [tables.image_size(results), words_of(results.get("created"))]
    return " · ".join(part for part in parts if part)


def _notice(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    said = (partial_notice(results, arms, words), unsound_notice(results, words))
    return "".join(f'<p class="notice">{esc(text)}</p>' for text in said if text)


def _answer(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    found = comparisons(results)
    shown = [(arm, found.get(arm.label, {})) for arm in judged(arms)] + contrasted(results, arms)
    cards = "".join(_card(arm, comparison, words) for arm, comparison in shown)
    cards = cards or f"<p>{esc(words('no_graft'))}</p>"
    scope, sees = words_of(results.get("scope")), words_of(results.get("sees"))
    label = f'<p class="scope">{esc(words("scope", scope=words.verdict(scope)))}</p>' if scope else ""
    seen = f"<p><b>{esc(words('sees'))}</b> {esc(words.verdict(sees))}</p>" if sees else ""
    warned = warning_list(results, words)
    return f'{label}<div class="cards">{cards}</div>{warned}{seen}{_diverged(arms, words)}'


def _card(arm: Arm, comparison: Mapping[str, Any], words: Wording) -> str:
    found = arm.difference
    verdict = found.qualified if found else ""
    sign = next((mark for word, mark in SIGNS.items() if verdict.startswith(word)), "○")
    # The word is large, what qualifies it (a condition, a number of seeds) stands under it.
    word, qualifier = split_verdict(verdict)
    lines = [
        f'<p class="arm"><i class="swatch" style="background:{arm.colour}"></i>{esc(arm.label)}</p>',
        f'<p class="verdict"><span aria-hidden="true">{sign}</span> '
        f"{esc(words.verdict(word) or words('no_verdict'))}</p>",
    ]
    if qualifier:
        lines.append(f'<p class="qualifier">{esc(words.verdict(qualifier))}</p>')
    if found and found.delta is not None:
        ends = interval(found.low, found.high)
        about = words("interval", level=percent(found.level)) if ends else words("no_interval")
        about += words("with_df", df=f"{found.df:.3g}") if ends and found.df is not None else ""
        about = f'<span class="muted">{esc(about)}</span>'
        lines.append(f'<p class="delta"><b>{signed(found.delta)} AP</b> {ends} {about}</p>')
    sentence, known = _said(found, words)
    if sentence:
        lines.append(f"<p>{esc(sentence.replace('->', '→'))}</p>")  # '->' may break in two
    if known:
        lines.append(f'<p class="muted">{esc(words("known"))}: {esc(known)}</p>')
    more = (placebo_line(comparison, words), look_line(comparison, words), control_line(arm, words))
    lines += [f'<p class="muted">{esc(line)}</p>' for line in more if line]
    if arm.expression and arm.expression != arm.label:
        lines.append(f'<p class="expression"><code>{esc(arm.expression)}</code></p>')
    return f'<article style="border-color:{arm.colour}">{"".join(lines)}</article>'


def _said(found: Difference | None, words: Wording) -> tuple[str, str]:
    """Sentence and what is known: as the judge wrote them in English, else said again from the evidence."""
    if found is None:
        return "", ""
    if words.lang != "en" and found.evidence is not None:
        return judge(found.evidence, lang=words.lang)[1:]
    return words.verdict(found.sentence), words.verdict(found.known)


def _diverged(arms: Sequence[Arm], words: Wording) -> str:
    lines = []
    for arm in arms:
        lost = [run.seed for run in arm.runs if run.status == "diverged"]
        if lost:
            note = words("diverged_note", count=len(lost), planned=len(arm.runs), seeds=", ".join(lost))
            lines.append(f'<p class="notice"><b>{esc(arm.label)}</b>: {esc(note)}</p>')
    return "".join(lines)


def _result_figures(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    margin = number(results.get("margin"))
    scope = words.verdict(words_of(results.get("scope")) or "this evaluation split")
    shown = compared(results, arms)
    key = "intervals_caption" if with_interval(arms) else "intervals_caption_none"
    caption = words(key, level=levels_of(shown), scope=scope)
    caption += words("contrasts_caption") if len(shown) > len(judged(arms)) else ""
    caption += words("margin_caption", margin=f"{margin:g}") if margin else ""
    widths = (charts.WIDTH, charts.NARROW)
    intervals = [charts.interval_chart(shown, margin=margin, words=words, width=width) for width in widths]
    pair = framed(intervals[0], caption, wide=False, narrow=intervals[1])
    seeds = [charts.seed_chart(arms, words=words, width=width) for width in widths]
    pair += framed(seeds[0], words("seeds_caption"), wide=False, narrow=seeds[1])
    return f'<div class="pair">{pair}</div>' if pair else ""


def _results(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    if not arms:
        return ""
    caption = words(
        "results_caption", imgsz=tables.image_size(results) or "?", device=tables.timed_on(results, words)
    )
    results_table = f'<div class="scroll">{tables.result_table(arms, words=words)}</div>'
    parts = [results_table, f'<p class="caption">{esc(caption)}</p>']
    for note in filter(None, (stopped_note(arms, words), models_note(results, words))):
        parts.append(f'<p class="caption">{esc(note)}</p>')
    seeds = tables.seed_table(arms, words=words)
    if seeds:
        marked = any(run.best for arm in arms for run in arm.done)
        note = esc(words("seed_table_caption") + (f" {words('best_note')}" if marked else ""))
        parts.append(f'<div class="scroll">{seeds}</div><p class="caption">{note}</p>')
    return "".join(parts)


def _placement(arms: Sequence[Arm], words: Wording) -> str:
    shown = [arm for arm in arms if not arm.baseline and arm.layers] or [arm for arm in arms if arm.layers]
    parts = []
    for arm in shown:
        key = "placement_plain" if arm.baseline else "placement_caption"
        figure = placement_figure(arm.layers, colour=arm.colour, words=words)
        parts.append(framed(figure, words(key, label=arm.label)))
    return "".join(parts)


def _curves(arms: Sequence[Arm], words: Wording) -> str:
    drawn = [curve_chart(arms, metric, words=words) for metric in ("loss", "ap")]
    panels = "".join(f"<div>{svg}</div>" for svg in drawn if svg)
    caption = f"<figcaption>{esc(words('curves_caption'))}</figcaption>"
    parts = [f'<figure class="wide"><div class="panels">{panels}</div>{caption}</figure>'] if panels else []
    parts += [
        framed(fusion_chart(arm, words=words), words("fusion_caption", label=arm.label)) for arm in arms
    ]
    return "".join(parts)


def _classes(arms: Sequence[Arm], words: Wording) -> str:
    total = len(class_names(tuple(arms)))
    caption = words("classes_caption")
    if total > charts.MAX_CLASSES:
        caption += words("classes_cut", shown=charts.MAX_CLASSES, total=total)
    return framed(charts.class_chart(arms, words=words), caption)


def _cost(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    return framed(
        charts.cost_chart(arms, words=words), words("cost_caption", device=tables.timed_on(results, words))
    )


def _how(results: Mapping[str, Any], words: Wording) -> str:
    command = words_of(results.get("command"))
    shown = f"<h3>{esc(words('command'))}</h3><pre><code>{esc(command)}</code></pre>" if command else ""
    return shown + tables.method_tables(results, words=words)


def _limits(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    scope = words_of(results.get("scope"))
    split_only = not scope or "this evaluation split" in scope
    verdicts = [arm.difference.verdict if arm.difference else "" for arm in judged(arms)]
    few = any(0 < len(arm.done) < 3 for arm in arms)
    unsure = any(not v.startswith(("helps", "hurts")) for v in verdicts)
    chosen: list[tuple[bool, Callable[[], str]]] = [
        (split_only, lambda: words("limit_split")),
        (not split_only, lambda: words("limit_scope", scope=words.verdict(scope))),
        (True, lambda: words("limit_budget")),
        (bool(models_note(results, words)), lambda: models_note(results, words)),
        (few, lambda: words("limit_few")),
        (unsure, lambda: words("limit_none")),
        (True, lambda: words("limit_last")),
        (True, lambda: words("limit_columns")),
        (True, lambda: words("limit_speed")),
    ]
    return f"<ul>{''.join(f'<li>{esc(say())}</li>' for holds, say in chosen if holds)}</ul>"
