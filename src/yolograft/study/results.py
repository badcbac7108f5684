"""Everything a report shows, computed from a run folder or from records; recomputable at any time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolograft.engine.arm import DONE
from yolograft.errors import CheckpointError
from yolograft.study.ablation import interactions
from yolograft.study.detail import detail
from yolograft.study.judging import Judgement, judge_study
from yolograft.study.noise import noise_of
from yolograft.study.planning.anchors import anchor_rows
from yolograft.study.planning.branching import own_seconds
from yolograft.study.planning.manifest import MANIFEST
from yolograft.study.records.studyrecord import (
    StudyRecord,
    folder_of,
    is_record_folder,
    read_study,
)
from yolograft.study.statistics.evidence import THIS_SPLIT
from yolograft.study.where.of_study import Whereabouts, where_study

METRICS = ("ap", "ap50", "ap75", "ap_s", "ap_m", "ap_l", "p", "r", "f1")

# What a verdict was planned with, as the manifest says it.
_DESIGN = (
    "looks",
    "alpha_plan",
    "paired",
    "group",
    "bank",
    "controls",
    "follows",
    "tried_before",
    "branch_at",
)


def points(value: float) -> float | None:
    """A share in 0..1 as points in 0..100; None where undefined."""
    return None if math.isnan(value) else 100 * value


def collect(run: Path, *, where: bool = True) -> dict[str, Any]:
    """The content of ``results.json``, from a run folder or a folder of records; see `results_of`.

    Args:
        where: whether to work out where the differences lie as well, which takes a while on large splits.

    Raises:
        CheckpointError: no manifest (YG401), or one that is not ours (YG403).
        StudyError: a record that cannot be read (YG630), or a value that cannot be judged (YG6xx).
    """
    study = read_study(run)
    if not is_record_folder(run):
        return results_of(study, folder=folder_of(run), where=where)
    try:
        return results_of(study, where=where)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # The manifest of a stranger may lack anything that ours has.
        cause = f"no manifest of ours: {type(error).__name__} {error}"
        raise CheckpointError("YG403", cause, where=str(folder_of(run) / MANIFEST)) from error


def results_of(study: StudyRecord, *, folder: Path | None = None, where: bool = False) -> dict[str, Any]:
    """The content of ``results.json``. AP, P, R, F1 and differences are in points.

    Args:
        folder: the run folder, for what records do not hold.
        where: see `collect`; only of a study that is over and whose runs belong together.

    Raises:
        StudyError: a value of the study cannot be judged (YG6xx).
    """
    manifest, judged = study.manifest, judge_study(study)
    recipe, env = manifest["recipe"], manifest["environment"]
    arms = [_arm(study, item, judged) for item in manifest["arms"]]
    waiting = sum(r["status"] == "missing" for arm in arms for r in arm["runs"])
    told = where and not waiting and not judged.unsound
    lies = where_study(study, folder=folder, due=judged.due) if told else Whereabouts([], [])
    return {
        "schema": manifest["schema"],
        "kind": manifest["kind"],
        "name": study.name,
        "created": manifest["created"],
        "status": "partial" if waiting else "complete",
        "unsound": judged.unsound,
        "model": manifest["model"],
        "models": manifest.get("models", [manifest["model"]]),
        "across": manifest.get("across", False),
        "levels": manifest.get("levels"),
        "anchors": anchor_rows(manifest),
        "from_weights": bool(manifest.get("weights")),
        "teacher": _teacher(manifest),
        "family": manifest["family"],
        "data": {k: v for k, v in manifest["data"].items() if k != "path"},
        "budget": {
            "seeds": manifest["seeds"],
            "epochs": recipe["epochs"],
            "imgsz": recipe["imgsz"],
            "batch": recipe["batch"],
            "precision": env["precision"],
            "device": env["device"],
            "threads": env["threads"],
        },
        **{key: manifest[key] for key in _DESIGN},
        "sees": manifest["sees"],
        "scope": _scope(judged),
        "margin": manifest["margin"],
        "command": manifest["command"],
        "recipe": recipe,
        "recipe_sha256": manifest["recipe_sha256"],
        "recipe_file": manifest.get("recipe_file"),
        "ablation": _ablation(manifest, arms, waiting),
        "where": lies.tables,
        "images": lies.images,
        "noise": noise_of(study, judged.comparisons),
        "contrasts": judged.contrasts,
        "warnings": manifest.get("warnings", []),
        "environment": env,
        "bitwise": all(_began_alike(r, env) for arm in arms for r in arm["runs"]),
        "arms": arms,
    }


def _teacher(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Which model taught, and the hash of its weights; where it lay is nobody's business."""
    about = manifest.get("teacher")
    return {key: about[key] for key in ("model", "sha256")} if about else None


def _arm(study: StudyRecord, item: Mapping[str, Any], judged: Judgement) -> dict[str, Any]:
    label = item["label"]
    runs = _runs(study, label, judged.due[label])
    done = [r for r in runs if r["status"] == DONE]
    measured = detail(runs)
    runs = [{key: value for key, value in r.items() if key not in measured} for r in runs]
    return {
        **{key: item[key] for key in ("label", "expression", "baseline", "layers", "spec_sha256")},
        "model": item.get("model"),
        "control": item.get("control", ""),
        "of": item.get("of", ""),
        **study.costs.get(label, {}),
        "train_seconds": _mean([own_seconds(r, baseline=item["baseline"]) for r in done]),
        "images_per_second": _mean([r["images_per_second"] for r in done]),
        "runs": runs,
        "mean": {m: _mean([r[m] for r in done]) for m in METRICS},
        "sd": {m: _sd([r[m] for r in done]) for m in METRICS},
        "comparison": judged.comparisons.get(label),
        **measured,
    }


def _runs(study: StudyRecord, label: str, due: int) -> list[dict[str, Any]]:
    """The scores of an arm's runs in the order planned; what is due and not there is missing."""
    rows = []
    for index, seed in enumerate(study.manifest["seeds"]):
        if record := study.runs.get((label, seed)):
            rows.append(dict(record.scores))
        elif index < due:
            rows.append({"seed": seed, "status": "missing"})
    return rows


def _scope(judged: Judgement) -> str:
    """The narrowest scope among the verdicts: what the report as a whole may claim."""
    scopes = {row["scope"] for row in judged.comparisons.values() if row.get("scope")}
    return scopes.pop() if len(scopes) == 1 else THIS_SPLIT


def _ablation(
    manifest: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], waiting: int
) -> dict[str, Any] | None:
    """The interactions of an ablation; only what was asked before the planned look."""
    asked = manifest.get("ablation")
    return interactions(asked, arms) if asked and not waiting else asked


def _began_alike(run: Mapping[str, Any], environment: Mapping[str, Any]) -> bool:
    return all(environment.get(key) == value for key, value in run.get("environment", {}).items())


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.fmean(known) if known else None


def _sd(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.stdev(known) if len(known) > 1 else None
