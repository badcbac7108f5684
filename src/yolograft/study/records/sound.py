"""Whether the runs of a study belong together. If not, no verdict falls, whatever the numbers say.

A comparison is only as good as the sentence "these runs differ in the graft and in nothing else". Each check
here takes one way in which that sentence was found untrue in practice: a seed left out, one checkpoint under
two names, a recipe or a split that changed half-way, a model that is not the one the manifest plans. Runs
that diverged are no fault of the study; they withhold the words that they would flatter (`evidence`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolograft.engine.arm import DIVERGED, DONE
from yolograft.engine.checkpoint import STATE, read_json
from yolograft.engine.modelfolder import LAST
from yolograft.engine.runfolder import arm_folder
from yolograft.errors import YolograftError
from yolograft.graph.spec import ModelSpec

SCORES = "scores.json"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What one finished run says about itself; empty where it was not written down.

    spec, recipe, checkpoint: SHA-256 of the model spec, of the recipe, of the last EMA tensors. trained,
    measured: fingerprints of the splits it was trained and measured on.
    """

    label: str
    seed: int
    status: str
    spec: str = ""
    recipe: str = ""
    trained: str = ""
    measured: str = ""
    checkpoint: str = ""


def facts_of_run(run: Path, label: str, seed: int) -> RunFacts | None:
    """The facts of one run of a run folder, from its scores and its model folder; None while it is not done.

    Raises:
        CheckpointError: a file is there and cannot be read (YG401).
    """
    folder = arm_folder(run, label, seed)
    if not (folder / SCORES).exists():
        return None
    scores = read_json(folder / SCORES)
    state = folder / LAST / STATE
    about = read_json(state) if state.exists() else {}
    data = about.get("data") or {}
    return RunFacts(
        label,
        int(scores.get("seed", seed)),
        str(scores["status"]),
        spec=_digest(about.get("spec")),
        recipe=str(about.get("recipe_sha256", "")),
        trained=str(data.get("train", "")),
        measured=str(data.get("eval", "")),
        checkpoint=str(about.get("sha256", "")),
    )


def facts_of_folder(run: Path, manifest: Mapping[str, Any]) -> list[RunFacts]:
    """The facts of every finished run that a manifest plans, and of those in its folder that it does not."""
    planned = [(arm["label"], seed) for arm in manifest["arms"] for seed in manifest["seeds"]]
    found = [facts_of_run(run, label, seed) for label, seed in planned]
    return [facts for facts in found if facts is not None] + _strangers(run, set(planned))


def _strangers(run: Path, planned: set[tuple[str, int]]) -> list[RunFacts]:
    """Finished runs that lie in the folder and that nobody planned: seeds added after looking."""
    rows = []
    for path in sorted(run.glob(f"arms/*/seed-*/{SCORES}")):
        label, seed = path.parent.parent.name, path.parent.name.removeprefix("seed-")
        if seed.lstrip("-").isdecimal() and (label, int(seed)) not in planned:
            rows.append(RunFacts(label, int(seed), DONE))
    return rows


def unsound(
    manifest: Mapping[str, Any],
    runs: Iterable[RunFacts],
    *,
    taken: Mapping[str, int] | None = None,
) -> str:
    """One line that says why these runs carry no verdict; empty where nothing speaks against them.

    Args:
        manifest: of the study.
        runs: the finished runs, diverged ones too.
        taken: label -> how many of the manifest's seeds, from the first on, the verdict rests on; as many as
            are in where left out, with no gap allowed before the last.
    """
    facts = list(runs)
    checks = (_planned, _gaps, _specs, _recipes, _splits, _twins)
    for check in checks:
        if line := check(manifest, facts, taken):
            return line
    return ""


def _planned(manifest: Mapping[str, Any], runs: Sequence[RunFacts], _: object) -> str:
    labels, seeds = {arm["label"] for arm in manifest["arms"]}, set(manifest["seeds"])
    for run in runs:
        if run.label not in labels or run.seed not in seeds:
            return f"{_name(run)} is not in the manifest: a study is never extended beyond its plan"
        if run.status not in (DONE, DIVERGED):
            return f"{_name(run)} ended as '{run.status}'"
    twice = [key for key, count in Counter((r.label, r.seed) for r in runs).items() if count > 1]
    return f"{twice[0][0]} seed {twice[0][1]} is there twice" if twice else ""


def _gaps(manifest: Mapping[str, Any], runs: Sequence[RunFacts], taken: Mapping[str, int] | None) -> str:
    """A seed that is missing among those the verdict rests on: a dropped run may be a bad one."""
    for arm in manifest["arms"]:
        label = arm["label"]
        there = {run.seed for run in runs if run.label == label}
        last = max((i for i, seed in enumerate(manifest["seeds"]) if seed in there), default=-1) + 1
        count = last if taken is None else taken.get(label, last)
        for seed in manifest["seeds"][:count]:
            if seed not in there:
                return f"{label} seed {seed} is missing"
    return ""


def _specs(manifest: Mapping[str, Any], runs: Sequence[RunFacts], _: object) -> str:
    # As hashed when it was planned, and as hashed now: a newer version may write a spec otherwise.
    planned = {arm["label"]: {arm["spec_sha256"], _digest(arm.get("spec"))} for arm in manifest["arms"]}
    return _differing(runs, "spec", planned, "another model than the manifest's")


def _recipes(manifest: Mapping[str, Any], runs: Sequence[RunFacts], _: object) -> str:
    planned = {arm["label"]: {manifest["recipe_sha256"]} for arm in manifest["arms"]}
    return _differing(runs, "recipe", planned, "another recipe than the manifest's")


def _splits(manifest: Mapping[str, Any], runs: Sequence[RunFacts], _: object) -> str:
    for field, part in (("trained", "train"), ("measured", "eval")):
        fingerprint = manifest["data"][part]["fingerprint"]
        planned = {arm["label"]: {fingerprint} for arm in manifest["arms"]}
        what = f"{field} on other images than the manifest's"
        if line := _differing(runs, field, planned, what):
            return line
    return ""


def _twins(_: object, runs: Sequence[RunFacts], __: object) -> str:
    """One checkpoint under two names: runs that are no runs of their own make the noise look small."""
    first: dict[str, RunFacts] = {}
    for run in runs:
        if run.checkpoint and (other := first.setdefault(run.checkpoint, run)) is not run:
            return f"{_name(other)} and {_name(run)} are one and the same checkpoint"
    return ""


def _differing(runs: Sequence[RunFacts], field: str, planned: Mapping[str, set[str]], what: str) -> str:
    for run in runs:
        value = getattr(run, field)
        if value and value not in planned[run.label]:
            return f"{_name(run)}: {what} ({value[:12]}, planned {max(planned[run.label])[:12]})"
    return ""


def _digest(spec: object) -> str:
    """The hash of a stored spec; of one that is no spec, a word no hash is equal to."""
    if spec is None:
        return ""
    try:
        return ModelSpec.from_json(spec).digest()  # type: ignore[arg-type]
    except (YolograftError, KeyError, TypeError, ValueError, AttributeError):
        return "unreadable"


def _name(run: RunFacts) -> str:
    return f"{run.label} seed {run.seed}"
