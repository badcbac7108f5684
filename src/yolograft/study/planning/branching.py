"""The branching design: per seed one baseline, trained to 60 % of the epochs; from there all arms go on.

What two runs share they cannot differ by: the noise of a start from scratch drops out of the difference, and
the common part is paid for once. The question is another one, though: what does the module add to a network
that has trained without it for most of its time? (Variance reduction by common random numbers; for training
runs: Frankle et al. 2020, "Linear mode connectivity and the lottery ticket hypothesis", arXiv 1912.05671,
who branch runs in the same way to see when their fate is settled.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolograft.engine.recipe import Recipe
from yolograft.errors import CheckpointError, StudyError
from yolograft.models.build import build
from yolograft.models.codebook import Codebook
from yolograft.study.holes import number
from yolograft.study.planning.arms import PlannedArm
from yolograft.study.planning.controls import PLACEBO

SHARE = 0.6
TRUNKS = "trunks"


def branch_epoch(recipe: Recipe) -> int:
    """Epochs that the arms share."""
    return round(SHARE * recipe.epochs)


def trunk_folder(run: Path, seed: int) -> Path:
    """Where the checkpoints of a seed's half-trained baseline lie until all its arms are finished."""
    return run / TRUNKS / f"seed-{seed}"


def trunk_label(manifest: Mapping[str, Any]) -> str:
    """The arm the others branch from; empty where the study does not branch."""
    branches = manifest["branch_at"] is not None
    return next((arm["label"] for arm in manifest["arms"] if branches and arm["baseline"]), "")


def own_seconds(scores: Mapping[str, Any], *, baseline: bool) -> float:
    """Training time that a run added to its study: the half that arms share is paid for by the baseline."""
    shared = 0.0 if baseline else number(scores.get("shared_seconds")) or 0.0
    return float(scores["seconds"]) - min(max(shared, 0.0), float(scores["seconds"]))


def check_branches(arms: Sequence[PlannedArm], recipe: Recipe, *, code: Codebook) -> None:
    """See that every arm has room for what the baseline has learned by then.

    Raises:
        StudyError: no epoch before or after the branch, several models, no baseline, or a control that cannot
            branch (YG646).
        CheckpointError: a graft takes a tensor of the baseline away or changes its shape (YG409).
    """
    bases = [arm for arm in arms if arm.baseline]
    if not 0 < branch_epoch(recipe) < recipe.epochs:
        raise StudyError("YG646", f"{recipe.epochs} epochs cannot be cut at 60 %", fix="--epochs 3 or more")
    if len(bases) != 1:
        raise StudyError("YG646", f"arms branch from one baseline, here are {len(bases)}", fix="one model")
    for arm in arms:
        if arm.control and arm.control != PLACEBO:
            cause = f"--control {arm.control}: it does not go on from a half-trained baseline"
            raise StudyError("YG646", cause, fix="leave it out, or leave --design branch out")
    shapes = _shapes(bases[0], code)
    for arm in arms:
        own = _shapes(arm, code)
        lost = next((key for key, shape in shapes.items() if own.get(key) != shape), None)
        if lost is not None:
            cause = f"arm '{arm.label}' has no place for {lost} of the baseline it branches from"
            raise CheckpointError("YG409", cause, fix="a graft that only adds layers can branch")


def _shapes(arm: PlannedArm, code: Codebook) -> dict[str, tuple[int, ...]]:
    detector = build(arm.spec, code=code)
    return {key: tuple(tensor.shape) for key, tensor in detector.state_dict().items()}
