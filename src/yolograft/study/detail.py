"""What the runs of one arm measured beyond their scores, gathered over seeds: curves and confusion.

A run keeps both as short strings (`study.scores`); an arm keeps the mean curve with its lowest and highest
seed, and the summed matrix. Readers trust nothing: damaged text is as good as none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.study.holes import number, rows, table, whole

POINTS = 101
CURVES = ("recall", "p", "r", "f1")
# A matrix of them takes 32 MB; counts within which sums over seeds stay exact.
_MOST_CLASSES, _MOST_COUNTED = 2_000, 10**12


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A curve over 0, .01, ... 1 in points: mean over seeds, lowest and highest seed, each [101].

    nan where a seed's value is not known.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    seeds: int


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Counts summed over seeds, int64 [C + 1, C + 1], row truth, column predicted, last background.

    confidence: lowest and highest of the seeds' own thresholds.
    """

    counts: NDArray[np.int64]
    confidence: tuple[float, float]
    iou: float
    seeds: int


def detail(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``curves`` and ``confusion`` of an arm for ``results.json``, from its finished runs' scores.

    The strings of the runs are no longer needed beside it.
    """
    done = [run for run in runs if run.get("status") == "done"]
    bands = {}
    for key in CURVES:
        curves = [c for c in (_numbers(table(run.get("curves")).get(key)) for run in done) if c is not None]
        if curves:
            stack = np.stack(curves)
            lines = {"mean": stack.mean(axis=0), "low": stack.min(axis=0), "high": stack.max(axis=0)}
            bands[key] = {k: curve_text(v) for k, v in lines.items()} | {"seeds": len(curves)}
    found = [table(run.get("confusion")) for run in done]
    return {"curves": bands, "confusion": _summed([entry for entry in found if _cells(entry) is not None])}


def read_bands(raw: Mapping[str, Any]) -> dict[str, Band]:
    """The bands of an arm of ``results.json``; runs that still carry their strings serve as well."""
    entry = table(raw.get("curves")) or detail([table(run) for run in rows(raw.get("runs"))])["curves"]
    bands = {}
    for key in CURVES:
        lines = [_numbers(table(entry.get(key)).get(line)) for line in ("mean", "low", "high")]
        mean, low, high = lines
        if mean is not None and low is not None and high is not None:
            bands[key] = Band(mean, low, high, whole(table(entry.get(key)).get("seeds")) or 1)
    return bands


def read_confusion(raw: Mapping[str, Any]) -> Confusion | None:
    """The confusion matrix of an arm of ``results.json``, or None."""
    entry = (
        table(raw.get("confusion"))
        or detail([table(run) for run in rows(raw.get("runs"))])["confusion"]
        or {}
    )
    cells = _cells(entry)
    if cells is None:
        return None
    size = int(entry["classes"]) + 1
    counts = np.zeros((size, size), dtype=np.int64)
    _add(counts, entry)
    bounds = entry.get("confidence")
    low, high = bounds if isinstance(bounds, list) and len(bounds) == 2 else (bounds, bounds)
    threshold = (number(low) or 0.0, number(high) or 0.0)
    return Confusion(counts, threshold, number(entry.get("iou")) or 0.5, whole(entry.get("seeds")) or 1)


def _summed(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not entries or len({entry["classes"] for entry in entries}) > 1:
        return None
    size = int(entries[0]["classes"]) + 1
    counts = np.zeros((size, size), dtype=np.int64)
    for entry in entries:
        _add(counts, entry)
    confidences = [number(entry.get("confidence")) or 0.0 for entry in entries]
    cells = (f"{t},{p},{counts[t, p]}" for t, p in zip(*np.nonzero(counts), strict=True))
    return {
        "iou": entries[0].get("iou"),
        "confidence": [min(confidences), max(confidences)],
        "classes": size - 1,
        "seeds": len(entries),
        "cells": " ".join(cells),
    }


def _add(counts: NDArray[np.int64], entry: Mapping[str, Any]) -> None:
    cells = _cells(entry)
    if cells is not None:
        np.add.at(counts, (cells[:, 0], cells[:, 1]), cells[:, 2])


def _cells(entry: Mapping[str, Any]) -> NDArray[np.int64] | None:
    """The [N, 3] cells of a confusion entry; None where it is damaged."""
    classes, text = whole(entry.get("classes")), entry.get("cells")
    if classes is None or not 0 < classes <= _MOST_CLASSES or not isinstance(text, str):
        return None
    try:
        cells = np.array([[int(v) for v in cell.split(",")] for cell in text.split()], dtype=np.int64)
    except (ValueError, OverflowError):
        return None
    cells = cells.reshape(-1, 3) if not cells.size else cells
    sound = cells.ndim == 2 and cells.shape[1] == 3 and cells.min(initial=0) >= 0
    sound = sound and cells.max(initial=0) <= _MOST_COUNTED
    return cells if sound and cells[:, :2].max(initial=0) <= classes else None


def _numbers(text: object) -> NDArray[np.float64] | None:
    """101 numbers in one string, nan for ``-``; None where it is anything else."""
    if not isinstance(text, str):
        return None
    try:
        values = np.array([np.nan if word == "-" else float(word) for word in text.split()])
    except ValueError:
        return None
    return values if values.shape == (POINTS,) and not np.isinf(values).any() else None


def curve_text(values: NDArray[np.float64]) -> str:
    """Numbers with four digits in one string; ``-`` for what is not known."""
    return " ".join("-" if np.isnan(v) else f"{v:.4g}" for v in values)
