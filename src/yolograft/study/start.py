"""Starting arms from trained weights: what is kept, and the proof that identity grafts change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolograft import rng
from yolograft.engine.arm import Arm
from yolograft.engine.foreignfolder import lines_of_file, own_tensors, read_source, source_sha256
from yolograft.engine.modelfolder import StoredModel, best_warning
from yolograft.engine.recipe import Recipe
from yolograft.engine.train import Progress
from yolograft.errors import CheckpointError, StudyError
from yolograft.graph.anchors import ANCHORS
from yolograft.graph.necks.table import NO_IDENTITY, no_identity, other_neck
from yolograft.graph.sites import head_levels
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build
from yolograft.models.detector import Detector, key_of
from yolograft.models.weights import LoadReport, kept_weights, prove_identity

# How far the start of an A/A arm lies from its baseline's, relative to each weight.
APART = 1e-3


def weights_for(
    detector: Detector, source: StoredModel, *, force: bool = False
) -> tuple[dict[str, Tensor], LoadReport]:
    """What a detector starts with from a trained model, and the report. The one place where that is decided.

    Where the neck was exchanged on purpose, its layers keep what fits them; that is no reason to refuse.

    Raises:
        CheckpointError: the weights do not fit, or those of the head's branch for one level would go to
            another, and it is not forced (YG420).
    """
    classes = source.spec.num_classes
    exchanged = other_neck(detector.spec, source.spec)
    found = kept_weights(detector, own_tensors(source), num_classes=classes, force=force or exchanged)
    if not force:
        _check_branches(detector.spec, source.spec)
    return found


def _check_branches(spec: ModelSpec, source: ModelSpec) -> None:
    """See that every branch of the head, which is kept by its place, stays at its level.

    Raises:
        CheckpointError: it does not (YG420).
    """
    for had, has in zip(head_levels(source), head_levels(spec), strict=False):
        if had and has and had != has:
            cause = f"the head's branch for {had} in these weights would predict on {has} of {spec.name}"
            fix = "levels that go on behind those of the weights, or --force"
            raise CheckpointError("YG420", cause, fix=fix)


def about_weights(path: str, source: StoredModel | None, *, force: bool) -> dict[str, Any]:
    """What a manifest says of the weights a study starts from.

    weights_origin: of a file from elsewhere, what was written down when it was read. weights_forced: what did
    not fit was left behind.
    """
    return {
        "weights": path,
        "weights_sha256": source_sha256(Path(path)) if path else "",
        "weights_origin": source.about.get("origin") if source else None,
        "weights_forced": force,
    }


def started_from(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a model folder keeps of the weights its run started from; no path for a fresh start."""
    return {
        "weights": manifest["weights"],
        "sha256": manifest.get("weights_sha256", ""),
        "origin": manifest.get("weights_origin"),
    }


def check_weights(manifest: Mapping[str, Any]) -> None:
    """See that the weights a study starts from are those it was planned with.

    Raises:
        StudyError: they changed (YG606).
        CheckpointError: they are gone (YG401).
    """
    planned, source = manifest.get("weights_sha256", ""), manifest["weights"]
    if planned and source_sha256(Path(source)) != planned:
        raise StudyError(
            "YG606",
            "the weights to start from have changed since the study was planned",
            where=source,
            fix="start a new study, or put the old weights back",
        )


def start_arms(
    arms: Sequence[Arm], manifest: Mapping[str, Any], recipe: Recipe, progress: Progress
) -> list[Arm]:
    """The arms of a study as they start: from its weights, where it has any.

    Raises:
        StudyError: the weights changed since it was planned (YG606).
        CheckpointError: they are gone (YG401) or do not fit (YG420).
    """
    path, force = manifest["weights"], bool(manifest.get("weights_forced"))
    if not path:
        return list(arms)
    check_weights(manifest)
    source = read_source(Path(path), force=force)
    for line in lines_of_file(Path(path), source):
        progress.note(line)
    if warning := best_warning(source.about):
        progress.note(f"{path}: {warning}")
    return [with_weights(arm, source, recipe, progress, force=force) for arm in arms]


def with_weights(
    arm: Arm, source: StoredModel, recipe: Recipe, progress: Progress, *, force: bool = False
) -> Arm:
    """The arm, starting from a trained model; says what was kept.

    Raises:
        CheckpointError: the weights do not fit (YG420).
    """
    grafted = build(arm.spec, code=arm.code)
    weights, report = weights_for(grafted, source, force=force)
    progress.note(f"{arm.label}: {report.line()}")
    another = no_identity(arm.spec, source.spec)
    if another:
        progress.note(f"{arm.label}: {NO_IDENTITY}")
    if _other_boxes(arm, source, report):
        # Maps alone would look identical: a decoded box is a map times an anchor.
        progress.note(f"{arm.label}: anchors changed: the kept head predicts other boxes")
    elif not another and report.new and not report.missing and not report.remade and _all_identity(arm):
        base = build(source.spec, code=arm.code)
        base.load_state_dict(source.tensors)
        grafted.load_state_dict({**grafted.state_dict(), **weights})
        progress.note(f"{arm.label}: {prove_identity(base, grafted, imgsz=recipe.imgsz).line()}")
    return replace(arm, weights=weights)


def start_apart(arm: Arm, seed: int) -> Arm:
    """The arm from a start of its own: every weight it would start with, times 1 + .001 z.

    For an A/A arm, which would otherwise repeat its baseline bit for bit. Runs that differ by a single bit at
    the start end as far apart as runs of different seeds (Summers, Dinneen 2021, arXiv 2103.04514); a
    thousandth survives the rounding of half precision and costs nothing.

    Args:
        seed: of the run; it gives the start of a fresh arm, and the z.
    """
    detector = build(arm.spec, seed=seed, code=arm.code)
    state = {**detector.state_dict(), **arm.weights}
    learned = {name for name, parameter in detector.named_parameters() if parameter.requires_grad}
    kept = arm.weights.keys() or learned
    moved = {name: _apart(state[name], seed, name) if name in learned else state[name] for name in kept}
    return replace(arm, weights=moved)


def _apart(weight: Tensor, seed: int, name: str) -> Tensor:
    z = rng.stream(seed, "start apart", name).standard_normal(tuple(weight.shape))
    return weight * (1 + APART * torch.as_tensor(z, dtype=weight.dtype, device=weight.device))


def _other_boxes(arm: Arm, source: StoredModel, report: LoadReport) -> bool:
    """Whether kept tensors of the head meet other anchors than those they were trained with."""
    anchors, trained = (dict(spec.head.args).get(ANCHORS) for spec in (arm.spec, source.spec))
    if not isinstance(anchors, tuple) or not isinstance(trained, tuple):
        return False
    head = f"layers.{key_of(arm.spec.head.name)}."
    # Branch by branch, as they are kept; what one detector has beyond the other's is new or gone.
    moved = any(meets != met for meets, met in zip(anchors, trained, strict=False))
    return moved and any(key.startswith(head) for key in report.kept)


def _all_identity(arm: Arm) -> bool:
    grafts = [layer.ref for layer in arm.spec.layers if "+" in layer.name]
    grafts += [ref for layer in arm.spec.layers for _, ref in layer.inside]
    return all(ref.init == "identity" for ref in grafts)
