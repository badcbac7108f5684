"""What a verdict rests on, and the word it comes to: numbers in, one word out.

The same words serve every way of computing the interval. `results.json` keeps the evidence, so that a
report in another language says the same, and a reader can recompute every number by hand:
se^2 = max(v_seed + max(v_img - v_int, 0), v_img), v_seed = sd_base^2 / K0 + sd_arm^2 / K, and the interval is
delta +- critical * se.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal

Verdict = Literal["helps", "hurts", "no detectable difference", "not enough seeds", "not enough images"]

NEW_IMAGES, THIS_SPLIT = "new images like these", "this evaluation split"
#: Words that decide nothing: an arm that ends a look with one goes on to the next.
NON_VERDICTS: tuple[Verdict, ...] = ("not enough seeds", "not enough images")
_FEWEST_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a verdict rests on; differences in AP points, pairs are (baseline, arm).

    low, high: interval at ``level``, nan where unknown. equivalence_half: half width of the TOST
    interval. seeds: runs compared. failed: diverged runs. tried: arms tried against this baseline.
    needed, wide_needed: seeds per arm to see ``margin`` and ``wide``; wide_needed 0 if unknown.

    What follows came later; older results lack it. critical, df, se: of the interval, df also of the TOST.
    sd_base, sd_arm: governing run-to-run sds (paired: sd_arm of the differences, sd_base nan). v_seed, v_img,
    v_int: parts of the variance; the last two nan where only seeds count. units: images, or groups of images
    where ``grouped``, behind them. images_needed: images (groups) with which endless seeds would see
    ``margin``; more than ``units`` where no number of seeds does. alpha: error of all verdicts of this look.
    correlations: of this arm's difference with those of the arms judged beside it. bank_runs: earlier
    baseline runs that lent their variance; bank_refused: a bank was planned, and its noise differs. finished:
    runs, of which the paired form compares those whose seed both sides finished. silence: ``zero`` where
    every run of both sides scored AP 0, ``still`` where neither side's runs differ. placebo: label of the
    placebo arm, with the interval of arm - placebo, nan where its runs (placebo_finished, placebo_failed:
    diverged) show nothing. seconds_per_run: of training, here.
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
    critical: float = math.nan
    df: float = math.nan
    se: float = math.nan
    sd_base: float = math.nan
    sd_arm: float = math.nan
    v_seed: float = math.nan
    v_img: float = math.nan
    v_int: float = math.nan
    units: int = 0
    grouped: bool = False
    images_needed: int = 0
    alpha: float = math.nan
    correlations: tuple[float, ...] = ()
    paired: bool = False
    bank_runs: int = 0
    silence: str = ""
    placebo: str = ""
    placebo_low: float = math.nan
    placebo_high: float = math.nan
    seconds_per_run: float = math.nan
    bank_refused: bool = False
    finished: tuple[int, int] = (0, 0)
    placebo_finished: int = 0
    placebo_failed: int = 0

    @property
    def ended(self) -> tuple[int, int]:
        """Runs that came to an end, diverged ones too; older results know those compared alone."""
        base, arm = (max(pair) for pair in zip(self.seeds, self.finished, strict=True))
        return base + self.failed[0], arm + self.failed[1]


def evidence_json(evidence: Evidence) -> dict[str, Any]:
    """The evidence as JSON values; what is not finite is null."""
    unknown = {k: v for k, v in asdict(evidence).items() if isinstance(v, float) and not math.isfinite(v)}
    listed = {key: list(v) for key, v in asdict(evidence).items() if isinstance(v, tuple)}
    return asdict(evidence) | listed | dict.fromkeys(unknown)


def evidence_of(data: Mapping[str, Any]) -> Evidence | None:
    """The evidence read back; None where ``data`` does not hold what every version wrote."""
    try:
        values = {field.name: _read(field.type, data[field.name]) for field in fields(Evidence)
                  if field.name in data or field.default is MISSING}  # fmt: skip
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return Evidence(**values)


def _read(kind: Any, value: Any) -> Any:
    """One value of the kind its field has; annotations are text here."""
    if kind == "float":
        return math.nan if value is None else float(value)
    if kind == "tuple[int, int]":
        first, second = value
        return int(first), int(second)
    if kind == "tuple[float, ...]":
        return tuple(float(one) for one in value)
    return {"int": int, "bool": bool, "str": str}[kind](value)


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
    return "not enough images" if evidence.images_needed > evidence.units else "not enough seeds"


def beside_placebo(evidence: Evidence) -> str:
    """How an arm that helps stands to its placebo: ``not better``, ``worse``, or empty."""
    if not evidence.placebo or evidence.placebo_low > 0:
        return ""
    return "worse" if evidence.placebo_high < 0 else "not better"


def percent(level: float) -> str:
    """A level as text: 0.95 -> ``95 %``, 0.98333 -> ``98.33 %``."""
    return f"{100 * level:.4g} %"


def outward(value: float) -> float:
    """Rounded to 0.1 away from zero: a bound must not be printed tighter than it is."""
    # The small slack keeps 1.4000000000000001 at 1.4.
    return math.copysign(math.ceil(abs(value) * 10 - 1e-9) / 10, value)


def hours_and_minutes(evidence: Evidence, seeds: int) -> tuple[int, int] | None:
    """How long ``seeds`` runs of each of the two arms take here, at least one minute; None if unknown."""
    if not (math.isfinite(evidence.seconds_per_run) and evidence.seconds_per_run > 0):
        return None
    return divmod(max(round(2 * seeds * evidence.seconds_per_run / 60), 1), 60)
