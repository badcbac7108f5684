"""Starting an arm from trained weights: what is kept, and the proof that identity grafts change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from yolograft.engine.arm import Arm
from yolograft.engine.modelfolder import best_warning, read_model, tensors_sha256
from yolograft.engine.recipe import Recipe
from yolograft.engine.train import Progress
from yolograft.errors import StudyError
from yolograft.models.build import build
from yolograft.models.weights import kept_weights, prove_identity
from yolograft.study.pick import model_folder


def check_weights(manifest: Mapping[str, Any]) -> None:
    """See that the weights a study starts from are those it was planned with.

    Raises:
        StudyError: they changed (YG606).
        CheckpointError: they are gone (YG401).
    """
    planned, source = manifest.get("weights_sha256", ""), manifest["weights"]
    if planned and tensors_sha256(Path(source)) != planned:
        raise StudyError(
            "YG606",
            "the weights to start from have changed since the study was planned",
            where=source,
            fix="start a new study, or put the old weights back",
        )


def with_weights(arm: Arm, source: str, recipe: Recipe, progress: Progress) -> Arm:
    """The arm, starting from the weights of a run or model folder; says what was kept.

    Raises:
        CheckpointError: the weights do not fit (YG420) or are not there (YG401, YG407).
    """
    stored = read_model(model_folder(Path(source)))
    if warning := best_warning(stored.about):
        progress.note(f"{source}: {warning}")
    grafted = build(arm.spec, code=arm.code)
    weights, report = kept_weights(grafted, stored.tensors, num_classes=stored.spec.num_classes)
    progress.note(f"{arm.label}: {report.line()}")
    if report.new and not report.missing and not report.remade and _all_identity(arm):
        base = build(stored.spec, code=arm.code)
        base.load_state_dict(stored.tensors)
        grafted.load_state_dict({**grafted.state_dict(), **weights})
        progress.note(f"{arm.label}: {prove_identity(base, grafted, imgsz=recipe.imgsz).line()}")
    return replace(arm, weights=weights)


def _all_identity(arm: Arm) -> bool:
    grafts = [layer.ref for layer in arm.spec.layers if "+" in layer.name]
    grafts += [ref for layer in arm.spec.layers for _, ref in layer.inside]
    return all(ref.init == "identity" for ref in grafts)
