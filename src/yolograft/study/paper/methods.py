"""The methods paragraph of a paper: what was done, every number from the study, nothing else claimed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from yolograft.study.paper.citations import bibtex_of, grafted_names, paper_of
from yolograft.study.report.holes import number, rows, table, whole, words_of
from yolograft.study.report.notation import decimal, percent
from yolograft.study.report.reading import Arm, levels_of, read_arms
from yolograft.study.report.subject import detector_line, failures, partial_notice
from yolograft.study.report.tables import image_size
from yolograft.study.report.wording import Wording

SPLIT_ONLY = "this evaluation split"


def methods_paragraph(results: Mapping[str, Any], *, lang: str = "en", cite: bool = False) -> str:
    """Two paragraphs of plain text: how arms were trained, then how the difference was judged.

    Args:
        results: a parsed ``results.json``; a sentence whose numbers are missing is left out.
        cite: name papers as ``[key]`` of `citations.bibtex`.

    Raises:
        StudyError: YG620, a language that the report does not speak.
    """
    words, arms = Wording(lang), read_arms(results)
    trained = [_question(results, arms, words, cite), _data(results, words), _budget(results, words)]
    trained += [_optimiser(results, words), _start(results, words), _machine(results, words)]
    judged = [_measure(results, words), _design(results, arms, words), _interval(results, arms, words)]
    judged += [*_controls(arms, words), _margin(results, words), *failures(arms, words)]
    judged += [partial_notice(results, arms, words), _hashes(results, words)]
    gap = "" if lang == "zh" else " "
    return "\n\n".join(gap.join(said for said in part if said) for part in (trained, judged)).strip()


def _question(results: Mapping[str, Any], arms: tuple[Arm, ...], words: Wording, cite: bool) -> str:
    grafts = [arm for arm in arms if not arm.baseline and not arm.control]
    model, data = detector_line(results, words), words_of(table(results.get("data")).get("name"))
    if not model:
        return ""
    if not grafts:
        return words("m_question_alone", model=model, data=data or "?")
    keys = {
        name: bibtex_of(paper_of(name)).partition("{")[2].partition(",")[0] for name in grafted_names(results)
    }
    named = words("list_semicolon").join(arm.expression or arm.label for arm in grafts)
    cited = (
        words("list_comma").join(f"[{key}]" for key in dict.fromkeys(keys.values()) if key) if cite else ""
    )
    named += f" {cited}" if cited else ""
    return words("m_question", model=model, data=data or "?", grafts=named)


def _data(results: Mapping[str, Any], words: Wording) -> str:
    data = table(results.get("data"))
    train, held = table(data.get("train")), table(data.get("eval"))
    counts = [whole(part.get(key)) for part in (train, held) for key in ("images", "boxes")]
    if None in counts:
        return ""
    keys = ("train_images", "train_boxes", "eval_images", "eval_boxes")
    shown = {key: f"{count:,}" for key, count in zip(keys, counts, strict=True)}
    classes = len(rows(data.get("names")))
    return words("m_data", classes=classes, split=words_of(held.get("split")) or "val", **shown)


def _budget(results: Mapping[str, Any], words: Wording) -> str:
    budget = table(results.get("budget"))
    epochs, batch, seeds = whole(budget.get("epochs")), whole(budget.get("batch")), rows(budget.get("seeds"))
    size = image_size(results)
    if epochs is None or batch is None or not size or not seeds:
        return ""
    listed = words("list_comma").join(map(words_of, seeds))
    key = "m_budget" if len(rows(results.get("arms"))) > 1 else "m_budget_alone"
    return words(key, epochs=epochs, batch=batch, imgsz=size, count=len(seeds), seeds=listed)


def _optimiser(results: Mapping[str, Any], words: Wording) -> str:
    recipe = table(results.get("recipe"))
    name = words_of(recipe.get("optimizer"))
    if not name:
        return ""
    names = {"adamw": "AdamW", "sgd": "SGD"}
    known = ("lr", "weight_decay", "warmup_epochs", "ema_decay", "close_mosaic")
    values = {key: _plain(recipe.get(key)) for key in known}
    if not all(values.values()):
        return ""
    rate = words("m_lr_auto") if values["lr"] == "auto" else values["lr"]
    return words("m_optimiser", optimizer=names.get(name, name), **(values | {"lr": rate}))


def _plain(value: object) -> str:
    """A setting as text: numbers without a needless fraction, words as they are."""
    known = number(value)
    return words_of(value) if known is None else f"{known:g}"


def _start(results: Mapping[str, Any], words: Wording) -> str:
    known = results.get("from_weights")
    return "" if known is None else words("m_weights" if known else "m_scratch")


def _machine(results: Mapping[str, Any], words: Wording) -> str:
    budget, about = table(results.get("budget")), table(results.get("environment"))
    versions = [f"{name} {words_of(about.get(name))}" for name in ("yolograft", "torch") if about.get(name)]
    if not versions:
        return ""
    shown = {"versions": words("list_comma").join(versions), "device": words_of(budget.get("device")) or "?"}
    return words("m_machine", precision=words_of(budget.get("precision")) or "?", **shown)


def _measure(results: Mapping[str, Any], words: Wording) -> str:
    return words("m_measure")


def _design(results: Mapping[str, Any], arms: tuple[Arm, ...], words: Wording) -> str:
    looks = [n for n in map(whole, rows(results.get("looks"))) if n is not None]
    alphas = [a for a in map(number, rows(results.get("alpha_plan"))) if a is not None]
    if len(looks) > 1 and len(alphas) == len(looks):
        seeds = words("list_comma").join(map(str, looks))
        levels = words("list_comma").join(f"{a:g}" for a in alphas)
        return words("m_looks", seeds=seeds, alphas=levels)
    return words("m_one_look") if len(arms) > 1 else ""


def _interval(results: Mapping[str, Any], arms: tuple[Arm, ...], words: Wording) -> str:
    found = [arm.difference for arm in arms if arm.difference and arm.difference.low is not None]
    if not found:
        return ""
    tried = max((d.evidence.tried for d in found if d.evidence), default=len(found))
    scope = words_of(results.get("scope")) or SPLIT_ONLY
    key = "m_interval_split" if scope.startswith(SPLIT_ONLY) else "m_interval_images"
    said = [words(key, level=levels_of(arms), scope=words.verdict(scope))]
    if results.get("paired") is True:
        said.append(words("m_paired"))
    alpha = next((d.evidence.alpha for d in found if d.evidence), math.nan)
    if tried > 1 and math.isfinite(alpha):
        said.append(words("m_tried", tried=tried, joint=percent(1 - alpha)))
    return ("" if words.lang == "zh" else " ").join(said)


def _controls(arms: tuple[Arm, ...], words: Wording) -> list[str]:
    kinds = dict.fromkeys(arm.control for arm in arms if arm.control)
    return [words(f"m_control_{kind}") for kind in kinds if kind in ("identity", "placebo", "next-scale")]


def _margin(results: Mapping[str, Any], words: Wording) -> str:
    margin = number(results.get("margin"))
    return "" if margin is None else words("m_margin", margin=decimal(margin, 2).rstrip("0").rstrip("."))


def _hashes(results: Mapping[str, Any], words: Wording) -> str:
    recipe = words_of(results.get("recipe_sha256"))[:12]
    held = words_of(table(table(results.get("data")).get("eval")).get("fingerprint"))[:12]
    return words("m_hashes", recipe=recipe, data=held) if recipe and held else ""
