"""What a study's numbers are of: the detector with what makes it another one, and the runs that ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yolograft.graph.levels import STOCK
from yolograft.study.holes import rows, table, words_of
from yolograft.study.report.reading import Arm, baseline_of, judged
from yolograft.study.report.wording import Wording


def detector_line(results: Mapping[str, Any], words: Wording) -> str:
    """`yolov8n (levels p2, p3, p4, p5; from trained weights)`; the name alone for a stock, fresh start."""
    levels = [words_of(level) for level in rows(results.get("levels"))]
    marks = []
    if levels and tuple(levels) != STOCK:
        marks.append(words("on_levels", levels=words("list_comma").join(levels)))
    if results.get("from_weights") is True:
        marks.append(words("from_weights"))
    model = words("list_comma").join(models_of(results))
    if not (model and marks):
        return model
    return words("with_marks", model=model, marks=words("list_semicolon").join(marks))


def models_of(results: Mapping[str, Any]) -> list[str]:
    """The models of a study, the first one first; none where the results do not say."""
    names = [words_of(name) for name in rows(results.get("models"))] or [words_of(results.get("model"))]
    return [name for name in names if name]


def models_note(results: Mapping[str, Any], words: Wording) -> str:
    """What rows of different models say about each other; empty where there is one model."""
    if len(models_of(results)) < 2:
        return ""
    return words("models_across" if results.get("across") is True else "models_apart")


def seeds_behind(counts: Sequence[int]) -> str:
    """Over how many runs the means of the arms are: `3`, or `1–3` where arms differ."""
    low, high = min(counts, default=0), max(counts, default=0)
    return str(low) if low == high else f"{low}–{high}"


def seeds_run(results: Mapping[str, Any], arms: Sequence[Arm]) -> list[int]:
    """How many seeds every arm is due, fewer for one that a look has stopped; none where nothing is planned.

    An arm of which no run is listed yet counts with all planned seeds.
    """
    planned = len(rows(table(results.get("budget")).get("seeds")))
    counts = [len(arm.runs) or planned for arm in arms] or [planned]
    return [min(count, planned) for count in counts] if planned else []


def stopped_note(arms: Sequence[Arm], words: Wording) -> str:
    """Why a difference is not that of the AP columns: arms of different run counts; else empty."""
    pairs = [(arm, baseline_of(arm, arms)) for arm in judged(arms) if arm.difference]
    apart = any(base is not None and len(arm.runs) != len(base.runs) for arm, base in pairs)
    return words("stopped_note") if apart else ""


def failures(arms: Sequence[Arm], words: Wording) -> list[str]:
    """`se-neck.p3: 1 of 3 runs diverged` for every arm that lost a run."""
    lost = [(arm, sum(run.status == "diverged" for run in arm.runs)) for arm in arms]
    return [
        words("diverged_of", label=arm.label, count=count, planned=len(arm.runs))
        for arm, count in lost
        if count
    ]


def partial_notice(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> str:
    """That runs are still missing, and how many; empty for a finished study."""
    if words_of(results.get("status")) != "partial":
        return ""
    seeds = len(rows(table(results.get("budget")).get("seeds")))
    planned = sum(max(seeds, len(arm.runs)) for arm in arms)
    return words("partial", done=sum(len(arm.done) for arm in arms), planned=planned)


def unsound_notice(results: Mapping[str, Any], words: Wording) -> str:
    """Why no verdict falls although runs are finished; empty for a study whose runs belong together."""
    why = words_of(results.get("unsound"))
    return words("unsound", why=words.verdict(why)) if why else ""
