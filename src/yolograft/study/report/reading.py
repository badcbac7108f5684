"""Reads the arms of a parsed `results.json` without trusting it: a study in progress has holes everywhere.

Every number below is finite or absent. AP, P, R, F1 and their differences are in points, 0 to 100.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from yolograft.study.detail import Band, Confusion, read_bands, read_confusion
from yolograft.study.holes import number, rows, table, whole, words_of
from yolograft.study.report.notation import percent
from yolograft.study.report.svg import ARM_COLOURS, BASELINE
from yolograft.study.statistics.evidence import Evidence, evidence_of

EFFECTS = ("helps", "hurts")
FUSION = "fusion/"  # in a history: fusion/JOIN/INPUT, the weight of that input
METRICS = ("ap", "ap50", "ap75", "ap_s", "ap_m", "ap_l", "p", "r", "f1")


@dataclass(frozen=True, slots=True)
class ClassScore:
    """AP of one class in one run, in points; `gt` counts its evaluation boxes."""

    name: str
    ap: float | None
    gt: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """One training run. status: ``done``, ``diverged`` or ``missing``.

    best: epoch (from 0) and AP of the best of several evaluated epochs, chosen on the evaluation split.
    confidence: of best F1.
    """

    seed: str
    status: str
    metrics: dict[str, float]
    per_class: tuple[ClassScore, ...]
    history: tuple[dict[str, float], ...]
    best: tuple[int, float] | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One named layer of an arm's network; `stride` in input pixels, 0 when unknown."""

    name: str
    module: str
    inputs: tuple[str, ...]
    out_channels: int | None
    stride: int
    params: int | None
    new: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Arm minus baseline in AP points, its interval, and what the judge says about it.

    margin: smallest difference that matters, AP points.
    """

    delta: float | None
    low: float | None
    high: float | None
    level: float | None
    df: float | None
    verdict: str
    sentence: str
    known: str
    evidence: Evidence | None = None
    margin: float | None = None

    @property
    def qualified(self) -> str:
        """The verdict with what it must not stand without: `helps, smaller than your margin`."""
        known = self.delta is not None and self.margin is not None
        small = known and abs(self.delta or 0.0) < (self.margin or 0.0)
        return (
            f"{self.verdict}, smaller than your margin" if small and self.verdict in EFFECTS else self.verdict
        )


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm as the report shows it.

    model: the detector it is or grafts onto; empty where a study has one and does not say. cost: params,
    flops, gflops, p50 and p90 (ms), fps, memory (MB), seconds, rate (images/s); what is known.
    control: what a control arm controls for, empty for any other; of: the graft a placebo stands beside.
    """

    label: str
    expression: str
    baseline: bool
    colour: str
    runs: tuple[Run, ...]
    mean: dict[str, float]
    sd: dict[str, float]
    difference: Difference | None
    cost: dict[str, float]
    layers: tuple[Layer, ...]
    bands: dict[str, Band] = field(default_factory=dict)
    confusion: Confusion | None = None
    model: str = ""
    control: str = ""
    of: str = ""

    @property
    def done(self) -> tuple[Run, ...]:
        """Runs that ended with an AP; the others never enter a figure of results."""
        return tuple(run for run in self.runs if run.status == "done" and "ap" in run.metrics)


def read_arms(results: Mapping[str, Any]) -> tuple[Arm, ...]:
    """The arms of a study, the first baseline in grey, the others in palette order."""
    arms, coloured, grey = [], 0, False
    for entry in rows(results.get("arms")):
        raw = table(entry)
        baseline = bool(raw.get("baseline"))
        plain = baseline and not grey
        colour = BASELINE if plain else ARM_COLOURS[coloured % len(ARM_COLOURS)]
        coloured, grey = coloured + (not plain), grey or plain
        arms.append(_arm(raw, baseline=baseline, colour=colour, margin=number(results.get("margin"))))
    return tuple(arms)


