"""What a budget of seeds can see, in one line, before it is spent."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolograft.study.statistics.power import Design, minimum_detectable

# Run-to-run sd of AP on small sets trained from scratch, used until a study has its own.
ASSUMED_SD = 2.4


@dataclass(frozen=True, slots=True)
class Noise:
    """Measured run-to-run noise. sd: pooled, AP points. runs: it was measured on. df: of its variance."""

    sd: float
    runs: int
    df: int


def sees_line(
    seeds: int,
    *,
    arms: int,
    verdicts: int = 0,
    alpha: float = 0.05,
    noise: Noise | None = None,
    lent: bool = True,
    paired: bool = False,
) -> str:
    """One line: which true difference this budget finds four times out of five.

    Args:
        seeds: runs per arm at the last look.
        arms: judged against one baseline; with it they tell how runs differ.
        verdicts: that share the chance of error, where a study has more than these.
        alpha: level of the last look. Earlier looks add to what is found; they are not counted.
        noise: measured in earlier runs; an assumed one where None.
        lent: these runs also lend their noise to the judge.
        paired: the paired form, whose gain nobody knows beforehand: seeds are taken as uncorrelated.
    """
    share = arms / max(verdicts, arms)
    sd = noise.sd if noise else ASSUMED_SD
    lent_df = noise.df if noise and lent and not paired else 0
    design = Design(arms, alpha * share, bank_df=lent_df, paired=paired)
    # Of two uncorrelated runs, the difference has twice the variance of one.
    smallest = minimum_detectable(sd * math.sqrt(2) if paired else sd, seeds, design=design)
    if not math.isfinite(smallest):
        return f"{seeds} seed(s) cannot carry a verdict: three per arm is the least"
    source = f"measured in {noise.runs} earlier runs" if noise else "small sets, from scratch"
    beside = ", paired, no correlation over seeds assumed" if paired else ""
    return (
        f"{seeds} seeds per arm find a true difference of {smallest:.1f} AP four times out of five, "
        f"if runs differ by an sd of {sd:.3g} AP ({source}{beside})"
    )


def noise_of_bank(bank: Sequence[Mapping[str, Any]]) -> Noise | None:
    """The pooled noise of earlier baseline runs, as a manifest holds them; None without any."""
    groups = [row["values"] for row in bank if len(row["values"]) > 1]
    df = sum(len(group) - 1 for group in groups)
    if not df:
        return None
    variance = sum(statistics.variance(group) * (len(group) - 1) for group in groups) / df
    return Noise(math.sqrt(variance), sum(map(len, groups)), df)
