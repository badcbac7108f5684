"""The arms of a study: of every model its baseline and all grafts, and who is judged against whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolograft.data.records import ImageRecord
from yolograft.errors import StudyError
from yolograft.graph.expr import GraftSpec, folder_name
from yolograft.graph.graft import graft
from yolograft.graph.spec import ModelSpec
from yolograft.study.anchors import AnchorChoice, choose_anchors

BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class PlannedArm:
    """An arm on paper. label: safe as a folder name. model: whose baseline it is judged against.

    expression: of its graft; empty for a baseline.
    """

    label: str
    model: str
    expression: str
    spec: ModelSpec


def planned_arms(
    models: Mapping[str, ModelSpec], grafts: Sequence[GraftSpec], *, baseline: bool = True
) -> list[PlannedArm]:
    """Model by model its baseline, where wanted, and one arm a graft.

    One model: ``baseline`` and the labels of the grafts. Several: ``yolov5n`` and ``yolov5n.coord_att``.

    Raises:
        StudyError: two arms share a label (YG603).
        SpecError: a graft does not go onto a model (YG1xx).
    """
    arms = []
    for model, stock in models.items():
        name = folder_name(model) if len(models) > 1 else ""
        if baseline:
            arms.append(PlannedArm(name or BASELINE, model, "", stock))
        for item in grafts:
            label = f"{name}.{item.label}" if name else item.label
            arms.append(PlannedArm(label, model, item.text(), graft(stock, item)))
    labels = [arm.label for arm in arms]
    if len(set(labels)) != len(labels):
        cause = f"two arms share a label: {', '.join(labels)}"
        raise StudyError("YG603", cause, fix='give one a name: "mine=se@neck.p3"')
    return arms


def fitted_anchors(
    models: Mapping[str, ModelSpec], train: Sequence[ImageRecord], *, imgsz: tuple[int, int]
) -> tuple[dict[str, ModelSpec], AnchorChoice]:
    """The models, those that predict from anchors with anchors for these images; one family has one choice.

    Raises:
        SpecError: no model predicts from anchors (YG133).
        DataError: fewer boxes than anchors (YG357).
    """
    based = [model for model, spec in models.items() if "anchors" in dict(spec.head.args)]
    chosen = {model: choose_anchors(models[model], train, imgsz=imgsz) for model in based or list(models)[:1]}
    specs = {model: chosen[model].spec if model in chosen else spec for model, spec in models.items()}
    return specs, next(iter(chosen.values()))


def judged_against(arms: Sequence[Mapping[str, Any]], *, across: bool) -> list[tuple[str, tuple[str, ...]]]:
    """Labels as (baseline, arms judged against it): every model's grafts; ``across``, the other models too.

    Args:
        arms: as a manifest holds them: label, baseline, and where it says so, model.
        across: whether the other models' baselines are judged against the first one's.
    """
    bases = {arm.get("model"): arm["label"] for arm in arms if arm["baseline"]}
    pairs = [
        (base, tuple(a["label"] for a in arms if a.get("model") == model and not a["baseline"]))
        for model, base in bases.items()
    ]
    if across and bases:
        first, *others = bases.values()
        pairs.append((first, tuple(others)))
    return [(base, others) for base, others in pairs if others]
