"""Runs of equal recipe are seeds of one group; what stands in which recipe differently is named."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from yolograft.study.judge.bounded import Scalar
from yolograft.study.judge.foreign_run import DONE, ForeignRun

_SHOWN, _LONGEST = 6, 40


@dataclass(frozen=True, slots=True)
class RunGroup:
    """Runs of one tool, recipe and data. label: the name of the first folder, unique among the groups."""

    label: str
    runs: tuple[ForeignRun, ...]

    @property
    def done(self) -> tuple[ForeignRun, ...]:
        """The runs that came to their end."""
        return tuple(run for run in self.runs if run.status == DONE)

    @property
    def tool(self) -> str:
        """Which tool trained them."""
        return self.runs[0].tool

    @property
    def data(self) -> str:
        """What they were trained and evaluated on, as their settings say."""
        return self.runs[0].data

    @property
    def recipe(self) -> Mapping[str, Scalar]:
        """Their settings, without what belongs to one run."""
        return self.runs[0].recipe

    @property
    def repeats(self) -> dict[int, int]:
        """Seed -> finished runs, where there are several."""
        counts = Counter(run.seed for run in self.done if run.seed is not None)
        return {seed: count for seed, count in counts.items() if count > 1}


def group_runs(runs: Iterable[ForeignRun]) -> list[RunGroup]:
    """Groups in order of their first run."""
    groups: dict[tuple[object, ...], list[ForeignRun]] = {}
    for run in runs:
        # Text of the values: True and 1 are two settings, and 1.0 and 1 one number written twice.
        recipe = tuple((key, _same(value)) for key, value in run.recipe.items())
        groups.setdefault((run.tool, run.data, recipe), []).append(run)
    labels: dict[str, int] = {}
    found: list[RunGroup] = []
    for some in groups.values():
        name = some[0].name or "run"
        labels[name] = labels.get(name, 0) + 1
        label = name if labels[name] == 1 else f"{name} ({labels[name]})"
        found.append(RunGroup(label, tuple(some)))
    return found


def seeds_of(group: RunGroup) -> dict[str, float]:
    """AP of the last epoch by seed; runs of one seed count as one, their mean."""
    by_seed: dict[str, list[float]] = {}
    for place, run in enumerate(group.done):
        key = f"run {place}" if run.seed is None else str(run.seed)
        by_seed.setdefault(key, []).append(run.last)
    return {seed: statistics.fmean(values) for seed, values in by_seed.items()}


def differing(base: RunGroup, group: RunGroup) -> str:
    """The settings in which two groups differ, as ``fliplr 0.5 -> 0.0``."""
    keys = [*base.recipe, *(key for key in group.recipe if key not in base.recipe)]
    one, two = dict(base.recipe) | {"tool": base.tool}, dict(group.recipe) | {"tool": group.tool}
    if base.data != group.data:
        one, two = one | {"data": base.data}, two | {"data": group.data}
    changed = [k for k in ("tool", "data", *keys) if _same(one.get(k, "")) != _same(two.get(k, ""))]
    shown = [f"{key} {_change(one.get(key, '-'), two.get(key, '-'))}" for key in changed[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "")


def _same(value: Scalar) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value)) if abs(value) < 1e15 else repr(value)
    return repr(value)


def _change(old: Scalar, new: Scalar) -> str:
    """``old -> new`` in a few letters; of paths their names, where these tell them apart."""
    texts = [str(value) for value in (old, new)]
    names = [PurePath(text.replace("\\", "/")).name or text for text in texts]
    return " -> ".join(_short(text) for text in (names if len(set(names)) > 1 else texts))


def _short(text: str) -> str:
    # The end of a path tells more than its beginning.
    return text if len(text) <= _LONGEST else "..." + text[3 - _LONGEST :]
