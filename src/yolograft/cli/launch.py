"""From the options of ``compare`` and ``train`` to a finished run folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from yolograft.cli.options import AMP, Machine, Output, Training, read_imgsz, read_levels
from yolograft.cli.progress import TerminalProgress
from yolograft.cli.recipes import make_recipe
from yolograft.cli.results_table import result_lines
from yolograft.cli.terminal import print_json, say
from yolograft.engine.device import default_device
from yolograft.engine.foreignfolder import read_source
from yolograft.engine.interrupt import Interrupted
from yolograft.engine.recipe import Recipe
from yolograft.engine.recipefile import RecipeFile, read_recipe_file
from yolograft.engine.recorder import check_loggers
from yolograft.engine.train import Settings
from yolograft.errors import CheckpointError, SpecError
from yolograft.models.codebook import from_files, from_grafts
from yolograft.models.modelfile import from_model
from yolograft.models.usercode import UserClass
from yolograft.study.pick import model_folder
from yolograft.study.planning.anchors import anchor_rows
from yolograft.study.planning.create import create_study
from yolograft.study.planning.grouping import group_line
from yolograft.study.planning.manifest import MANIFEST, code_hashes, read_manifest
from yolograft.study.planning.plan import Plan
from yolograft.study.run import Execution, run_study
from yolograft.study.teacher import read_teacher

# The model a study is about where none is named, and the recipe where weights are given and none is named.
MODEL = "yolov8n"
FINE_TUNING = "finetune"
# The recipe with which models are judged against each other.
COMMON = "common"


def command_line() -> str:
    """What was typed, quoted so that it can be pasted into any shell."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return " ".join(f'"{w}"' if any(c in w for c in ":,=@+ ") else shlex.quote(w) for w in words)


def recipe_of(training: Training, *, file: RecipeFile | None = None, **demo: Any) -> Recipe:
    """The recipe the options ask for; `demo`, then `file`, where they do not say."""
    asked = {
        "epochs": training.epochs,
        "imgsz": read_imgsz(training.imgsz) if training.imgsz else None,
        "batch": None if training.batch == "auto" else training.batch,
        "precision": AMP[training.amp] if training.amp else None,
        "box_loss": training.box_loss,
    }
    given = {key: value for key, value in asked.items() if value is not None}
    return make_recipe(training.set, file=file, **{**demo, **given})


def plan_of(training: Training, machine: Machine, *, demo: Mapping[str, Any], **asked: Any) -> Plan:
    """The plan of a new study: what `compare` and `train` share, and what the verb itself `asked`.

    Raises:
        SpecError: ``--batch auto`` beside ``--set batch=`` (YG193); a wrong recipe or level.
        MachineError: a logger that is not there (YG707).
    """
    check_loggers(machine.logger)
    if training.batch == "auto" and any(text.partition("=")[0].strip() == "batch" for text in training.set):
        raise SpecError("YG193", "--batch auto and --set batch=", fix="leave one of them out")
    named = training.recipe or (FINE_TUNING if training.weights else None)
    file = read_recipe_file(named) if named else None
    # The demo's short run gives way to a recipe that the user chose.
    values = {} if training.recipe else demo
    return Plan(
        data=training.data or "shapes",
        recipe=recipe_of(training, file=file, **values),
        recipe_file=file.facts() if file else None,
        auto_batch=training.batch == "auto",
        levels=read_levels(training.levels),
        anchors=training.anchors or "",
        device=device_of(machine),
        command=command_line(),
        weights=weights_of(training),
        teacher=teacher_of(training),
        force=training.force,
        **asked,
    )


def weights_of(training: Training) -> str:
    """The model folder or file to start from; empty for a fresh start.

    Raises:
        SpecError: ``--force`` without weights (YG193).
    """
    if training.force and not training.weights:
        raise SpecError("YG193", "--force without --weights", fix="it is about weights that do not all fit")
    return str(model_folder(training.weights).resolve()) if training.weights else ""


def teacher_of(training: Training) -> str:
    """The model folder or file that teaches; empty without one.

    Raises:
        CheckpointError: it is a run of several models (YG407).
    """
    run = training.teacher
    if run is None:
        return ""
    if (run / MANIFEST).is_file():
        manifest = read_manifest(run)
        count = len(manifest["arms"]) * len(manifest["seeds"])
        if count > 1:
            cause, fix = (
                f"this run is of {count} models",
                "name the model folder: RUN/arms/LABEL/seed-K/model",
            )
            raise CheckpointError("YG407", cause, where=str(run), fix=fix)
    return str(model_folder(run).resolve())


def model_of(training: Training) -> str:
    """The model of a study that names none: that of its weights."""
    if training.weights is None:
        return MODEL
    return read_source(model_folder(training.weights), force=training.force).spec.name


def start_of(training: Training) -> str:
    """How grafts start whose expression does not say: onto trained weights as the identity."""
    return "identity" if training.weights else "paper"


