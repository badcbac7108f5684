"""What in a prediction file bends its AP, found in the file itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from yolograft.metrics.coco import MAX_DETECTIONS
from yolograft.study.judge.ids import Reading
from yolograft.study.judge.scored import ScoredRun
from yolograft.study.judge.truth import Truth
from yolograft.study.judge.words import Note

# Evaluation goes down to .001; a file that starts at .05 or above has lost the tail of its curves.
HIGH_CUT, LEAST_COVERAGE = 0.05, 0.9
# Detectors of few objects agree on a number by chance; a limit is high, and many images run into it.
_LOWEST_LIMIT, _REPEATED, _SHARE = 50, 3, 0.05


def file_notes(label: str, runs: Sequence[ScoredRun], truth: Truth) -> Iterator[Note]:
    """Cautions on the files of one group, one note a kind."""
    with_boxes = np.array([bool((~record.crowd).any()) for record in truth.records])
    covered, cuts, limits, crowded, empty = [], [], [], 0, 0
    for run in runs:
        table = run.table
        empty += not len(table)
        per_image = np.bincount(table.image, minlength=len(truth.records))
        covered.append(float((per_image[with_boxes] > 0).mean()))
        if len(table):
            cuts.append(float(table.score.min()))
        most = int(per_image.max(initial=0))
        least = max(_REPEATED, _SHARE * len(per_image))
        if _LOWEST_LIMIT <= most <= MAX_DETECTIONS and (per_image == most).sum() >= least:
            limits.append(most)
        group = table.image.astype(np.int64) * len(truth.names) + table.label
        crowded += bool(np.unique(group, return_counts=True)[1].max(initial=0) > MAX_DETECTIONS)
    if empty:
        yield Note("empty", {"label": label, "runs": empty})
    if min(covered, default=1.0) < LEAST_COVERAGE:
        yield Note("coverage", {"label": label, "share": f"{100 * min(covered):.0f}"}, warns=True)
    if cuts and max(cuts) >= HIGH_CUT:
        yield Note("cut", {"label": label, "score": f"{max(cuts):.2g}"}, warns=True)
    if limits:
        yield Note("limit", {"label": label, "boxes": min(limits)}, warns=True)
    if crowded:
        yield Note("hundred", {"label": label, "runs": crowded})


def reading_notes(label: str, reading: Reading) -> Iterator[Note]:
    """How the ids of a group of files were read."""
    yield Note(f"images_{reading.images}", {"label": label})
    yield Note(f"categories_{reading.categories}", {"label": label})
    if reading.compared:
        facts = {"label": label, "agreeing": reading.agreeing, "compared": reading.compared}
        yield Note("compared", facts)
