"""Verdicts on nothing: real runs of one baseline, split in two halves in every way and judged.

    python benchmarks/real_null.py RUN... [--label baseline] [--margin 0.5]

RUN: run folders or folders of records whose arm LABEL is the same experiment: spec and data are checked
by hash, recipes may differ in nothing that trains (`eval_points` does not). Ten runs give 126 splits five
against five; beside them stand 20 comparisons drawn at random, three against three and five against five,
as a user meets an arm that changes nothing. Every verdict other than `not enough seeds`, `not enough images`
and `no detectable difference` is false. The splits share runs, so their number says less than as many
independent studies.
Prints one JSON document.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from yolograft import rng
from yolograft.study.records.record import RunRecord
from yolograft.study.records.studyrecord import read_study
from yolograft.study.statistics.compare import ArmScores, compare


def runs_of(folders: list[Path], label: str) -> list[RunRecord]:
    """The finished runs of one arm, one a seed, ordered by seed.

    Raises:
        SystemExit: they are not runs of one experiment, or a seed is there twice.
    """
    found = [r for folder in folders for (name, _), r in read_study(folder).runs.items() if name == label]
    found = sorted((run for run in found if run.status == "done"), key=lambda run: run.seed)
    kinds = {(run.spec_sha256, tuple(sorted(run.data.items()))) for run in found}
    if len(kinds) != 1 or len({run.seed for run in found}) != len(found):
        raise SystemExit(f"{len(found)} runs of {len(kinds)} experiments: give one, each seed once")
    return found


def half(runs: list[RunRecord], name: str) -> ArmScores:
    """Some of the runs as an arm."""
    psi = np.stack([run.drawn(None) for run in runs])
    return ArmScores(name, tuple(float(run.scores["ap"]) for run in runs), influence=psi)


def judged(runs: list[RunRecord], margin: float) -> dict[str, Any]:
    """Every split of the runs into two halves, each counted once."""
    rest, verdicts, pvalues = runs[1:], Counter[str](), []
    for chosen in itertools.combinations(range(len(rest)), len(runs) // 2 - 1):
        one = [runs[0], *(rest[i] for i in chosen)]
        two = [run for i, run in enumerate(rest) if i not in chosen]
        (found,) = compare(half(one, "one"), [half(two, "two")], margin=margin)
        verdicts[found.verdict] += 1
        pvalues.append(found.p_value)
    scores = [float(run.scores["ap"]) for run in runs]
    return {
        "runs": {str(run.seed): round(score, 3) for run, score in zip(runs, scores, strict=True)},
        "mean": float(np.mean(scores)),
        "sd": float(np.std(scores, ddof=1)),
        "splits": sum(verdicts.values()),
        "verdicts": dict(verdicts),
        "false": verdicts["helps"] + verdicts["hurts"],
        "smallest_p": min(pvalues),
    }


def resampled(runs: list[RunRecord], size: int, margin: float, draws: int = 20) -> dict[str, Any]:
    """Verdicts of `draws` comparisons of `size` runs against as many others, drawn without replacement."""
    verdicts = Counter[str]()
    for draw in range(draws):
        order = rng.stream(0, "resampled", size, draw).permutation(len(runs))
        one, two = ([runs[i] for i in order[at : at + size]] for at in (0, size))
        (found,) = compare(half(one, "one"), [half(two, "two")], margin=margin)
        verdicts[found.verdict] += 1
    return {"seeds": size, "comparisons": draws, "verdicts": dict(verdicts)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--label", default="baseline")
    parser.add_argument("--margin", type=float, default=0.5)
    options = parser.parse_args()
    runs = runs_of(options.runs, options.label)
    drawn = [resampled(runs, size, options.margin) for size in (3, 5)]
    print(json.dumps(judged(runs, options.margin) | {"resampled": drawn}, indent=1))


if __name__ == "__main__":
    main()
