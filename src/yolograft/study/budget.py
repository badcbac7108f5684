"""Planning: from how much runs differ to the seeds, images and hours that a difference takes.

The noise is measured where it can be: in a pilot (run-to-run sd, and what images add) or in earlier baseline
runs; else it is a prior, and the plan says so. What was measured in few runs is taken at its 80 % upper
bound: a plan with too small an sd ends without a verdict (chi-square bound; Browne 1995, "On the use of a
pilot sample for sample size determination", Statistics in Medicine 14).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats as distributions

from yolograft.errors import StudyError
from yolograft.study.holes import number, table, whole
from yolograft.study.noise import pooled_sd
from yolograft.study.records.studyrecord import StudyRecord
from yolograft.study.statistics.power import (
    FEWEST_SEEDS,
    Design,
    fewest_seeds,
    images_needed,
    minimum_detectable,
)

# Run-to-run sd of AP by training images, from published repeats and our own runs (the upper end of each).
PRIORS = (
    (1_000, 2.4, "prior for under 1,000 training images: BCCD from scratch, our own runs"),
    (20_000, 0.6, "prior for up to 20,000 training images: repeats on VOC"),
    (math.inf, 0.3, "prior for COCO-sized sets: repeats published by MMDetection and MMYOLO"),
)
MOST_SEEDS_LISTED = 100_000


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a budget is reckoned from.

    sd: of AP between runs, points. source: where it comes from. df: degrees of freedom behind it; 0 for a
    prior. image_variance, units: see `power.Design`; 0 where nothing is known. arms: candidates beside one
    baseline. bank_df: lent by earlier baseline runs. seconds: of one seed of all arms; None if unknown.
    timed: where the seconds come from.
    """

    sd: float
    source: str
    df: int = 0
    image_variance: float = 0.0
    units: int = 0
    arms: int = 1
    bank_df: int = 0
    seconds: float | None = None
    timed: str = ""

    @property
    def planned_sd(self) -> float:
        """The sd to plan with: the 80 % upper bound of a measured one, a prior as it is."""
        if not self.df:
            return self.sd
        return self.sd * math.sqrt(self.df / float(distributions.chi2.ppf(0.2, self.df)))

    @property
    def design(self) -> Design:
        """For `study.power`."""
        return Design(self.arms, 0.05, self.image_variance, self.units, self.bank_df)

    def hours(self, seeds: int) -> float | None:
        """Training time of ``seeds`` seeds of all arms; None where a run was never timed."""
        return None if self.seconds is None else seeds * self.seconds / 3600


def outlook_of_pilot(
    pilot: StudyRecord, noise: Mapping[str, Any], *, images: int | None = None, another: str = ""
) -> Outlook:
    """What a finished study says about the noise of the next one.

    Args:
        noise: of the same study, as `noise.noise_of` gives it.
        images: of the next study's evaluation split; the spread over images falls as one over their number.
        another: in which respect the pilot is another experiment, for its source.

    Raises:
        StudyError: no arm of it has two finished runs (YG638).
    """
    sd, runs = number(noise.get("sd")), whole(noise.get("runs")) or 0
    if sd is None:
        cause = f"{pilot.name} has no arm with two finished runs: its noise is unknown"
        raise StudyError("YG638", cause, fix="a pilot takes two seeds or more; or leave --pilot out")
    df = runs - (whole(noise.get("arms")) or 1)
    variance, units = number(noise.get("image_variance")) or 0.0, whole(noise.get("units")) or 0
    had = whole(pilot.manifest["data"]["eval"].get("images")) or 0
    share = had / images if had and images else 1.0
    source = f"measured in pilot {pilot.name} ({runs} runs)" + (
        f", a pilot of another {another}" * bool(another)
    )
    return Outlook(sd, source, df, variance * share, round(units / share))


def outlook_of_bank(groups: Sequence[Sequence[float]]) -> Outlook:
    """What earlier baseline runs say about the noise of the next study, to which they also lend it.

    Raises:
        StudyError: no group has two runs (YG638).
    """
    sd, runs, count = pooled_sd([list(group) for group in groups])
    if sd is None:
        raise StudyError("YG638", "no two earlier baseline runs of this kind", fix="leave --bank out")
    return Outlook(sd, f"measured in {runs} earlier baseline runs", runs - count, bank_df=runs - count)


def outlook_of_prior(train_images: int) -> Outlook:
    """What is assumed of a set of this size before anything was measured."""
    sd, source = next((sd, source) for most, sd, source in PRIORS if train_images < most)
    return Outlook(sd, source)


def seconds_of_pilot(pilot: StudyRecord, *, images: int, epochs: float) -> float | None:
    """Training time of one seed of all arms, from the images a second that the pilot's runs had.

    Args:
        images: of the planned study's training split. epochs: that its arms train together.
    """
    speeds = [number(record.scores.get("images_per_second")) for record in pilot.runs.values()]
    known = [speed for speed in speeds if speed]
    return images * epochs / (sum(known) / len(known)) if known else None


def budget_rows(outlook: Outlook, differences: Sequence[float]) -> list[dict[str, Any]]:
    """What each true difference (AP points) takes at 80 % power, with one look.

    seeds: per arm; None where no number of seeds does, images being the limit. hours: of training. images:
    how many the evaluation split must have for endless seeds to see it, 0 where images were not measured.
    """
    rows = []
    for difference in sorted(set(differences)):
        seeds = fewest_seeds(difference, outlook.planned_sd, outlook.design)
        seeds = seeds if seeds <= MOST_SEEDS_LISTED else 0
        images = images_needed(difference, outlook.image_variance, outlook.units, arms=outlook.arms)
        rows.append(
            {
                "difference": difference,
                "seeds": seeds or None,
                "hours": outlook.hours(seeds) if seeds else None,
                "images": images,
            }
        )
    return rows


def within(outlook: Outlook, hours: float) -> dict[str, Any]:
    """What a budget of hours sees: seeds per arm, and the difference found four times out of five.

    difference: None below three seeds, where no verdict falls.

    Raises:
        StudyError: the hours are not positive, or a run was never timed (YG602).
    """
    if not (math.isfinite(hours) and hours > 0) or outlook.seconds is None:
        raise StudyError("YG602", f"cannot plan {hours:g} hours", fix="--hours takes a positive number")
    seeds = min(int(hours * 3600 / outlook.seconds), MOST_SEEDS_LISTED)
    if seeds < FEWEST_SEEDS:
        return {"hours": hours, "seeds": seeds, "difference": None}
    smallest = minimum_detectable(outlook.planned_sd, seeds, design=outlook.design)
    return {"hours": hours, "seeds": seeds, "difference": smallest}


def limited_by_images(row: Mapping[str, Any], outlook: Outlook) -> bool:
    """Whether a row of `budget_rows` needs more images than the pilot was measured on."""
    return bool(outlook.units) and (whole(table(row).get("images")) or 0) > outlook.units