def start(plan: Plan, training: Training, *, machine: Machine, output: Output) -> int:
    """Write the manifest of a new study and run it."""
    code = code_for(plan, training)
    run = create_study(plan, base=training.runs or Path("runs"), name=training.name or plan.kind, code=code)
    return _go(run, code, plan.device, machine, output)


def code_for(plan: Plan, training: Training) -> dict[str, UserClass]:
    """The user's own classes in the grafts, the models and the teacher of a new study.

    Raises:
        SpecError: the teacher holds another class of one name (YG193).
    """
    code = from_grafts(plan.grafts)
    for model in plan.models:
        code |= from_model(model, training.code)
    taught = from_files(read_teacher(plan.teacher).hashes, training.code) if plan.teacher else {}
    for name in taught.keys() & code.keys():
        if taught[name].sha256 != code[name].sha256:
            cause = f"{name} is another class in the teacher than in the grafts"
            raise SpecError("YG193", cause, fix="give the new file another name")
    return code | taught


def resume(training: Training, *, asked: bool, machine: Machine, output: Output) -> int:
    """Go on with a study that was stopped.

    Args:
        asked: whether the verb's own options ask for another experiment.

    Raises:
        SpecError: the command line asks for another experiment than the one resumed (YG193).
    """
    run = training.resume or Path()
    if asked or replace(training, resume=None, code=[]) != Training():
        raise SpecError(
            "YG193", "--resume goes on with the study as it was planned", fix="leave out the rest"
        )
    manifest = read_manifest(run)
    code = from_files(code_hashes(manifest), training.code)
    return _go(run, code, machine.device or manifest["device"], machine, output)


def fine_tuning_line(recipe: Mapping[str, Any]) -> str:
    """What training from loaded weights changes, in one line."""
    return (
        f"recipe {FINE_TUNING}: kept tensors learn at {recipe['kept_lr']:g} of the rate, new ones at "
        f"{recipe['new_lr']:g}; --recipe default trains all alike"
    )


def design_lines(manifest: Mapping[str, Any]) -> list[str]:
    """What a study is judged by, before its first step: what it sees, its looks, its images, its controls."""
    teacher = manifest.get("teacher")
    lines = []
    if teacher:
        lines.append(f"teacher {teacher['model']} ({teacher['sha256'][:12]}): {teacher['path']}")
        lines += [f"teacher: {note}" for note in teacher.get("notes", ())]
    if manifest["kind"] != "compare":
        return lines
    lines += [manifest["sees"]] if manifest["sees"] else []
    if len(manifest["looks"]) > 1:
        plan = zip(manifest["looks"], manifest["alpha_plan"], strict=True)
        lines.append("looks: " + ", ".join(f"{n} seeds at {100 * alpha:g} %" for n, alpha in plan))
    if manifest["paired"]:
        lines.append("paired: judged by differences seed by seed, as declared here")
    if line := group_line(manifest, manifest["data"]["eval"]["images"]):
        lines.append(line)
    if runs := sum(len(row["values"]) for row in manifest["bank"]):
        lines.append(f"bank: the noise of {runs} earlier baseline runs is pooled")
    if manifest["tried_before"]:
        names = ", ".join(row["name"] for row in manifest["follows"])
        lines.append(f"follows {names}: {manifest['tried_before']} candidates tried before count")
    return lines + [row["note"] for row in manifest["controls"] if row["label"] is None]


def device_of(machine: Machine) -> str:
    """The device asked for, or the first GPU, or the CPU."""
    return machine.device or default_device()


def _go(run: Path, code: dict[str, Any], device: str, machine: Machine, output: Output) -> int:
    check_loggers(machine.logger)
    settings = Settings(device, group=machine.at_once, checkpoint_seconds=machine.checkpoint_seconds)
    execution = Execution(
        settings,
        workers=machine.workers,
        cache=machine.cache,
        loggers=tuple(dict.fromkeys(machine.logger)),
        lang=output.lang,
    )
    with TerminalProgress() as progress:
        manifest = read_manifest(run)
        progress.note(f"run folder {run}")
        env, recipe = manifest["environment"], manifest["recipe"]
        height, width = recipe["imgsz"]
        progress.note(
            f"{env['device']}, {env['precision']}, batch {recipe['batch']}, {height}x{width}, "
            f"{recipe['epochs']} epochs"
        )
        for row in anchor_rows(manifest):
            progress.note(row["line"])
        if (manifest.get("recipe_file") or {}).get("name") == FINE_TUNING:
            progress.note(fine_tuning_line(manifest["recipe"]))
        if manifest.get("batch_choice"):
            progress.note(manifest["batch_choice"])
        for line in design_lines(manifest):
            progress.note(line)
        for arm in manifest["arms"]:
            for note in arm["notes"]:
                progress.note(f"{arm['label']}: {note}")
        try:
            results = run_study(run, code=code, execution=execution, progress=progress)
        except Interrupted as stop:
            progress.note(f'{stop}\ngo on with: yolograft {manifest["kind"]} --resume "{run}"')
            return 128 + stop.signum
    if output.json:
        print_json(results)
        return 0
    result_lines(results)
    say(f"report: {run / 'report.html'}")
    return 0
