"""The arms of a study: of every model its baseline and all grafts, and who is judged against whom."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolograft.data.records import ImageRecord
from yolograft.errors import StudyError
from yolograft.graph.anchors import ANCHORS
from yolograft.graph.expr import GraftSpec, folder_name
from yolograft.graph.graft import graft
from yolograft.graph.spec import ModelSpec, ModuleRef
from yolograft.models.modelfile import is_model_file
from yolograft.study.planning.anchors import AnchorChoice, choose_anchors

BASELINE = "baseline"
# A folder name has 60 characters at most; a dash and six of a hash follow the cut.
LONGEST_CUT = 53


@dataclass(frozen=True, slots=True)
class PlannedArm:
    """An arm on paper. label: safe as a folder name. model: whose baseline it is judged against.

    expression: of its graft; empty for a baseline. control: what it controls for (see `controls`), empty for
    a baseline and a candidate. of: label of the graft a placebo stands beside. note: worth a line. distill:
    methods by which it learns from the teacher of the study.
    """

    label: str
    model: str
    expression: str
    spec: ModelSpec
    control: str = ""
    of: str = ""
    note: str = ""
    distill: tuple[ModuleRef, ...] = ()

    @property
    def baseline(self) -> bool:
        """Whether others are judged against it."""
        return not self.expression and not self.control


def planned_arms(
    models: Mapping[str, ModelSpec], grafts: Sequence[GraftSpec], *, baseline: bool = True
) -> list[PlannedArm]:
    """Model by model its baseline, where wanted, and one arm a graft.

    One model: ``baseline`` and the labels of the grafts. Several: ``yolov5n`` and ``yolov5n.coord_att``; a
    model file goes by its name without its folder, the second of one name as ``mine-2``.

    Raises:
        StudyError: two arms share a label (YG603).
        SpecError: a graft does not go onto a model (YG1xx).
    """
    arms = []
    names = _names(list(models)) if len(models) > 1 else dict.fromkeys(models, "")
    for model, stock in models.items():
        name = names[model]
        if baseline:
            arms.append(PlannedArm(name or BASELINE, model, "", stock))
        for item in grafts:
            label = joined(name, item.label) if name else item.label
            distill = item.of_kind("distill")
            arms.append(PlannedArm(label, model, item.text(), graft(stock, item), distill=distill))
    check_labels(arms)
    return arms


def check_labels(arms: Sequence[PlannedArm]) -> None:
    """See that no two arms share a label.

    Raises:
        StudyError: two do (YG603).
    """
    labels = [arm.label for arm in arms]
    if len(set(labels)) != len(labels):
        cause = f"two arms share a label: {', '.join(labels)}"
        raise StudyError("YG603", cause, fix='give one a name: "mine=se@neck.p3"')


def _names(models: Sequence[str]) -> dict[str, str]:
    """Model -> a folder name that no other model has."""
    names: dict[str, str] = {}
    for model in models:
        first = name = _name(model)
        count = 1
        while name in names.values():
            count += 1
            name = joined(first, str(count), by="-")
        names[model] = name
    return names


def _name(model: str) -> str:
    """`mine-s` for ``folder/mine.yaml:s``."""
    if not is_model_file(model):
        return folder_name(model)
    whole = Path(model).suffix.lower() in (".yaml", ".yml")
    path, _, scale = (model, "", "") if whole else model.rpartition(":")
    # A file name without a letter of ours comes to nothing.
    stem = folder_name(f"model {Path(path).stem}").removeprefix("model-")
    return joined(stem, scale, by="-") if scale else stem


def joined(*parts: str, by: str = ".") -> str:
    """The parts as one folder name; where it is cut, a hash of the whole keeps equal cuts apart."""
    whole = by.join(parts)
    if folder_name(whole) == whole:
        return whole
    return f"{folder_name(whole[:LONGEST_CUT])}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"


def fitted_anchors(
    models: Mapping[str, ModelSpec], train: Sequence[ImageRecord], *, imgsz: tuple[int, int]
) -> dict[str, AnchorChoice]:
    """Anchors for these images, for every model that predicts from anchors.

    Raises:
        SpecError: no model predicts from anchors (YG133).
        DataError: fewer boxes than anchors (YG357).
    """
    based = [model for model, spec in models.items() if ANCHORS in dict(spec.head.args)]
    return {model: choose_anchors(models[model], train, imgsz=imgsz) for model in based or list(models)[:1]}


def judged_against(arms: Sequence[Mapping[str, Any]], *, across: bool) -> list[tuple[str, tuple[str, ...]]]:
    """Labels as (baseline, arms judged against it): every model's grafts; ``across``, the other models too.

    Controls are not among them: they are no candidates, and take no share of the chance of error.

    Args:
        arms: as a manifest holds them: label, baseline, and where it says so, model and control.
        across: whether the other models' baselines are judged against the first one's.
    """
    bases = {arm.get("model"): arm["label"] for arm in arms if arm["baseline"]}
    pairs = [
        (base, tuple(a["label"] for a in arms if a.get("model") == model and _candidate(a)))
        for model, base in bases.items()
    ]
    if across and bases:
        first, *others = bases.values()
        pairs.append((first, tuple(others)))
    return [(base, others) for base, others in pairs if others]


def _candidate(arm: Mapping[str, Any]) -> bool:
    return not arm["baseline"] and not arm.get("control")


def controls_against(arms: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Labels as (baseline, control), of every control its model's baseline; each is judged by itself."""
    bases = {arm.get("model"): arm["label"] for arm in arms if arm["baseline"]}
    controls = [arm for arm in arms if arm.get("control") and arm.get("model") in bases]
    return [(bases[arm.get("model")], arm["label"]) for arm in controls]
