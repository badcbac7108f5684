"""Everything a report shows, collected from a run folder; recomputable at any time from what is stored."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolograft.engine.arm import DIVERGED, DONE
from yolograft.engine.checkpoint import read_json
from yolograft.engine.runfolder import arm_folder
from yolograft.study.ablation import interactions
from yolograft.study.anchors import anchor_rows
from yolograft.study.arms import judged_against
from yolograft.study.detail import detail
from yolograft.study.evidence import evidence_json
from yolograft.study.plan import read_manifest
from yolograft.study.stats import ArmScores, Comparison, compare

UNFINISHED = "not enough seeds"
SCORES, COST = "scores.json", "cost.json"
METRICS = ("ap", "ap50", "ap75", "ap_s", "ap_m", "ap_l", "p", "r", "f1")


def points(value: float) -> float | None:
    """A share in 0..1 as points in 0..100; None where undefined."""
    return None if math.isnan(value) else 100 * value


def collect(run: Path) -> dict[str, Any]:
    """The content of ``results.json``. AP, P, R, F1 and differences are in points."""
    manifest = read_manifest(run)
    recipe = manifest["recipe"]
    arms = [_arm(run, item, manifest["seeds"]) for item in manifest["arms"]]
    waiting = sum(r["status"] == "missing" for arm in arms for r in arm["runs"])
    _judge(arms, manifest["margin"], waiting, across=manifest.get("across", False))
    env = manifest["environment"]
    return {
        "schema": manifest["schema"],
        "kind": manifest["kind"],
        "name": run.name,
        "created": manifest["created"],
        "status": "partial" if waiting else "complete",
        "model": manifest["model"],
        "models": manifest.get("models", [manifest["model"]]),
        "across": manifest.get("across", False),
        "levels": manifest.get("levels"),
        "anchors": anchor_rows(manifest),
        "from_weights": bool(manifest.get("weights")),
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
        "sees": manifest["sees"],
        "scope": "this evaluation split",
        "margin": manifest["margin"],
        "command": manifest["command"],
        "recipe_sha256": manifest["recipe_sha256"],
        "recipe_file": manifest.get("recipe_file"),
        "ablation": _ablation(manifest, arms, waiting),
        "warnings": manifest.get("warnings", []),
        "environment": env,
        "bitwise": all(_began_alike(r, env) for arm in arms for r in arm["runs"]),
        "arms": arms,
    }


def _arm(run: Path, item: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, Any]:
    cost_file = run / "arms" / item["label"] / COST
    cost = read_json(cost_file) if cost_file.exists() else {}
    runs = [_run(run, item["label"], seed) for seed in seeds]
    done = [r for r in runs if r["status"] == DONE]
    measured = detail(runs)
    runs = [{key: value for key, value in r.items() if key not in measured} for r in runs]
    return {
        **{key: item[key] for key in ("label", "expression", "baseline", "layers", "spec_sha256")},
        "model": item.get("model"),
        **cost,
        "train_seconds": _mean([r["seconds"] for r in done]),
        "images_per_second": _mean([r["images_per_second"] for r in done]),
        "runs": runs,
        "mean": {m: _mean([r[m] for r in done]) for m in METRICS},
        "sd": {m: _sd([r[m] for r in done]) for m in METRICS},
        "comparison": None,
        **measured,
    }


def _ablation(
    manifest: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], waiting: int
) -> dict[str, Any] | None:
    """The interactions of an ablation; only what was asked before the planned look."""
    asked = manifest.get("ablation")
    return interactions(asked, arms) if asked and not waiting else asked


def _run(run: Path, label: str, seed: int) -> dict[str, Any]:
    path = arm_folder(run, label, seed) / SCORES
    return read_json(path) if path.exists() else {"seed": seed, "status": "missing"}


def _began_alike(run: Mapping[str, Any], environment: Mapping[str, Any]) -> bool:
    return all(environment[key] == value for key, value in run.get("environment", {}).items())


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.fmean(known) if known else None


def _sd(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def _judge(arms: Sequence[dict[str, Any]], margin: float, waiting: int, *, across: bool) -> None:
    """Put each arm's comparison with the baseline it is judged against into its entry.

    The manifest plans one look, at the end: before that no verdict is given, whatever the numbers say. The
    chance of a false verdict is kept over all verdicts of the study, whichever baselines they speak of.
    """
    by_label = {arm["label"]: arm for arm in arms}
    pairs = judged_against(arms, across=across)
    tried = sum(len(others) for _, others in pairs)
    for base, others in pairs:
        named = [_against(by_label[label], base) for label in others]
        judged = compare(_scores(by_label[base], base), named, margin=margin, tried=tried)
        for label, found in zip(others, judged, strict=True):
            comparison = _unfinished(found, waiting) if waiting else _comparison(found)
            by_label[label]["comparison"] = comparison | {"against": base}


def _against(arm: Mapping[str, Any], base: str) -> ArmScores:
    """The scores of an arm, under a name that says which other model it is set against."""
    return _scores(arm, f"{arm['label']} vs {base}" if arm["baseline"] else arm["label"])


def _scores(arm: Mapping[str, Any], label: str) -> ArmScores:
    values = tuple(r["ap"] for r in arm["runs"] if r["status"] == DONE and r["ap"] is not None)
    return ArmScores(label, values, sum(r["status"] == DIVERGED for r in arm["runs"]))


def _comparison(comparison: Comparison) -> dict[str, Any]:
    numbers = ("delta", "low", "high", "level", "se", "p_value")
    out: dict[str, Any] = {key: _finite(getattr(comparison, key)) for key in numbers}
    return out | {
        "df": comparison.df,
        "verdict": comparison.verdict,
        "sentence": comparison.sentence,
        "known": comparison.known,
        "evidence": evidence_json(comparison.evidence),
    }


def _unfinished(comparison: Comparison, waiting: int) -> dict[str, Any]:
    shown = {"delta": _finite(comparison.delta), "verdict": UNFINISHED, "sentence": "", "known": ""}
    sentence = f"{comparison.label}: the study is not finished, {waiting} runs are missing -> {UNFINISHED}"
    unknown = dict.fromkeys(("low", "high", "level", "se", "p_value", "df"))
    return unknown | shown | {"sentence": sentence, "known": "no look is planned before the last run is in"}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
