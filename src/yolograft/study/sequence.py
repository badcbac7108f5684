"""Planned looks: when a study may be judged, at which level, and which arms go on after a look.

A study with looks at 3, 5 and 10 seeds is judged three times, each time at that look's own alpha, so that the
chance of a false verdict over all of them stays what it was (group-sequential design: Pocock 1977; alpha
spending: Lan, DeMets 1983). What fell at a look stands: that arm takes no further seeds. A study is never
judged between its looks and never beyond its last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from yolograft.study.planning.arms import controls_against, judged_against
from yolograft.study.statistics.evidence import NON_VERDICTS, Verdict

#: The verdict word of an arm that has no look behind it.
OPEN: Verdict = "not enough seeds"


@dataclass(frozen=True, slots=True)
class Look:
    """One planned look: after ``seeds`` runs an arm, at level ``alpha`` over all arms."""

    seeds: int
    alpha: float
    last: bool


class Judged(Protocol):
    """What a judgement has at least."""

    @property
    def verdict(self) -> str: ...


J = TypeVar("J", bound=Judged)


def looks_of(manifest: Mapping[str, Any]) -> tuple[Look, ...]:
    """The looks of a study; one at its end, at .05, for a study from before there were several."""
    seeds = [int(n) for n in manifest.get("looks") or [len(manifest["seeds"])]]
    alphas = [float(a) for a in manifest.get("alpha_plan") or [0.05]]
    return tuple(Look(n, a, n == seeds[-1]) for n, a in zip(seeds, alphas, strict=True))


def walk(
    looks: Sequence[Look],
    labels: Sequence[str],
    finished: Mapping[str, int],
    judge: Callable[[Look, Mapping[str, int]], Mapping[str, J]],
) -> dict[str, tuple[Look, J]]:
    """The judgement of every arm of one family at the look where it fell, or at the latest look taken.

    Args:
        looks: as planned. labels: the arms judged against one baseline.
        finished: for each of them how many of the planned seeds, from the first on, are in for it and its
            baseline.
        judge: (look, seeds to take of each arm) -> a judgement for every arm. An arm whose verdict fell at
            an earlier look comes with the seeds of that look.

    Returns:
        label -> (look, judgement); an arm whose first look is not reached yet is not in it.
    """
    taken: dict[str, int] = {}
    found: dict[str, tuple[Look, J]] = {}
    going = list(labels)
    for look in looks:
        # Arms of one family are pooled: a look is taken when every arm that goes on has come so far.
        if not going or any(finished[label] < look.seeds for label in going):
            break
        taken |= dict.fromkeys(going, look.seeds)
        judged = judge(look, dict(taken))
        found |= {label: (look, judged[label]) for label in going}
        going = [label for label in going if judged[label].verdict in NON_VERDICTS]
    return found


def due_of(arms: Sequence[Mapping[str, Any]], own: Mapping[str, int], *, across: bool) -> dict[str, int]:
    """How many seeds, from the first on, every arm takes before the study is over or comes to its next look.

    Candidates take what their own judgement asks for, baselines as many as any arm set against them.
    Controls keep no study going: a placebo takes the seeds of its graft, an A/A arm or the next scale no more
    than the longest candidate. Where there is no candidate at all, controls are what the study is about.

    Args:
        arms: as a manifest or results hold them.
        own: of every candidate and control, the seeds that its own judgement takes.
        across: as `judged_against`.
    """
    pairs = judged_against(arms, across=across)
    due = {label: own[label] for _, others in pairs for label in others}
    longest = max(due.values(), default=None)
    of = {arm["label"]: arm.get("of") for arm in arms}
    beside = controls_against(arms)
    for _, label in beside:
        most = own[label] if longest is None else longest
        due[label] = due.get(of[label] or "", min(own[label], most))
    for base, others in [*pairs, *((base, (label,)) for base, label in beside)]:
        due[base] = max([due.get(base, 0), *(due[label] for label in others)])
    return due


def going_on(
    manifest: Mapping[str, Any], comparisons: Mapping[str, Mapping[str, Any]], look: Look
) -> frozenset[str]:
    """The arms that train on after a look (see `due_of`); none after the last.

    Args:
        comparisons: label -> the comparison at this look, from no run beyond it.
    """
    if look.last:
        return frozenset()
    arms = manifest["arms"]
    own = {a["label"]: look.seeds + _open(comparisons.get(a["label"], {})) for a in arms}
    due = due_of(arms, own, across=bool(manifest.get("across")))
    return frozenset(label for label, seeds in due.items() if seeds > look.seeds)


def _open(comparison: Mapping[str, Any]) -> bool:
    return comparison.get("verdict", OPEN) in NON_VERDICTS
