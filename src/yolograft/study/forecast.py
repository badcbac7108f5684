"""What a study would take before it is started: seeds, images and hours for a difference, on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from yolograft.data.source import open_dataset
from yolograft.engine.arm import Arm
from yolograft.engine.recipe import Recipe
from yolograft.engine.train import Settings
from yolograft.graph.spec import ModelSpec
from yolograft.models.codebook import Codebook, code_of
from yolograft.study.budget import (
    Outlook,
    budget_rows,
    limited_by_images,
    outlook_of_bank,
    outlook_of_pilot,
    outlook_of_prior,
    seconds_of_pilot,
    within,
)
from yolograft.study.planning.arms import judged_against
from yolograft.study.planning.create import create_study
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.planning.plan import Plan
from yolograft.study.records.bank_match import key_of
from yolograft.study.records.studyrecord import StudyRecord, read_study
from yolograft.study.results import results_of
from yolograft.study.teacher import teacher_of, with_lessons
from yolograft.study.trial import seconds_per_epoch

# Beside the margin asked for; they show how fast the price falls.
DIFFERENCES = (0.5, 1.0, 2.0, 4.0)


def forecast(
    plan: Plan, code: Codebook, *, pilot: Path | None = None, hours: float | None = None, trial: bool = True
) -> dict[str, Any]:
    """The price of every difference, as JSON values; nothing is left on disk.

    Args:
        plan: of the study as it would be started; its seeds do not matter, its margin is among the rows.
        pilot: run or record folder whose noise and speed stand for the planned one.
        hours: a budget to say what it can see.
        trial: whether a few steps may be timed where there is no pilot of this model and machine.

    Raises:
        YolograftError: the study could not be planned, or the pilot is none (YG638).
    """
    with tempfile.TemporaryDirectory() as folder:
        manifest = read_manifest(create_study(plan, base=Path(folder), name="plan", code=code))
    piloted = None if pilot is None else read_study(pilot)
    another = _another(manifest, piloted.manifest) if piloted else ""
    outlook = _outlook(manifest, piloted, another)
    outlook = _timed(outlook, manifest, plan, code, pilot=piloted, trial=trial)
    rows = budget_rows(outlook, (*DIFFERENCES, plan.margin))
    return {
        "model": manifest["model"],
        "data": manifest["data"]["name"],
        "train_images": manifest["data"]["train"]["images"],
        "eval_images": manifest["data"]["eval"]["images"],
        "epochs": manifest["recipe"]["epochs"],
        "margin": plan.margin,
        "arms": outlook.arms,
        "sd": outlook.sd,
        "planned_sd": outlook.planned_sd,
        "source": outlook.source,
        "pilot_of_another": another,
        "df": outlook.df,
        "image_variance": outlook.image_variance if outlook.units else None,
        "units": outlook.units,
        "bank_df": outlook.bank_df,
        "seconds_per_seed": outlook.seconds,
        "timed": outlook.timed,
        "rows": [row | {"limited_by_images": limited_by_images(row, outlook)} for row in rows],
        "budget": within(outlook, hours) if hours is not None else None,
    }


def _outlook(manifest: Mapping[str, Any], pilot: StudyRecord | None, another: str) -> Outlook:
    """The noise, from the bank, the pilot or a prior, in this order; images' part from the pilot alone."""
    pairs = judged_against(manifest["arms"], across=manifest["across"])
    arms = max(sum(len(others) for _, others in pairs), 1)
    found = outlook_of_prior(manifest["data"]["train"]["images"])
    if pilot is not None:
        images = int(manifest["data"]["eval"]["images"])
        found = outlook_of_pilot(pilot, results_of(pilot)["noise"], images=images, another=another)
    if manifest["bank"]:
        lent = outlook_of_bank([row["values"] for row in manifest["bank"]])
        # The bank lends to the first model's verdicts alone; the plan holds for all.
        df = lent.bank_df if len(pairs) == 1 else 0
        found = replace(lent, image_variance=found.image_variance, units=found.units, bank_df=df)
    return replace(found, arms=arms)


def _timed(
    outlook: Outlook,
    manifest: Mapping[str, Any],
    plan: Plan,
    code: Codebook,
    *,
    pilot: StudyRecord | None,
    trial: bool,
) -> Outlook:
    """The outlook with the seconds that one seed of all arms takes."""
    recipe = Recipe.model_validate(manifest["recipe"])
    arms = [Arm(a["label"], spec, code_of(spec, code)) for a in manifest["arms"] for spec in [_spec(a)]]
    arms = with_lessons(arms, manifest["arms"], teacher_of(manifest, code))
    # A study without a graft named yet is reckoned with one as dear as its baseline.
    count = max(len(arms), 2)
    # What arms share up to their branch is trained once.
    shared = manifest["branch_at"] or 0
    epochs = count * (recipe.epochs - shared) + shared
    if pilot is not None and _pace_of(manifest) == _pace_of(pilot.manifest):
        seconds = seconds_of_pilot(pilot, images=manifest["data"]["train"]["images"], epochs=epochs)
        if seconds is not None:
            return replace(outlook, seconds=seconds, timed="images a second of the pilot's runs")
    if not trial:
        return outlook
    records = open_dataset(plan.data).split("train")
    settings = Settings(plan.device, precision=manifest["environment"]["precision"])
    epoch = seconds_per_epoch(arms, records, recipe, settings=settings) / len(arms)
    return replace(outlook, seconds=epoch * epochs, timed="a few steps timed here, evaluation not counted")


def _another(manifest: Mapping[str, Any], pilot: Mapping[str, Any]) -> str:
    """In which respect a pilot is another experiment than the planned one; empty where it is the same."""
    planned, piloted = (key_of(one, _first_arm(one)["label"]) for one in (manifest, pilot))
    apart = (manifest["branch_at"] is None) != (pilot["branch_at"] is None)
    lessons = _lessons(manifest) != _lessons(pilot)
    return planned.differs(piloted) or ("distillation" if lessons else "design" if apart else "")


def _first_arm(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first baseline, or the first arm of a study without one."""
    arms = manifest["arms"]
    return next((arm for arm in arms if arm["baseline"]), arms[0])


def _lessons(manifest: Mapping[str, Any]) -> list[object]:
    """By which methods and from whom the first arm learns; nothing for one without a teacher."""
    methods = _first_arm(manifest).get("distill")
    return [methods, manifest["teacher"]["sha256"]] if methods else []


def _pace_of(manifest: Mapping[str, Any]) -> list[object]:
    """What the images a second of a study depend on, what its grafts cost left aside."""
    specs = sorted(arm["spec_sha256"] for arm in manifest["arms"] if arm["baseline"])
    machine = [manifest["environment"].get(key) for key in ("device", "precision", "threads")]
    teacher = (manifest["teacher"] or {}).get("sha256")
    return [specs, list(manifest["recipe"]["imgsz"]), machine, teacher]


def _spec(arm: Mapping[str, Any]) -> ModelSpec:
    return ModelSpec.from_json(arm["spec"])
