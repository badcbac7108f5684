"""What a study is, written down before its first step: the manifest.

Everything that shapes the outcome is in it; a run, a resumed run and a report read nothing else.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolograft.data.records import Dataset, ImageRecord
from yolograft.data.source import open_dataset
from yolograft.engine.arm import Arm
from yolograft.engine.batchsize import choose_batch
from yolograft.engine.checkpoint import read_json, write_json
from yolograft.engine.criteria import check_loss_settings
from yolograft.engine.device import environment, open_fabric, resolve_precision
from yolograft.engine.finetune import FineTuning, check_fine_tuning
from yolograft.engine.foreignfolder import read_source
from yolograft.engine.modelfolder import StoredModel
from yolograft.engine.recipe import Recipe
from yolograft.engine.runfolder import new_run_folder
from yolograft.errors import CheckpointError, DataError, StudyError
from yolograft.graph.expr import GraftSpec, folder_name
from yolograft.graph.levels import STOCK
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build, inspect_spec, model_spec
from yolograft.models.catalog import FAMILIES
from yolograft.models.codebook import Codebook, references
from yolograft.models.modelfile import is_model_file, read_model
from yolograft.study.anchors import anchors_of_weights
from yolograft.study.arms import PlannedArm, fitted_anchors, judged_against, planned_arms
from yolograft.study.start import about_weights, weights_for
from yolograft.study.stats import minimum_detectable
from yolograft.study.warnings import data_warnings

SCHEMA = 1
MANIFEST = "manifest.json"
# Run-to-run sd of AP on small sets trained from scratch, used until a study has its own.
ASSUMED_SD = 2.4


@dataclass(frozen=True)
class Plan:
    """What the user asked for.

    kind: ``compare`` or ``train``. data: folder or ``shapes``. grafts: one per arm. baseline: whether the
    ungrafted detector is an arm of its own. margin: smallest difference that matters, AP points. levels:
    where the head predicts. anchors: ``auto`` chooses them for the training images. auto_batch: the recipe's
    batch is a placeholder, to be measured. recipe_file: name and sha256 of the file the recipe began with.
    ablation: which parts the grafts are made of. more_models: beside the first, each with a baseline and all
    grafts. across: the other models are judged against the first.
    """

    kind: str
    model: str
    data: str
    grafts: tuple[GraftSpec, ...]
    seeds: tuple[int, ...]
    recipe: Recipe
    baseline: bool = True
    margin: float = 0.5
    device: str = "cpu"
    command: str = ""
    weights: str = ""
    force: bool = False
    levels: tuple[str, ...] = STOCK
    anchors: str = ""
    auto_batch: bool = False
    recipe_file: Mapping[str, str] | None = None
    ablation: Mapping[str, Any] | None = None
    more_models: tuple[str, ...] = ()
    across: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """All models, the first one first."""
        return (self.model, *self.more_models)


def create_study(plan: Plan, *, base: Path, name: str, code: Codebook) -> Path:
    """Check everything, make a run folder and write the manifest.

    Raises:
        YolograftError: data, model, graft or folder is wrong; nothing has been trained then.
    """
    _check_numbers(plan)
    _check_models(plan)
    check_fine_tuning(plan.recipe, weights=bool(plan.weights))
    precision = resolve_precision(plan.recipe, plan.device)
    open_fabric(plan.device, precision)
    dataset = open_dataset(plan.data)
    train, held_out = dataset.split("train"), eval_split(dataset)
    _check_splits(dataset, train, held_out)
    source = read_source(Path(plan.weights), force=plan.force) if plan.weights else None
    stock, anchors = _stock(plan, source, dataset, train, code)
    planned = planned_arms(stock, plan.grafts, baseline=plan.baseline)
    for item in planned:
        check_loss_settings(FAMILIES[item.spec.family], plan.recipe)
    arms = [_arm(item, code) for item in planned]
    each = [Arm(item.label, item.spec, code_of(item.spec, code)) for item in planned]
    _check_weights(source, each, plan)
    recipe, choice = plan.recipe, ""
    if plan.auto_batch:
        found = choose_batch(each, recipe, device=plan.device, precision=precision, images=len(train))
        recipe, choice = recipe.model_copy(update={"batch": found.batch}), found.why
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
        "data": _data_facts(plan, dataset, held_out),
        "arms": arms,
        "ablation": plan.ablation,
        **about_weights(plan.weights, source, force=plan.force),
        "code": {ref: {"sha256": user.sha256, "source": user.source} for ref, user in code.items()},
        "seeds": list(plan.seeds),
        "looks": [len(plan.seeds)],
        "margin": plan.margin,
        "recipe": recipe.to_json(),
        "recipe_sha256": recipe.digest(),
        "recipe_file": plan.recipe_file,
        "batch_choice": choice,
        "device": plan.device,
        "environment": environment(plan.device, precision),
        "sees": _sees(plan, arms),
        "warnings": data_warnings(dataset, "train", held_out),
    }
    run = new_run_folder(base, folder_name(name))
    write_json(run / MANIFEST, manifest)
    _keep_sources(run, code)
    return run


def _stock(
    plan: Plan,
    source: StoredModel | None,
    dataset: Dataset,
    train: Sequence[ImageRecord],
    code: Codebook,
) -> tuple[dict[str, ModelSpec], list[dict[str, Any]]]:
    """The ungrafted detector of every model, and what became of anchors, for the manifest.

    Those of trained weights come first: from them, anchors for the training images are chosen.
    """
    classes = len(dataset.names)
    stock = {m: model_spec(m, num_classes=classes, levels=plan.levels, code=code) for m in plan.models}
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


def _sees(plan: Plan, arms: Sequence[Mapping[str, Any]]) -> str:
    """What the budget sees where it sees least; empty for a study that gives no verdict."""
    sizes = [len(others) for _, others in judged_against(arms, across=plan.across)]
    return sees_line(len(plan.seeds), arms=min(sizes), verdicts=sum(sizes)) if sizes else ""


def _data_facts(plan: Plan, dataset: Dataset, held_out: str) -> dict[str, Any]:
    built_in = plan.data == "shapes"
    return {
        "path": plan.data if built_in else str(Path(plan.data).expanduser().resolve()),
        "name": "shapes" if built_in else dataset.root.name,
        "format": dataset.format,
        "names": list(dataset.names),
        "train": _split_facts(dataset, "train", dataset.split("train")),
        "eval": _split_facts(dataset, held_out, dataset.split(held_out)),
    }


def code_of(spec: ModelSpec, code: Codebook) -> Codebook:
    """The part of the user's own classes a spec refers to."""
    return {ref: code[ref] for ref in references(spec) if ref in code}


