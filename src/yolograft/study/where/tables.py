"""Where an arm differs from its baseline: by class, box size, crowding and kind of error. Exploratory.

Every difference has the interval of `study.variance.two_way`, seeds and images both; the rows of one table
(one arm, one kind) hold together at the stated level by Bonferroni: each interval at 1 - alpha / rows, each
p-value times rows. No row is a verdict: it says where a new study may look.
Runs are not paired here even where the verdict's are: one form for all rows, on the safe side.

A part whose ground truth lies in fewer than 20 images (or groups) has too few to tell their spread; its
interval sees seeds only and its scope says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as distributions

from yolograft.metrics.influence import grouped
from yolograft.study.statistics.compare import FEWEST_UNITS
from yolograft.study.statistics.critical import critical_value
from yolograft.study.statistics.evidence import NEW_IMAGES, THIS_SPLIT
from yolograft.study.statistics.variance import Noise, two_way
from yolograft.study.where.parts import KINDS, Part

RULE = "Bonferroni"
HEAD = "exploratory: no verdict falls on these rows"
Runs = Sequence[Sequence[Part]]

_F64 = NDArray[np.float64]


def where(
    base: str,
    runs: Mapping[str, Runs],
    *,
    groups: ArrayLike | None = None,
    alpha: float = 0.05,
) -> list[dict[str, Any]]:
    """One table for every arm and kind, as JSON values; differences are arm minus baseline, AP points.

    A table: ``arm``, ``against``, ``kind``, ``head`` (exploratory), ``level`` of all its rows together,
    ``rule`` and ``over`` how many, ``scope`` (that of its narrowest row), ``rows``. A row: ``name``, ``base``
    and ``value`` (means of the seeds), ``delta``, ``low``, ``high``, ``se``, ``df``, ``p_value``, ``scope``,
    ``boxes``, ``images`` (that hold such boxes), and for errors ``errors``: mean count of baseline and arm.
    What the runs cannot tell is null.

    Args:
        base: the label of the baseline.
        runs: label -> the parts (`study.parts.parts_of`) of each finished run; an arm without is left out.
        groups: [images], the group of every image, where groups are what is drawn.
        alpha: chance of a false difference among the rows of one table.

    Returns:
        no table where the runs have different parts: they are not of one split, and nothing compares.
    """
    arms = {label: own for label, own in runs.items() if own and label != base}
    if not runs.get(base) or not arms:
        return []
    sides = [runs[base], *arms.values()]
    keys = [_key(part) for part in sides[0][0]]
    if any([_key(part) for part in run] != keys for side in sides for run in side):
        return []
    units = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    tables = []
    for kind in KINDS:
        places = [place for place, key in enumerate(keys) if key[0] == kind]
        rows = [_compared([[run[place] for run in side] for side in sides], units) for place in places]
        for number, label in enumerate(arms):
            if places:
                shown = [_row(row, number, alpha=alpha / len(places)) for row in rows]
                tables.append(_table(label, base, kind, 1 - alpha, shown))
    return tables


def _key(part: Part) -> tuple[str, str, int, int]:
    return part.kind, part.name, part.boxes, len(part.influence)


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """One part of all runs, arm by arm, baseline first. images: whether noise sees images, or seeds only."""

    sides: Sequence[Sequence[Part]]
    values: Sequence[_F64]
    noise: Noise
    images: bool

    @property
    def noise_seen(self) -> bool:
        """Whether two runs of one arm differ; else nobody knows how much they might."""
        return bool((self.noise.seed_df > 0).all()) and any(len(set(own.tolist())) > 1 for own in self.values)


def _compared(sides: Sequence[Sequence[Part]], units: NDArray[np.intp] | None) -> _Compared:
    values = [np.array([part.value for part in side]) for side in sides]
    holding = sides[0][0].holding
    enough = len(np.flatnonzero(holding) if units is None else np.unique(units[holding])) >= FEWEST_UNITS
    influences = None
    if enough:
        stacked = [np.stack([part.influence for part in side]) for side in sides]
        influences = stacked if units is None else [grouped(psi, units) for psi in stacked]
    return _Compared(sides, values, two_way(values, influences), enough)


def _row(compared: _Compared, arm: int, *, alpha: float) -> dict[str, Any]:
    """One row of one arm; ``alpha`` is the row's own share."""
    (base, side), noise = (compared.sides[0], compared.sides[arm + 1]), compared.noise
    first, delta = base[0], float(noise.delta[arm])
    row: dict[str, Any] = {
        "name": first.name,
        "base": float(compared.values[0].mean()),
        "value": float(compared.values[arm + 1].mean()),
        "delta": delta,
        **dict.fromkeys(("low", "high", "se", "df", "p_value")),
        "scope": NEW_IMAGES if compared.images else THIS_SPLIT,
        "boxes": first.boxes if first.errors is None else None,
        "images": int(np.count_nonzero(first.holding)),
    }
    if first.errors is not None:
        row["errors"] = [float(np.mean([part.errors or 0 for part in runs])) for runs in (base, side)]
    if compared.noise_seen:
        se, df = math.sqrt(float(noise.total[arm])), float(noise.df[arm])
        half = critical_value(alpha / 2, df) * se
        chance = 2 * float(distributions.t.sf(abs(delta) / se, df))
        row |= {"low": delta - half, "high": delta + half, "se": se, "df": df, "p_value": chance}
    return row


def _table(label: str, base: str, kind: str, level: float, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    for row in rows:
        if row["p_value"] is not None:
            row["p_value"] = min(1.0, row["p_value"] * len(rows))
    narrow = any(row["scope"] == THIS_SPLIT for row in rows)
    return {
        "arm": label,
        "against": base,
        "kind": kind,
        "head": HEAD,
        "level": level,
        "rule": RULE,
        "over": len(rows),
        "scope": THIS_SPLIT if narrow else NEW_IMAGES,
        "rows": list(rows),
    }
