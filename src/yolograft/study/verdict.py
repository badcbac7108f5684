"""The words of a verdict, and what is known where there is none.

Pure wording: numbers in, words out, so that the same words serve every way of computing the interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["helps", "hurts", "no detectable difference", "not enough seeds"]

_FEWEST_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a verdict rests on; differences in AP points, pairs are (baseline, arm).

    low, high: interval at ``level``, nan where unknown. equivalence_half: half width of the TOST
    interval. seeds: finished runs. failed: diverged runs. tried: arms tried against this baseline.
    needed, wide_needed: seeds per arm to see ``margin`` and ``wide``; wide_needed 0 if unknown.
    """

    label: str
    delta: float
    low: float
    high: float
    level: float
    equivalence_half: float
    margin: float
    seeds: tuple[int, int]
    failed: tuple[int, int]
    tried: int
    needed: int
    wide: float
    wide_needed: int
    scope: str


def judge(evidence: Evidence) -> tuple[Verdict, str, str]:
    """The verdict word, the full sentence, and what is known (empty for ``helps`` and ``hurts``)."""
    word = _word(evidence)
    withheld = _withheld(evidence, word)
    verdict: Verdict = "not enough seeds" if withheld else word
    known = "" if verdict in ("helps", "hurts") else _known(evidence)
    tail = f"; {withheld}" if withheld else ""
    failures = _failures(evidence)
    if failures and not withheld:
        tail += f"; {failures}"
    return verdict, f"{_numbers(evidence)} -> {_words(evidence, verdict)}{tail}", known


def _word(evidence: Evidence) -> Verdict:
    """What the numbers say, before diverged runs are looked at."""
    if min(evidence.seeds) < _FEWEST_SEEDS or not math.isfinite(evidence.low):
        return "not enough seeds"
    if evidence.low > 0:
        return "helps"
    if evidence.high < 0:
        return "hurts"
    if abs(evidence.delta) + evidence.equivalence_half < evidence.margin:
        return "no detectable difference"
    return "not enough seeds"


def _withheld(evidence: Evidence, word: Verdict) -> str:
    """Why a word may not be said, or nothing: the survivors of a side that diverged flatter it."""
    blocked = (
        (word == "helps" and evidence.failed[1] > 0)
        or (word == "hurts" and evidence.failed[0] > 0)
        or (word == "no detectable difference" and sum(evidence.failed) > 0)
    )
    return f'"{word}" is withheld: {_failures(evidence)}' if blocked else ""


def _failures(evidence: Evidence) -> str:
    sides = zip(("baseline", "this arm"), evidence.seeds, evidence.failed, strict=True)
    parts = [f"{failed} of {done + failed} runs of {side} diverged" for side, done, failed in sides if failed]
    return ", ".join(part.replace("of baseline", "of the baseline") for part in parts)


def _words(evidence: Evidence, verdict: Verdict) -> str:
    if verdict == "no detectable difference":
        return f"no detectable difference (|Delta| < {evidence.margin:g})"
    if verdict == "not enough seeds":
        # A study that ended undecided needs more than it had, whatever its own noise estimate says.
        return f"not enough seeds (needs >= {max(evidence.needed, min(evidence.seeds) + 1, _FEWEST_SEEDS)})"
    return f"{verdict}, smaller than your margin" if abs(evidence.delta) < evidence.margin else verdict


def _numbers(evidence: Evidence) -> str:
    base, arm = evidence.seeds
    tried = f", tried {evidence.tried}" if evidence.tried > 1 else ""
    runs = f"{base}+{arm} seeds, {evidence.scope}{tried}"
    if not math.isfinite(evidence.delta):
        return f"{evidence.label}: no difference to show ({runs})"
    if not math.isfinite(evidence.low):
        return f"{evidence.label}: {evidence.delta:+.2f} AP ({runs})"
    interval = f"[{evidence.low:+.2f}, {evidence.high:+.2f}]"
    return f"{evidence.label}: {evidence.delta:+.2f} AP {interval} {percent(evidence.level)} ({runs})"


def percent(level: float) -> str:
    """A level as text: 0.95 -> ``95 %``, 0.98333 -> ``98.33 %``."""
    return f"{100 * level:.4g} %"


def _known(evidence: Evidence) -> str:
    if not math.isfinite(evidence.low):
        if min(evidence.seeds) < 2:
            return "nothing yet: these runs hold no estimate of the noise between seeds"
        return "nothing yet: no two runs of any arm differ, so the noise between seeds is unknown"
    parts = []
    if evidence.high > 0:
        parts.append(f"gains above {_outward(evidence.high):+.1f} AP")
    else:
        parts.append("any gain")
    if evidence.low < 0:
        parts.append(f"losses beyond {_outward(evidence.low):+.1f} AP")
    else:
        parts.append("any loss")
    ruled_out = f"{' and '.join(parts)} ruled out at {percent(evidence.level)}"
    if not evidence.wide_needed:
        return ruled_out
    return f"{ruled_out}; {evidence.wide_needed} seeds per arm would see {evidence.wide:g} AP"


def _outward(value: float) -> float:
    """Rounded to 0.1 away from zero: a bound must not be printed tighter than it is."""
    # The small slack keeps 1.4000000000000001 at 1.4.
    return math.copysign(math.ceil(abs(value) * 10 - 1e-9) / 10, value)
