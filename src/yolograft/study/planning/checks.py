"""What is checked before a study has a folder: all that would otherwise come to light after training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from yolograft.data.images import STRIDE
from yolograft.data.records import Dataset, ImageRecord
from yolograft.engine.arm import Arm
from yolograft.engine.finetune import FineTuning
from yolograft.engine.modelfolder import StoredModel
from yolograft.engine.recipe import Recipe
from yolograft.errors import DataError, SpecError, StudyError
from yolograft.models.build import build
from yolograft.models.detector import check_input_size
from yolograft.study.planning.controls import check_controls
from yolograft.study.planning.facts import widest_stride
from yolograft.study.planning.plan import Plan
from yolograft.study.start import weights_for
from yolograft.study.statistics.looks import look_alphas
from yolograft.study.teacher import check_lessons


def check_plan(plan: Plan) -> None:
    """See that what is asked can be judged and goes together.

    Raises:
        StudyError: seeds (YG605), margin (YG601), looks (YG6xx) or models (YG172, YG173) that are no plan.
        SpecError: a control that cannot be made (YG642), an ablation at several looks (YG193), or a teacher
            and arms that learn from it, one without the other (YG446, YG447).
    """
    _check_numbers(plan)
    _check_models(plan)
    check_lessons(plan.grafts, plan.teacher)
    weights = bool(plan.weights)
    check_controls(plan.controls, plan.models, grafts=len(plan.grafts), weights=weights)


def _check_numbers(plan: Plan) -> None:
    if not plan.seeds or len(set(plan.seeds)) != len(plan.seeds):
        raise StudyError("YG605", f"seeds {list(plan.seeds)}", fix="--seeds 3: one run or more per arm")
    if not (math.isfinite(plan.margin) and plan.margin > 0):
        raise StudyError("YG601", f"the margin must be positive AP points, got {plan.margin}")
    look_alphas(plan.looks_planned)
    if plan.looks_planned[-1] != len(plan.seeds):
        cause = f"{len(plan.seeds)} seeds and a last look at {plan.looks_planned[-1]}"
        raise StudyError("YG605", cause, fix="plan one seed for every run up to the last look")
    if plan.paired and plan.bank:
        cause = "--paired with --bank: earlier runs tell how runs scatter, not how pairs of them do"
        raise SpecError("YG193", cause, fix="leave one of the two out")
    if len(plan.looks_planned) > 1 and plan.ablation:
        cause = "an ablation at several looks: an interaction takes every arm with every seed"
        raise SpecError("YG193", cause, fix="leave --until-verdict out")


def _check_models(plan: Plan) -> None:
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


def check_weights(source: StoredModel | None, arms: Sequence[Arm], plan: Plan) -> None:
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


def check_sizes(arms: Sequence[Mapping[str, Any]], recipe: Recipe) -> None:
    """See that images of the recipe's size suit every arm of a manifest.

    Raises:
        SpecError: a side is no multiple of an arm's widest stride, or `multi_scale` would make one (YG175).
    """
    for arm in arms:
        check_size(recipe, stride=widest_stride((arm,)), model=arm["label"])


def check_size(recipe: Recipe, *, stride: int, model: str) -> None:
    """See that images of the recipe's size suit a model of that widest stride.

    Raises:
        SpecError: a side is no multiple of it, or `multi_scale` would make one (YG175).
    """
    check_input_size(recipe.imgsz, stride=stride, model=model)
    if recipe.multi_scale and STRIDE % stride:
        cause = f"multi_scale makes multiples of {STRIDE} pixels: {model} takes multiples of {stride}"
        raise SpecError("YG175", cause, fix="--set multi_scale=0")


def check_splits(dataset: Dataset, train: Sequence[ImageRecord], held_out: str) -> None:
    """See that both splits hold boxes and share no image.

    Raises:
        DataError: a split without a box (YG342), an image in both (YG343).
    """
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
