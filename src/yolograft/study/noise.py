"""How runs of a study differ: the figures that the next study is planned with.

sd: run-to-run sd of AP, pooled over arms. rho: correlation of an arm with its baseline over the seeds they
share, pooled over arms; where it is high, pairing pays. image_share: the part of the variance of the
difference that no number of seeds removes, because the graft suits some images better than others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from yolograft.engine.arm import DONE
from yolograft.study.holes import number, table
from yolograft.study.records.studyrecord import StudyRecord

# Fewer shared seeds than this give a correlation that says nothing.
FEWEST_PAIRS = 3


def noise_of(study: StudyRecord, comparisons: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The noise of a study for ``results.json``, AP points; None where it is not known.

    runs: runs that ``sd`` rests on, of ``arms`` arms. pairs: pairs of runs that ``rho`` rests on.
    image_variance: V_img - V_int in squared AP points, median over arms, on ``units`` images or groups.
    """
    labels = [arm["label"] for arm in study.manifest["arms"]]
    values = [list(scores_by_seed(study, label).values()) for label in labels]
    sd, runs, arms = pooled_sd(values)
    pairs = [(row["against"], label) for label, row in comparisons.items()]
    rho, count = pooled_rho([_pair(study, base, label) for base, label in pairs])
    of_images = [image_variance(row) for row in comparisons.values()]
    known = [value for value in of_images if value is not None]
    shares = [
        value / se**2
        for value, row in zip(of_images, comparisons.values(), strict=True)
        if value is not None and (se := number(row.get("se")))
    ]
    return {
        "sd": sd,
        "runs": runs,
        "arms": arms,
        "rho": rho,
        "pairs": count,
        "image_variance": float(np.median(known)) if known else None,
        "image_share": min(float(np.median(shares)), 1.0) if shares else None,
        "units": next((table(row.get("variance")).get("units") for row in comparisons.values()), None),
    }


def scores_by_seed(study: StudyRecord, label: str) -> dict[int, float]:
    """Seed -> AP in points of the finished runs of an arm."""
    return {
        seed: float(record.scores["ap"])
        for (name, seed), record in study.runs.items()
        if name == label and record.status == DONE and record.scores.get("ap") is not None
    }


def rho_of(study: StudyRecord, base: str, label: str) -> float | None:
    """Correlation of an arm and its baseline over shared seeds; None below three or without noise."""
    return pooled_rho([_pair(study, base, label)])[0]


def pooled_sd(groups: Iterable[list[float]]) -> tuple[float | None, int, int]:
    """The sd pooled over groups of runs, the runs it rests on and in how many groups; None without two."""
    usable = [group for group in groups if len(group) > 1]
    df = sum(len(group) - 1 for group in usable)
    if not df:
        return None, 0, 0
    # Sums of squares around each group's own mean.
    total = sum(float(np.var(group)) * len(group) for group in usable)
    return math.sqrt(total / df), sum(map(len, usable)), len(usable)


def _pair(study: StudyRecord, base: str, label: str) -> np.ndarray:
    """AP of both arms over the seeds they share, [2, K]."""
    one, two = scores_by_seed(study, base), scores_by_seed(study, label)
    shared = sorted(one.keys() & two.keys())
    return np.array([[one[seed] for seed in shared], [two[seed] for seed in shared]])


def pooled_rho(pairs: Iterable[np.ndarray]) -> tuple[float | None, int]:
    """Correlation pooled within pairs of arms, and how many runs on each side it rests on."""
    both, first, second, count = 0.0, 0.0, 0.0, 0
    for pair in pairs:
        if pair.shape[1] < FEWEST_PAIRS:
            continue
        one, two = pair - pair.mean(axis=1, keepdims=True)
        both, first, second = both + float(one @ two), first + float(one @ one), second + float(two @ two)
        count += pair.shape[1]
    return (both / math.sqrt(first * second), count) if first * second > 0 else (None, count)


def image_variance(row: Mapping[str, Any]) -> float | None:
    parts = table(row.get("variance"))
    image, interaction = number(parts.get("image")), number(parts.get("interaction"))
    return None if image is None or interaction is None else max(image - interaction, 0.0)
