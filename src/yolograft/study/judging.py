"""From the finished runs of a study to a comparison for every arm: who is judged, at which look, on what.

The manifest says all of it beforehand: looks and their levels, arms and controls, margin, groups, the noise
bank, paired or not. Nothing is judged between looks, and nothing where the runs do not belong together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.engine.arm import DIVERGED, DONE
from yolograft.study.noise import rho_of
from yolograft.study.planning.arms import controls_against, judged_against
from yolograft.study.planning.branching import own_seconds
from yolograft.study.planning.contrasts import contrasts_of
from yolograft.study.planning.controls import PLACEBO
from yolograft.study.planning.earlier import tried_in
from yolograft.study.planning.grouping import groups_of
from yolograft.study.records.bank_match import bank_of
from yolograft.study.records.sound import unsound
from yolograft.study.records.studyrecord import StudyRecord
from yolograft.study.sequence import OPEN, Look, due_of, looks_of, walk
from yolograft.study.statistics.bank import Bank, lendable
from yolograft.study.statistics.compare import ArmScores, Comparison, against_placebo, compare
from yolograft.study.statistics.evidence import NON_VERDICTS, evidence_json

WAITING = "no look is planned before the last run is in"
_NUMBERS = ("delta", "low", "high", "level", "se", "p_value")
_Found = dict[str, tuple[Look, Comparison]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a study's arms.

    comparisons: label -> the comparison as `results.json` holds it. contrasts: of arm against arm, with the
    label of the new one. due: label -> how many of the planned
    seeds, from the first on, the study needs before it is over or goes on to its next look. unsound: why no
    verdict falls, or empty.
    """

    comparisons: Mapping[str, dict[str, Any]]
    contrasts: list[dict[str, Any]]
    due: Mapping[str, int]
    unsound: str


@dataclass(frozen=True, slots=True)
class _Family:
    """Arms judged together against one baseline. tried: verdicts that share the chance of error."""

    base: str
    labels: tuple[str, ...]
    tried: int


