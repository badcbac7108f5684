"""Groups of prediction files, judged image by image: noise between seeds and between images."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.errors import StudyError
from yolograft.metrics.influence import grouped
from yolograft.study.judge.asked import Asked, comparisons
from yolograft.study.judge.cautions import file_notes, reading_notes
from yolograft.study.judge.ids import Reading, placed
from yolograft.study.judge.predictions import Predictions, read_predictions, sha256_of
from yolograft.study.judge.scored import ScoredRun, scored
from yolograft.study.judge.truth import Truth, read_truth
from yolograft.study.judge.words import Note
from yolograft.study.planning.grouping import group_images
from yolograft.study.statistics.compare import ArmScores

KIND, SCHEMA = "judge", 1


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What `judge` found. document: JSON values, complete. runs: label -> scored runs with match tables."""

    document: dict[str, Any]
    runs: Mapping[str, Sequence[ScoredRun]]


def judge_predictions(
    base: Sequence[Path],
    groups: Mapping[str, Sequence[Path]],
    asked: Asked,
    *,
    base_label: str = "base",
    lang: str = "en",
) -> Judged:
    """Judge groups of prediction files, one file a run, against the files of the baseline.

    Args:
        base: the baseline's files. groups: label -> files, every module tried.
        asked: with ``gt``.

    Raises:
        StudyError: YG660 .. YG665, each naming file and place; YG601, YG607, YG640 from what is asked.
        DataError: the ground truth is a dataset that cannot be read.
    """
    if asked.gt is None:
        fix = "--gt val.json (COCO annotations) or the dataset's folder"
        raise StudyError("YG665", "predictions without their ground truth", fix=fix)
    if not groups or not base or not all(groups.values()):
        raise StudyError("YG665", "--base and --new each take one file or more", fix="one file for each run")
    truth = read_truth(asked.gt, split=asked.split)
    units = group_images(truth.records, asked.group) if asked.group else ()
    label = base_label if base_label not in groups else f"{base_label} (baseline)"
    named = {label: base, **groups}
    read = {name: [read_predictions(path) for path in paths] for name, paths in named.items()}
    _refuse_same_files(read)
    notes = [Note("no_area", {"count": truth.area_missing})] if truth.area_missing else []
    runs: dict[str, list[ScoredRun]] = {}
    for name, files in read.items():
        where, reading = _where(truth, files, asked)
        runs[name] = [scored(truth, file, *at) for file, at in zip(files, where, strict=True)]
        notes += [*(reading_notes(name, reading) if reading else ()), *file_notes(name, runs[name], truth)]
    _refuse_twins(runs)
    notes += [*_unequal(runs, label), Note("epochs_unknown", warns=False)]
    arms = [arm_scores(name, some, units) for name, some in runs.items()]
    compared, more = comparisons(arms[0], arms[1:], asked, grouped=bool(units), lang=lang)
    rows = [_arm_json(name, some, compared.get(name)) for name, some in runs.items()]
    document = document_of("predictions", rows, [*notes, *more], asked, lang=lang)
    return Judged(document | {"gt": _truth_json(truth, units)}, runs)


def _where(
    truth: Truth, files: Sequence[Predictions], asked: Asked
) -> tuple[list[tuple[NDArray[np.int64], NDArray[np.int64]]], Reading | None]:
    """Image index and label of each row of each file; our own tables hold them as they are."""
    foreign = [file for file in files if file.table is None]
    reading, rows = None, iter(())
    if foreign:
        reading, found = placed(truth, foreign, images=asked.images, categories=asked.categories)
        rows = iter(found)
    tables = [file.table for file in files]
    where = [(t.image.astype(np.int64), t.label.astype(np.int64)) if t else next(rows) for t in tables]
    return where, reading


def arm_scores(label: str, runs: Sequence[ScoredRun], units: Sequence[str]) -> ArmScores:
    """The runs of one group as `compare` takes them; ``units`` [images]: group of each image, if any."""
    psi = np.stack([run.influence for run in runs])
    return ArmScores(
        label, tuple(run.ap for run in runs), influence=grouped(psi, np.array(units)) if units else psi
    )


def document_of(
    source: str, arms: list[dict[str, Any]], notes: Sequence[Note], asked: Asked, *, lang: str
) -> dict[str, Any]:
    """What every answer of `judge` holds. AP and differences in points, 0 to 100."""
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "source": source,
        "margin": asked.margin,
        "looks": list(asked.looks),
        "tried": max(asked.tried or 0, len(arms) - 1),
        "group": asked.group or None,
        "arms": arms,
        "notes": [note.json(lang) for note in notes],
    }


def mean_and_sd(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and sample sd; None where there are too few values."""
    return {
        "mean": statistics.fmean(values) if values else None,
        "sd": statistics.stdev(values) if len(values) > 1 else None,
    }


def _refuse_same_files(read: Mapping[str, Sequence[Predictions]]) -> None:
    _refuse_pairs([(file.path, file.sha256) for files in read.values() for file in files], "the same file")


def _refuse_twins(runs: Mapping[str, Sequence[ScoredRun]]) -> None:
    # Two runs that found nothing are alike without being one.
    full = [(run.predictions.path, run.content) for some in runs.values() for run in some if len(run.table)]
    _refuse_pairs(full, "the same predictions")


def _refuse_pairs(files: Sequence[tuple[Path, str]], what: str) -> None:
    """One run under two names would make noise look smaller than it is."""
    seen: dict[str, Path] = {}
    for path, content in files:
        if (other := seen.get(content)) is not None:
            fix = "name each run once; a second run takes another seed"
            raise StudyError("YG664", f"{what} as {other}", where=str(path), fix=fix)
        seen[content] = path


def _unequal(runs: Mapping[str, Sequence[ScoredRun]], label: str) -> Iterator[Note]:
    base = len(runs[label])
    for name, some in runs.items():
        if len(some) != base:
            yield Note("unequal", {"label": name, "new": len(some), "base": base})


def _arm_json(name: str, runs: Sequence[ScoredRun], comparison: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "label": name,
        "baseline": comparison is None,
        "runs": [
            {
                "file": run.predictions.path.name,
                "sha256": run.predictions.sha256,
                "ap": run.ap,
                "ap50": run.ap50,
                "predictions": len(run.table),
            }
            for run in runs
        ],
        **mean_and_sd([run.ap for run in runs]),
        "comparison": comparison,
    }


def _truth_json(truth: Truth, units: Sequence[str]) -> dict[str, Any]:
    return {
        "file": truth.source.name,
        "sha256": sha256_of(truth.source) if truth.source.is_file() else None,
        "fingerprint": truth.fingerprint or None,
        "images": len(truth.records),
        "boxes": truth.boxes,
        "classes": len(truth.names),
        "groups": len(set(units)) if units else None,
        # Their names are the user's own; which images share one is what the verdict rests on.
        **({"group_of_image": np.unique(np.array(units), return_inverse=True)[1].tolist()} if units else {}),
    }