def _check_numbers(plan: Plan) -> None:
    """What would otherwise come to light after the training."""
    if not plan.seeds or len(set(plan.seeds)) != len(plan.seeds):
        raise StudyError("YG605", f"seeds {list(plan.seeds)}", fix="--seeds 3: one run or more per arm")
    if not (math.isfinite(plan.margin) and plan.margin > 0):
        raise StudyError("YG601", f"the margin must be positive AP points, got {plan.margin}")


def _check_models(plan: Plan) -> None:
    """See that what is asked goes together with the number of models.

    Raises:
        StudyError: a model twice, an ablation or weights beside several models (YG172); models to be judged
            against each other where there is one (YG173).
    """
    if plan.across and not plan.more_models:
        cause = f"{plan.model} alone has nobody to be judged against"
        raise StudyError("YG173", cause, fix="name another: --model yolov5n, or leave --recipe common out")
    if not plan.more_models:
        return
    for asked, what in (
        (len(set(plan.models)) < len(plan.models), "one of them twice"),
        (plan.ablation, "--ablate"),
        (plan.weights, "--weights"),
    ):
        if asked:
            raise StudyError("YG172", f"{len(plan.models)} models and {what}", fix="a study for each model")


def _check_weights(source: StoredModel | None, arms: Sequence[Arm], plan: Plan) -> None:
    """See that every arm can start from the weights, and that what the recipe freezes is among them.

    Raises:
        CheckpointError: they do not fit (YG420).
        SpecError: none of them lies in the backbone that is to be frozen (YG171).
    """
    if source is None:
        return
    for arm in arms:
        detector = build(arm.spec, code=arm.code)
        weights, _ = weights_for(detector, source, force=plan.force)
        FineTuning(detector, plan.recipe, weights.keys())