def judge_study(study: StudyRecord) -> Judgement:
    """Judge every candidate and every control of a study at the looks its manifest plans.

    Raises:
        StudyError: a value cannot be judged (YG601), or groups or bank of the manifest cannot be read.
    """
    manifest = study.manifest
    families = _families(manifest)
    due = dict.fromkeys((arm["label"] for arm in manifest["arms"]), len(manifest["seeds"]))
    if why := unsound(manifest, study.facts()):
        refused = {label: _refused(label, why, family) for family in families for label in family.labels}
        apart = [
            _refused(new, why, _Family(base, (new,), 1)) | {"label": new}
            for new, base in contrasts_of(manifest)
        ]
        return Judgement(refused, apart, due, why)
    sides, looks = _Sides(study), looks_of(manifest)
    own: dict[str, int] = {}
    comparisons: dict[str, dict[str, Any]] = {}
    found: _Found = {}
    for family in families:
        taken = _judged(sides, family, looks)
        found |= taken
        for label in family.labels:
            own[label] = _seeds_due(taken.get(label), looks)
    due |= due_of(manifest["arms"], own, across=bool(manifest.get("across")))
    missing = sum(max(count - sides.finished(label), 0) for label, count in due.items())
    for family in families:
        for label in family.labels:
            if label in found:
                look, comparison = found[label]
                shown = comparison_json(comparison) | {"look": _look_json(look, comparison, looks)}
            else:
                shown = _unfinished(label, sides.delta(family.base, label), missing)
            rho = rho_of(study, family.base, label)
            comparisons[label] = (
                shown | _placebo_json(sides, label, found.get(label)) | {"rho": rho, "against": family.base}
            )
    contrasts = [_contrast(sides, new, base, looks[-1], missing) for new, base in contrasts_of(manifest)]
    return Judgement(comparisons, contrasts, due, "")


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as `results.json` holds it; what is not finite is null.

    variance: the parts of se squared, and what they rest on. evidence: everything, to recompute the rest.
    """
    beside = comparison.evidence
    parts = {"seed": beside.v_seed, "image": beside.v_img, "interaction": beside.v_int}
    parts |= {"sd_base": beside.sd_base, "sd_arm": beside.sd_arm}
    return {key: finite(getattr(comparison, key)) for key in _NUMBERS} | {
        "df": comparison.df,
        "critical": finite(beside.critical),
        "variance": {key: finite(value) for key, value in parts.items()} | {"units": beside.units},
        "verdict": comparison.verdict,
        "sentence": comparison.sentence,
        "known": comparison.known,
        "scope": comparison.scope,
        "evidence": evidence_json(beside),
    }


def finite(value: float) -> float | None:
    """The value, or None where it is not finite."""
    return value if math.isfinite(value) else None


class _Sides:
    """The runs of a study as `compare` takes them."""

    def __init__(self, study: StudyRecord) -> None:
        self.study, self.manifest = study, study.manifest
        self._seeds: list[int] = study.manifest["seeds"]
        self._groups = groups_of(study.manifest)
        self._bank = bank_of(study.manifest)
        self.grouped = self._groups is not None

    def finished(self, label: str) -> int:
        """How many of the planned seeds, from the first on, are in."""
        there = [(label, seed) in self.study.runs for seed in self._seeds]
        return there.index(False) if False in there else len(there)

    def placebo_of(self, label: str) -> str | None:
        """The label of the placebo that stands beside a graft, where there is one."""
        own = (a for a in self.manifest["arms"] if a.get("control") == PLACEBO and a.get("of") == label)
        return next((arm["label"] for arm in own), None)

    def against_placebo(self, label: str, placebo: str, seeds: int, alpha: float) -> Comparison:
        """A graft against its placebo over their first ``seeds`` runs."""
        sides = self.scores(placebo, seeds), [self.scores(label, seeds)]
        (found,) = compare(*sides, margin=self.manifest["margin"], alpha=alpha, grouped=self.grouped)
        return found

    def bank_for(self, label: str) -> Bank | None:
        """Earlier runs of this baseline: they are of the study's first (`bank_match.match_bank`)."""
        first = next((arm["label"] for arm in self.manifest["arms"] if arm["baseline"]), None)
        return self._bank if label == first else None

    def together(self, family: _Family, label: str) -> tuple[str, ...]:
        """The arms that a verdict on ``label`` waits for."""
        placebo = self.placebo_of(label)
        return (label, family.base) if placebo is None else (label, family.base, placebo)

    def scores(self, label: str, seeds: int, name: str = "") -> ArmScores:
        """The first ``seeds`` runs of an arm, under ``name`` where it is judged under another one."""
        runs = self.study.runs
        records = [runs[label, seed] for seed in self._seeds[:seeds] if (label, seed) in runs]
        done = [r for r in records if r.status == DONE and r.scores.get("ap") is not None]
        drawn = [record.drawn(self._groups) for record in done]
        return ArmScores(
            name or label,
            tuple(float(record.scores["ap"]) for record in done),
            sum(record.status == DIVERGED for record in records),
            _stacked(drawn),
            tuple(record.seed for record in done),
        )

    def delta(self, base: str, label: str) -> float | None:
        """The difference of the means of what is in so far; None where a side is empty."""
        one, two = (self.scores(x, len(self._seeds)).values for x in (base, label))
        return float(np.mean(two) - np.mean(one)) if one and two else None

    def seconds(self) -> float | None:
        """Training time of one run, mean over all arms."""
        done = [record for record in self.study.runs.values() if record.status == DONE]
        known = [own_seconds(record.scores, baseline=record.baseline) for record in done]
        return float(np.mean(known)) if known else None


