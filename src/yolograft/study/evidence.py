"""What a verdict rests on, and the word it comes to: numbers in, one of four words out.

The same words serve every way of computing the interval. `results.json` keeps the evidence, so that a
report in another language says the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

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


def evidence_json(evidence: Evidence) -> dict[str, Any]:
    """The evidence as JSON values; what is not finite is null."""
    unknown = {k: v for k, v in asdict(evidence).items() if isinstance(v, float) and not math.isfinite(v)}
    pairs = {"seeds": list(evidence.seeds), "failed": list(evidence.failed)}
    return asdict(evidence) | pairs | dict.fromkeys(unknown)


def evidence_of(data: Mapping[str, Any]) -> Evidence | None:
    """The evidence read back; None where ``data`` does not hold all of it."""
    try:
        values: dict[str, Any] = {field.name: data[field.name] for field in fields(Evidence)}
        for key in ("delta", "low", "high", "level", "equivalence_half", "margin", "wide"):
            values[key] = math.nan if values[key] is None else float(values[key])
        for key in ("tried", "needed", "wide_needed"):
            values[key] = int(values[key])
        for key in ("seeds", "failed"):
            first, second = values[key]
            values[key] = (int(first), int(second))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    for key in ("label", "scope"):
        values[key] = str(values[key])
    return Evidence(**values)


@dataclass(frozen=True, slots=True)
class Said:
    """word: the verdict. withheld: the verdict the numbers alone would give, where runs diverged."""

    word: Verdict
    withheld: Verdict | None = None

    def needed(self, evidence: Evidence) -> int:
        """Seeds per arm a next study takes.

        One that ended undecided needs more than it had, whatever its own noise estimate says.
        """
        return max(evidence.needed, min(evidence.seeds) + 1, _FEWEST_SEEDS)


def verdict_of(evidence: Evidence) -> Said:
    """What may be said: the survivors of a side that diverged flatter it, so some words are withheld."""
    word, (base, arm) = _word(evidence), evidence.failed
    blocked = (
        (word == "helps" and arm > 0)
        or (word == "hurts" and base > 0)
        or (word == "no detectable difference" and base + arm > 0)
    )
    return Said("not enough seeds", word) if blocked else Said(word)


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


def percent(level: float) -> str:
    """A level as text: 0.95 -> ``95 %``, 0.98333 -> ``98.33 %``."""
    return f"{100 * level:.4g} %"


def outward(value: float) -> float:
    """Rounded to 0.1 away from zero: a bound must not be printed tighter than it is."""
    # The small slack keeps 1.4000000000000001 at 1.4.
    return math.copysign(math.ceil(abs(value) * 10 - 1e-9) / 10, value)
