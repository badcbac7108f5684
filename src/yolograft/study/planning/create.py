"""Checks what is asked of a study and writes it down before its first step: the manifest.

Everything that shapes the outcome is in it; a run, a resumed run and a report read nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolograft.data.records import Dataset, ImageRecord
from yolograft.data.source import open_dataset
from yolograft.engine.arm import Arm
from yolograft.engine.batchsize import choose_batch
from yolograft.engine.checkpoint import write_json
from yolograft.engine.criteria import check_loss_settings
from yolograft.engine.device import environment, open_fabric, resolve_precision
from yolograft.engine.finetune import check_fine_tuning
from yolograft.engine.foreignfolder import read_source
from yolograft.engine.modelfolder import StoredModel
from yolograft.engine.recipe import Recipe
from yolograft.engine.runfolder import new_run_folder
from yolograft.errors import StudyError
from yolograft.graph.expr import folder_name
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import model_spec
from yolograft.models.catalog import FAMILIES
from yolograft.models.codebook import Codebook, code_of
from yolograft.models.modelfile import is_model_file, read_model
from yolograft.study.planning.anchors import anchors_of_weights
from yolograft.study.planning.arms import (
    PlannedArm,
    check_labels,
    fitted_anchors,
    judged_against,
    planned_arms,
)
from yolograft.study.planning.branching import branch_epoch, check_branches
from yolograft.study.planning.checks import check_plan, check_size, check_sizes, check_splits, check_weights
from yolograft.study.planning.contrasts import check_contrasts
from yolograft.study.planning.controls import NEXT_SCALE, control_arms, control_rows, next_scale
from yolograft.study.planning.earlier import follow, tried_in
from yolograft.study.planning.facts import arm_facts, data_facts
from yolograft.study.planning.grouping import group_facts
from yolograft.study.planning.manifest import MANIFEST, SCHEMA, read_manifest
from yolograft.study.planning.plan import Plan
from yolograft.study.planning.sees import noise_of_bank, sees_line
from yolograft.study.planning.warnings import data_warnings
from yolograft.study.records.bank_match import match_bank
from yolograft.study.start import about_weights
from yolograft.study.statistics.bank import Bank, pooled
from yolograft.study.statistics.looks import look_alphas
from yolograft.study.teacher import about_teacher, check_teaching, open_teacher, read_teacher, with_lessons


def create_study(plan: Plan, *, base: Path, name: str, code: Codebook) -> Path:
    """Check everything, make a run folder and write the manifest.

    Raises:
        YolograftError: data, model, graft or folder is wrong; nothing has been trained then.
    """
    check_plan(plan)
    earlier = follow({run: read_manifest(run) for run in plan.follows}, plan.seeds)
    check_fine_tuning(plan.recipe, weights=bool(plan.weights))
    precision = resolve_precision(plan.recipe, plan.device)
    open_fabric(plan.device, precision)
    dataset = open_dataset(plan.data)
    train, held_out = dataset.split("train"), dataset.eval_split
    check_splits(dataset, train, held_out)
    groups = group_facts(dataset.split(held_out), plan.group)
    source = read_source(Path(plan.weights), force=plan.force) if plan.weights else None
    stock, anchors = _stock(plan, source, dataset, train, code)
    planned, controls = _arms(plan, stock, code)
    arms = [arm_facts(item, stock[item.model], code, branch=plan.branch) for item in planned]
    _check_arms(plan, planned, arms, code)
    data = data_facts(plan.data, dataset, held_out)
    each, teacher = _each(plan, planned, arms, data, code)
    check_weights(source, each, plan)
    recipe, choice = _recipe(plan, each, precision, images=len(train))
    manifest = {
        "schema": SCHEMA,
        "kind": plan.kind,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "command": plan.command,
        "model": ", ".join(plan.models),
        "models": list(plan.models),
        "across": plan.across,
        "levels": list(plan.levels),
        "anchors": anchors or None,
        "family": planned[0].spec.family,
        "data": data,
        "arms": arms,
        "ablation": plan.ablation,
        **about_weights(plan.weights, source, force=plan.force),
        "teacher": teacher,
        "code": {ref: {"sha256": user.sha256, "source": user.source} for ref, user in code.items()},
        "seeds": list(plan.seeds),
        **_judged_by(plan),
        **groups,
        "controls": controls,
        "contrasts": [list(pair) for pair in plan.contrasts],
        "branch_at": branch_epoch(recipe) if plan.branch else None,
        **earlier,
        "recipe": recipe.to_json(),
        "recipe_sha256": recipe.digest(),
        "recipe_file": plan.recipe_file,
        "batch_choice": choice,
        "device": plan.device,
        "environment": environment(plan.device, precision),
        "warnings": data_warnings(dataset, "train", held_out),
    }
    manifest["bank"] = _bank(manifest, plan.bank)
    manifest["sees"] = _sees(manifest)
    return _written(manifest, new_run_folder(base, folder_name(name)), code)


def _stock(
    plan: Plan,
    source: StoredModel | None,
    dataset: Dataset,
    train: Sequence[ImageRecord],
    code: Codebook,
) -> tuple[dict[str, ModelSpec], list[dict[str, Any]]]:
    """The ungrafted detector of every model and next scale, and what became of anchors, for the manifest.

    Those of trained weights come first: from them, anchors for the training images are chosen.
    """
    classes = len(dataset.names)
    larger = [next_scale(m) for m in plan.models] if NEXT_SCALE in plan.controls else []
    models = dict.fromkeys((*plan.models, *larger))
    stock = {m: model_spec(m, num_classes=classes, levels=plan.levels, code=code) for m in models}
    rows = []
    if source is not None:
        for model, spec in stock.items():
            own = is_model_file(model) and bool(read_model(model, code=code).file.anchors)
            stock[model], row = anchors_of_weights(spec, source.spec, own=own)
            rows += [{"model": model, **row}] if row else []
    if plan.anchors:
        for model, choice in fitted_anchors(stock, train, imgsz=plan.recipe.imgsz).items():
            stock[model] = choice.spec
            rows.append({"model": model, **choice.to_json()})
    return stock, rows


def _arms(
    plan: Plan, stock: Mapping[str, ModelSpec], code: Codebook
) -> tuple[list[PlannedArm], list[dict[str, Any]]]:
    """All arms, and what the manifest says of those that are controls."""
    planned = planned_arms({m: stock[m] for m in plan.models}, plan.grafts, baseline=plan.baseline)
    larger = {m: stock[next_scale(m)] for m in plan.models} if NEXT_SCALE in plan.controls else {}
    controls, missing = control_arms(planned, plan.controls, larger, code=code)
    check_labels([*planned, *controls])
    check_contrasts(
        plan.contrasts,
        {arm.label: arm.model for arm in (*planned, *controls)},
        bases=[arm.label for arm in planned if arm.baseline],
        looks=len(plan.looks_planned),
        across=plan.across,
    )
    return [*planned, *controls], control_rows(controls, missing)


def _check_arms(
    plan: Plan, planned: Sequence[PlannedArm], facts: Sequence[Mapping[str, Any]], code: Codebook
) -> None:
    for item in planned:
        check_loss_settings(FAMILIES[item.spec.family], plan.recipe)
    check_sizes(facts, plan.recipe)
    if plan.branch:
        check_branches(planned, plan.recipe, code=code)


def _each(
    plan: Plan,
    planned: Sequence[PlannedArm],
    rows: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    code: Codebook,
) -> tuple[list[Arm], dict[str, Any] | None]:
    """The arms as they are trained, and what the manifest says of the teacher, once all go together."""
    arms = [Arm(item.label, item.spec, code_of(item.spec, code)) for item in planned]
    if not plan.teacher:
        return arms, None
    stored = read_teacher(plan.teacher)
    about = about_teacher(plan.teacher, stored)
    teacher = open_teacher(stored, about, code)
    check_size(plan.recipe, stride=teacher.detector.stride, model=f"the teacher, {about['model']},")
    arms = with_lessons(arms, rows, teacher)
    check_teaching(arms, about, data)
    return arms, about


def _recipe(plan: Plan, arms: Sequence[Arm], precision: str, *, images: int) -> tuple[Recipe, str]:
    """The recipe with its batch, and how the batch was chosen where it was measured."""
    if not plan.auto_batch:
        return plan.recipe, ""
    found = choose_batch(arms, plan.recipe, device=plan.device, precision=precision, images=images)
    return plan.recipe.model_copy(update={"batch": found.batch}), found.why


def _judged_by(plan: Plan) -> dict[str, Any]:
    """When and how the study is judged; the bank is filled in when the rest of the manifest is known."""
    return {
        "looks": list(plan.looks_planned),
        "alpha_plan": list(look_alphas(plan.looks_planned)),
        "paired": plan.paired,
        "margin": plan.margin,
        "bank": [],
    }


def _bank(manifest: Mapping[str, Any], folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Earlier runs of the same baseline, copied in, so that a verdict needs no other folder.

    Raises:
        StudyError: none is of the same kind (YG644), or their noise differs (YG608).
    """
    if not folders:
        return []
    found = match_bank(folders, manifest)
    if not found.groups:
        why = found.skipped[0] if found.skipped else "no two runs of one machine"
        cause = f"--bank: no two earlier runs serve ({why})"
        raise StudyError("YG644", cause, fix="leave --bank out; --first-seed takes seeds nobody has")
    pooled(Bank(tuple(group.values for group in found.groups)), ())
    return [group.to_json() for group in found.groups]


def _sees(manifest: Mapping[str, Any]) -> str:
    """What the budget sees where it sees least; empty for a study that gives no verdict."""
    sizes = [len(others) for _, others in judged_against(manifest["arms"], across=manifest["across"])]
    if not sizes:
        return ""
    return sees_line(
        len(manifest["seeds"]),
        arms=min(sizes),
        verdicts=tried_in(manifest),
        alpha=manifest["alpha_plan"][-1],
        noise=noise_of_bank(manifest["bank"]),
        lent=len(sizes) == 1,
        paired=manifest["paired"],
    )


def _written(manifest: Mapping[str, Any], run: Path, code: Codebook) -> Path:
    """The run folder with its manifest and the text of the user's own classes, never run from there."""
    write_json(run / MANIFEST, manifest)
    for ref, user in code.items():
        folder = run / "code"
        folder.mkdir(exist_ok=True)
        name = Path(ref.rpartition("::")[0]).name
        (folder / f"{user.sha256[:12]}-{name}.txt").write_text(user.source, encoding="utf-8")
    return run