def _stacked(drawn: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    """Influences as [K, units]; None unless all runs have them, over the same units."""
    known = [psi for psi in drawn if psi is not None]
    alike = len(known) == len(drawn) > 0 and len({psi.shape for psi in known}) == 1
    return np.stack(known) if alike else None


def _families(manifest: Mapping[str, Any]) -> list[_Family]:
    """Candidates by baseline, sharing one chance of error; then each control by itself."""
    arms = manifest["arms"]
    pairs = judged_against(arms, across=manifest.get("across", False))
    tried = tried_in(manifest)
    families = [_Family(base, others, tried) for base, others in pairs]
    return families + [_Family(base, (label,), 1) for base, label in controls_against(arms)]


def _judged(sides: _Sides, family: _Family, looks: Sequence[Look]) -> _Found:
    """The comparison of every arm of a family that has come to its first look."""
    finished = {
        label: min(sides.finished(x) for x in sides.together(family, label)) for label in family.labels
    }

    def judge(look: Look, taken: Mapping[str, int]) -> dict[str, Comparison]:
        base = sides.scores(family.base, look.seeds)
        arms = [
            sides.scores(label, taken[label], _shown(sides.manifest, label, family.base))
            for label in family.labels
        ]
        # The paired form has a variance of its own.
        asked = None if sides.manifest["paired"] else sides.bank_for(family.base)
        bank = lendable(asked, base.values)
        found = compare(
            base,
            arms,
            margin=sides.manifest["margin"],
            alpha=look.alpha,
            tried=family.tried,
            bank=bank,
            bank_refused=asked is not None and bank is None,
            paired=bool(sides.manifest["paired"]),
            grouped=sides.grouped,
            seconds_per_run=sides.seconds(),
        )
        return {
            label: _beside_placebo(sides, one, label, taken[label])
            for label, one in zip(family.labels, found, strict=True)
        }

    return walk(looks, family.labels, finished, judge)


def _contrast(sides: _Sides, new: str, base: str, look: Look, missing: int) -> dict[str, Any]:
    """One arm against another, at the study's one look."""
    named = f"{new} vs {base}"
    beside = {"label": new, "against": base, "rho": rho_of(sides.study, base, new)}
    if min(sides.finished(new), sides.finished(base)) < look.seeds:
        return _unfinished(named, sides.delta(base, new), missing) | beside
    (found,) = compare(
        sides.scores(base, look.seeds),
        [sides.scores(new, look.seeds, named)],
        margin=sides.manifest["margin"],
        alpha=look.alpha,
        tried=tried_in(sides.manifest),
        paired=bool(sides.manifest["paired"]),
        grouped=sides.grouped,
        seconds_per_run=sides.seconds(),
    )
    return comparison_json(found) | beside


def _shown(manifest: Mapping[str, Any], label: str, base: str) -> str:
    """The name an arm is judged under; another model's baseline says which it is set against."""
    baseline = any(arm["baseline"] for arm in manifest["arms"] if arm["label"] == label)
    return f"{label} vs {base}" if baseline else label


def _beside_placebo(sides: _Sides, comparison: Comparison, label: str, seeds: int) -> Comparison:
    """The comparison, saying so where a gain is not shown to be more than a plain convolution's."""
    placebo = sides.placebo_of(label)
    return (
        comparison
        if placebo is None
        else against_placebo(
            comparison,
            sides.against_placebo(label, placebo, seeds, comparison.evidence.alpha),
            placebo=placebo,
        )
    )


def _seeds_due(taken: tuple[Look, Comparison] | None, looks: Sequence[Look]) -> int:
    """How many seeds an arm needs now: up to the look where its verdict fell, else up to the next look."""
    if taken is None:
        return looks[0].seeds
    look, comparison = taken
    if look.last or comparison.verdict not in NON_VERDICTS:
        return look.seeds
    return min(other.seeds for other in looks if other.seeds > look.seeds)


def _look_json(look: Look, comparison: Comparison, looks: Sequence[Look]) -> dict[str, Any]:
    """At which look the comparison stands, and whether the arm goes on to another."""
    open_ = comparison.verdict in NON_VERDICTS and not look.last
    return {"seeds": look.seeds, "alpha": look.alpha, "of": [x.seeds for x in looks], "open": open_}


def _placebo_json(sides: _Sides, label: str, taken: tuple[Look, Comparison] | None) -> dict[str, Any]:
    """The graft against its placebo, for the report; nothing where it has none or is not judged yet."""
    placebo = sides.placebo_of(label)
    if placebo is None or taken is None:
        return {}
    look, comparison = taken
    found = sides.against_placebo(label, placebo, look.seeds, look.alpha)
    numbers = {key: finite(getattr(found, key)) for key in _NUMBERS}
    if not math.isfinite(comparison.evidence.placebo_low):
        numbers |= dict.fromkeys(("low", "high", "se", "p_value"))
    runs = {"finished": found.evidence.finished[0], "failed": found.evidence.failed[0]}
    return {"placebo": numbers | runs | {"against": placebo}}


def _refused(label: str, why: str, family: _Family) -> dict[str, Any]:
    empty = dict.fromkeys((*_NUMBERS, "df"))
    said = {"verdict": OPEN, "sentence": f"{label}: {why} -> no verdict", "known": "", "unsound": why}
    return empty | said | {"against": family.base}


def _unfinished(label: str, delta: float | None, missing: int) -> dict[str, Any]:
    sentence = f"{label}: the study is not finished, {missing} runs are missing -> {OPEN}"
    empty = dict.fromkeys((*_NUMBERS, "df"))
    return empty | {"delta": delta, "verdict": OPEN, "sentence": sentence, "known": WAITING}