def _check_splits(dataset: Dataset, train: Sequence[ImageRecord], held_out: str) -> None:
    where = str(dataset.root)
    for name, records in (("train", train), (held_out, dataset.split(held_out))):
        if not any((~record.crowd).any() for record in records):
            raise DataError("YG342", f"split '{name}' holds {len(records)} images and no box", where=where)
    shared = {r.image_id for r in train} & {r.image_id for r in dataset.split(held_out)}
    if shared:
        raise DataError(
            "YG343",
            f"{len(shared)} images are in train and in {held_out}, {min(shared)} first",
            where=where,
            fix="a result on training images says nothing: split them",
        )


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run folder.

    Raises:
        CheckpointError: there is none (YG401), or a newer version or another hand wrote it (YG403).
    """
    where = str(run / MANIFEST)
    manifest = read_json(run / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise CheckpointError("YG403", "this manifest is of another version", where=where)
    wrong = _unsafe(manifest)
    if wrong:
        raise CheckpointError("YG403", f"no manifest of ours: {wrong}", where=where, fix="start a new study")
    return manifest


def _unsafe(manifest: Mapping[str, Any]) -> str:
    """What in a manifest could lead out of its run folder: labels and seeds are names of folders there."""
    arms, seeds = manifest.get("arms", []), manifest.get("seeds", [])
    if not (isinstance(arms, list) and isinstance(seeds, list)):
        return "arms and seeds are lists"
    for arm in arms:
        label = arm.get("label") if isinstance(arm, dict) else None
        if not isinstance(label, str) or folder_name(label) != label:
            return f"arm label {label!r}"
        if not isinstance(arm.get("model", ""), str):
            return f"model {arm['model']!r}"
    return next((f"seed {seed!r}" for seed in seeds if type(seed) is not int), "")


def eval_split(dataset: Dataset) -> str:
    """The split results are measured on: val (or valid), else test.

    Raises:
        DataError: the dataset has neither (YG305).
    """
    for name in ("val", "valid", "validation", "test"):
        if name in dataset.splits:
            return name
    raise DataError("YG305", "no val, valid or test split to measure on", where=str(dataset.root))


def sees_line(seeds: int, *, arms: int, verdicts: int = 0, sd: float = ASSUMED_SD) -> str:
    """One line: which true difference this budget finds four times out of five.

    Args:
        arms: judged against one baseline; with it they tell how runs differ.
        verdicts: that share the chance of error, where a study has more than these.
    """
    share = arms / max(verdicts, arms)
    smallest = minimum_detectable(sd, seeds, arms=arms, alpha=0.05 * share)
    if not math.isfinite(smallest):
        return f"{seeds} seed(s) cannot carry a verdict: three per arm is the least"
    return (
        f"{seeds} seeds per arm find a true difference of {smallest:.1f} AP four times out of five, "
        f"if runs differ by an sd of {sd:g} AP (small sets, from scratch)"
    )


def _arm(item: PlannedArm, code: Codebook) -> dict[str, Any]:
    spec = item.spec
    facts = inspect_spec(spec, code=code)
    return {
        "label": item.label,
        "model": item.model,
        "expression": item.expression,
        "baseline": not item.expression,
        "spec": spec.to_json(),
        "spec_sha256": spec.digest(),
        "layers": [
            {
                "name": f.name,
                "module": f.module,
                "inputs": list(f.inputs),
                "out_channels": f.out_channels,
                "stride": f.stride,
                "params": f.params,
                "new": "+" in f.name or bool(spec.layer(f.name).inside),
            }
            for f in facts
        ],
        "notes": [f.note for f in facts if f.note],
    }


def _split_facts(dataset: Dataset, name: str, records: Sequence[Any]) -> dict[str, Any]:
    return {
        "split": name,
        "images": len(records),
        "boxes": sum(len(record.boxes) for record in records),
        "fingerprint": dataset.fingerprint(name),
    }


def _keep_sources(run: Path, code: Codebook) -> None:
    """The text of the user's own classes, for the record; it is never run from here."""
    for ref, user in code.items():
        folder = run / "code"
        folder.mkdir(exist_ok=True)
        name = Path(ref.rpartition("::")[0]).name
        (folder / f"{user.sha256[:12]}-{name}.txt").write_text(user.source, encoding="utf-8")


def code_hashes(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Reference -> SHA-256 of every class of the user's own in the study."""
    return {ref: item["sha256"] for ref, item in manifest["code"].items()}