def baseline_of(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """The baseline of the arm's own model."""
    return next((base for base in arms if base.baseline and base.model == arm.model), None)


def judged(arms: Sequence[Arm]) -> list[Arm]:
    """The arms that are set against another: grafts, a model set against the first one, judged controls."""
    return [arm for arm in arms if arm.difference is not None or not (arm.baseline or arm.control)]


def contrasted(results: Mapping[str, Any], arms: Sequence[Arm]) -> list[tuple[Arm, Mapping[str, Any]]]:
    """The contrasts of a study, each as the new arm under the name of both, and its row in the results."""
    margin, by_label = number(results.get("margin")), {arm.label: arm for arm in arms}
    found = []
    for row in map(table, rows(results.get("contrasts"))):
        arm = by_label.get(words_of(row.get("label")))
        if arm is not None:
            name = f"{arm.label} vs {words_of(row.get('against'))}"
            difference = _difference(row, margin)
            found.append((replace(arm, label=name, control="", difference=difference), row))
    return found


def compared(results: Mapping[str, Any], arms: Sequence[Arm]) -> list[Arm]:
    """Every row of the plot of intervals: the arms that are judged, then the contrasts between arms."""
    return judged(arms) + [arm for arm, _ in contrasted(results, arms)]


def levels_of(arms: Sequence[Arm]) -> str:
    """The levels of the arms' intervals: `95 %`, or `97.2 %–97.4 %` where they differ."""
    found = [arm.difference for arm in arms if arm.difference and arm.difference.low is not None]
    known = sorted(difference.level for difference in found if difference.level)
    if not known:
        return percent(None)
    low, high = percent(known[0]), percent(known[-1])
    return low if low == high else f"{low}–{high}"


def with_interval(arms: Sequence[Arm]) -> bool:
    """Whether any difference has an interval, so that a caption may speak of it."""
    return any(arm.difference is not None and arm.difference.low is not None for arm in arms)


def beside(arm: Arm, arms: Sequence[Arm]) -> bool:
    """Whether an arm is another model's baseline, and nobody judged it against the first."""
    first = next((base for base in arms if base.baseline), None)
    return arm.baseline and arm is not first and arm.difference is None


def mean_and_sd(values: list[float]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation; the latter needs two values."""
    if not values:
        return None, None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def class_names(arms: tuple[Arm, ...]) -> list[tuple[str, int | None]]:
    """Classes met in any finished run with their box counts, most boxes first."""
    counts: dict[str, int | None] = {}
    for arm in arms:
        for run in arm.done:
            for score in run.per_class:
                counts[score.name] = counts.get(score.name) or score.gt
    return sorted(counts.items(), key=lambda item: -(item[1] or 0))


def class_values(arm: Arm, name: str) -> list[float]:
    """AP of class `name` in every finished run of `arm`."""
    return [s.ap for run in arm.done for s in run.per_class if s.name == name and s.ap is not None]


def _numbers(raw: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, float]:
    found = {key: number(raw.get(key)) for key in keys}
    return {key: value for key, value in found.items() if value is not None}


def _arm(raw: Mapping[str, Any], *, baseline: bool, colour: str, margin: float | None) -> Arm:
    runs = tuple(_run(table(run)) for run in rows(raw.get("runs")))
    mean, sd = _numbers(table(raw.get("mean")), METRICS), _numbers(table(raw.get("sd")), METRICS)
    for key in METRICS:
        values = [run.metrics[key] for run in runs if run.status == "done" and key in run.metrics]
        centre, width = mean_and_sd(values)
        if centre is not None:
            mean.setdefault(key, centre)
        if width is not None:
            sd.setdefault(key, width)
    latency = table(raw.get("latency_ms"))
    cost = {
        "params": raw.get("params"),
        "flops": raw.get("flops"),
        "gflops": raw.get("gflops_ultralytics"),
        "p50": latency.get("p50"),
        "p90": latency.get("p90"),
        "fps": raw.get("fps"),
        "memory": raw.get("peak_memory_mb"),
        "seconds": raw.get("train_seconds"),
        "rate": raw.get("images_per_second"),
    }
    layers = tuple(_layer(table(layer)) for layer in rows(raw.get("layers")))
    label = words_of(raw.get("label")) or words_of(raw.get("expression")) or "?"
    return Arm(
        label=label,
        expression=words_of(raw.get("expression")),
        baseline=baseline,
        colour=colour,
        runs=runs,
        mean=mean,
        sd=sd,
        difference=_difference(raw.get("comparison"), margin),
        cost=_numbers(cost, tuple(cost)),
        layers=tuple(layer for layer in layers if layer.name),
        bands=read_bands(raw),
        confusion=read_confusion(raw),
        model=words_of(raw.get("model")),
        control=words_of(raw.get("control")),
        of=words_of(raw.get("of")),
    )


def _run(raw: Mapping[str, Any]) -> Run:
    metrics = _numbers(raw, METRICS)
    status = words_of(raw.get("status")) or ("done" if "ap" in metrics else "missing")
    scores = [table(score) for score in rows(raw.get("per_class"))]
    steps = [table(step) for step in rows(raw.get("history"))]
    history = tuple(step for step in (_numbers(s, _curves_of(s)) for s in steps) if "epoch" in step)
    measured = sum("ap" in step for step in history)
    return Run(
        seed=words_of(raw.get("seed")),
        status=status,
        metrics=metrics,
        per_class=tuple(
            ClassScore(words_of(s.get("name")), number(s.get("ap")), whole(s.get("gt"))) for s in scores
        ),
        history=history,
        best=_best(table(raw.get("best"))) if not history or measured > 1 else None,
        confidence=number(raw.get("f1_confidence")),
    )


def _curves_of(step: Mapping[str, Any]) -> tuple[str, ...]:
    return ("epoch", "loss", "ap", "ap50", *(key for key in step if key.startswith(FUSION)))


def _best(raw: Mapping[str, Any]) -> tuple[int, float] | None:
    epoch, ap = whole(raw.get("epoch")), number(raw.get("ap"))
    return None if epoch is None or ap is None else (epoch, ap)


def _layer(raw: Mapping[str, Any]) -> Layer:
    return Layer(
        name=words_of(raw.get("name")),
        module=words_of(raw.get("module")),
        inputs=tuple(words_of(source) for source in rows(raw.get("inputs"))),
        out_channels=whole(raw.get("out_channels")),
        stride=whole(raw.get("stride")) or 0,
        params=whole(raw.get("params")),
        new=bool(raw.get("new")),
    )


def _difference(value: object, margin: float | None) -> Difference | None:
    raw = table(value)
    if not raw:
        return None
    return Difference(
        delta=number(raw.get("delta")),
        low=number(raw.get("low")),
        high=number(raw.get("high")),
        level=number(raw.get("level")),
        df=number(raw.get("df")),
        verdict=words_of(raw.get("verdict")),
        sentence=words_of(raw.get("sentence")),
        known=words_of(raw.get("known")),
        evidence=evidence_of(table(raw.get("evidence"))),
        margin=margin,
    )
