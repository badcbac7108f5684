"""The methods paragraph of a paper: what was done, every number from the study, nothing else claimed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from yolograft.engine.optim import warmup_steps
from yolograft.engine.recipe import Recipe
from yolograft.study.holes import number, rows, table, whole, words_of
from yolograft.study.paper.citations import keys_of_graft
from yolograft.study.paper.judged_how import controls as controls_said
from yolograft.study.paper.judged_how import design, interval_said
from yolograft.study.report.notation import decimal
from yolograft.study.report.reading import Arm, read_arms
from yolograft.study.report.subject import detector_line, failures, partial_notice, seeds_behind, seeds_run
from yolograft.study.report.tables import image_size
from yolograft.study.report.wording import Wording


def methods_paragraph(results: Mapping[str, Any], *, lang: str = "en", cite: bool = False) -> str:
    """Two paragraphs of plain text: how arms were trained, then how the difference was judged.

    Args:
        results: a parsed ``results.json``; a sentence whose numbers are missing is left out.
        cite: name papers as ``[key]`` of `citations.bibtex`.

    Raises:
        StudyError: YG620, a language that the report does not speak.
    """
    words, arms = Wording(lang), read_arms(results)
    trained = [_question(results, arms, words, cite), _data(results, words), _budget(results, arms, words)]
    trained += [_optimiser(results, words), _start(results, words), _machine(results, words)]
    judged = [_measure(results, words), *design(results, arms, words), *interval_said(results, arms, words)]
    judged += [*controls_said(arms, words, cite=cite), _margin(results, words), *failures(arms, words)]
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
    named = words("list_semicolon").join(_named(arm, cite) for arm in grafts)
    return words("m_question", model=model, data=data or "?", grafts=named)


def _named(arm: Arm, cite: bool) -> str:
    """The expression of a graft, and behind it the papers of its own modules."""
    keys = keys_of_graft(arm.expression) if cite else ()
    return " ".join([arm.expression or arm.label, *(f"[{key}]" for key in keys)])


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


def _budget(results: Mapping[str, Any], arms: tuple[Arm, ...], words: Wording) -> str:
    budget = table(results.get("budget"))
    epochs, batch, size = whole(budget.get("epochs")), whole(budget.get("batch")), image_size(results)
    counts = seeds_run(results, arms)
    if epochs is None or batch is None or not size or not counts:
        return ""
    listed = words("list_comma").join(map(words_of, rows(budget.get("seeds"))[: max(counts)]))
    key = "m_budget" if len(rows(results.get("arms"))) > 1 else "m_budget_alone"
    alike = min(counts) == max(counts)
    key = key if alike else "m_budget_looks"
    return words(key, epochs=epochs, batch=batch, imgsz=size, count=seeds_behind(counts), seeds=listed)


def _optimiser(results: Mapping[str, Any], words: Wording) -> str:
    """What was run, not what was written: rate, warm-up and plain epochs as the engine takes them."""
    recipe = _recipe(results)
    if recipe is None:
        return ""
    data = table(results.get("data"))
    classes, images = len(rows(data.get("names"))), whole(table(data.get("train")).get("images"))
    steps = -(-images // recipe.batch) if images else 0
    ramp = warmup_steps(recipe, total_steps=steps * recipe.epochs, steps_per_epoch=steps) if steps else None
    known = recipe.lr != "auto" or classes
    values = {
        "optimizer": {"adamw": "AdamW", "sgd": "SGD"}[recipe.optimizer],
        "lr": f"{recipe.peak_lr(classes):g}" if known else words("m_lr_auto"),
        "weight_decay": f"{recipe.weight_decay:g}",
        "ema_decay": f"{recipe.ema_decay:g}",
        "ema_tau": f"{recipe.ema_tau:g}",
    }
    said = [words("m_optimiser", **values)]
    if ramp:
        said.append(words("m_warmup", steps=f"{ramp:.0f}", epochs=f"{ramp / steps:.2g}"))
    plain = recipe.plain_epochs() if recipe.augment.mosaic else 0
    if plain:
        said.append(words("m_mosaic_one" if plain == 1 else "m_mosaic", epochs=plain))
    if len(rows(results.get("arms"))) > 1:
        said.append(words("m_same_recipe"))
    return ("" if words.lang == "zh" else " ").join(said)


def _recipe(results: Mapping[str, Any]) -> Recipe | None:
    """The recipe of a study; None where it is unknown, or not one that this version reads."""
    raw = table(results.get("recipe"))
    if not raw:
        return None
    budget = {key: table(results.get("budget")).get(key) for key in ("epochs", "batch")}
    try:
        return Recipe.model_validate({key: v for key, v in budget.items() if v is not None} | dict(raw))
    except ValidationError:
        return None


def _start(results: Mapping[str, Any], words: Wording) -> str:
    known, teacher = results.get("from_weights"), table(results.get("teacher"))
    said = [] if known is None else [words("m_weights" if known else "m_scratch")]
    if known:
        said += _tuning(results, words)
    if teacher:
        sha256 = words_of(teacher.get("sha256"))[:12]
        said.append(words("m_teacher", model=words_of(teacher.get("model")) or "?", sha256=sha256))
    return ("" if words.lang == "zh" else " ").join(said)


def _tuning(results: Mapping[str, Any], words: Wording) -> list[str]:
    """How kept tensors were trained otherwise than new ones; nothing where all were treated alike."""
    recipe = _recipe(results)
    if recipe is None:
        return []
    said = []
    if (recipe.kept_lr, recipe.new_lr) != (1, 1):
        said.append(words("m_rates", kept=f"{recipe.kept_lr:g}", new=f"{recipe.new_lr:g}"))
    if recipe.new_warmup_epochs != "auto":
        said.append(words("m_new_warmup", epochs=f"{recipe.new_warmup_epochs:g}"))
    if recipe.freeze_epochs:
        part = words("m_frozen_backbone") if recipe.freeze == "backbone" else ""
        said.append(words("m_frozen", part=part, epochs=recipe.freeze_epochs))
    return said


def _machine(results: Mapping[str, Any], words: Wording) -> str:
    budget, about = table(results.get("budget")), table(results.get("environment"))
    versions = [f"{name} {words_of(about.get(name))}" for name in ("yolograft", "torch") if about.get(name)]
    if not versions:
        return ""
    shown = {"versions": words("list_comma").join(versions), "device": words_of(budget.get("device")) or "?"}
    return words("m_machine", precision=words_of(budget.get("precision")) or "?", **shown)


def _measure(results: Mapping[str, Any], words: Wording) -> str:
    return words("m_measure")


def _margin(results: Mapping[str, Any], words: Wording) -> str:
    margin = number(results.get("margin"))
    return "" if margin is None else words("m_margin", margin=decimal(margin, 2).rstrip("0").rstrip("."))


def _hashes(results: Mapping[str, Any], words: Wording) -> str:
    recipe = words_of(results.get("recipe_sha256"))[:12]
    held = words_of(table(table(results.get("data")).get("eval")).get("fingerprint"))[:12]
    return words("m_hashes", recipe=recipe, data=held) if recipe and held else ""
