"""From the options that say how a study is judged to the fields of its plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yolograft.cli.options import Design
from yolograft.errors import SpecError
from yolograft.study.planning.contrasts import read_contrast
from yolograft.study.planning.earlier import fresh_seed
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.records.bank_match import free_seed

SEEDS, MARGIN = 3, 0.5
# Where `--until-verdict` looks.
LOOKS = (3, 5, 10)


def design_of(design: Design) -> dict[str, Any]:
    """The fields of a `Plan` that say how it is judged.

    Raises:
        SpecError: ``--until-verdict`` beside another number of seeds (YG193).
        CheckpointError: a folder named by ``--follows`` holds no study (YG401, YG403).
        StudyError: one named by ``--bank`` holds none (YG633).
    """
    count = SEEDS if design.seeds is None else design.seeds
    looks: tuple[int, ...] = ()
    if design.until_verdict:
        looks, most = LOOKS, LOOKS[-1]
        if design.seeds not in (None, most):
            cause = f"--until-verdict looks at {_listed(looks)} seeds, and --seeds {design.seeds}"
            raise SpecError("YG193", cause, fix="leave --seeds out")
        count = most
    first = design.first_seed
    if first is None:
        first = fresh_seed({run: read_manifest(run) for run in design.follows})
        # A run of the bank with a seed of the study would count twice.
        first = max(first, free_seed(design.bank))
    return {
        "seeds": tuple(range(first, first + count)),
        "margin": MARGIN if design.margin is None else design.margin,
        "looks": looks,
        "paired": design.paired,
        "group": design.group or "",
        "bank": tuple(design.bank),
        "controls": tuple(design.control),
        "follows": tuple(design.follows),
        "branch": design.design == "branch",
        "contrasts": tuple(read_contrast(text) for text in design.contrast),
    }


def refuse_growth(design: Design, run: Path) -> None:
    """See that a resumed study is not given seeds or looks it was not planned with.

    Raises:
        SpecError: it is (YG193).
    """
    if design.seeds is not None or design.until_verdict:
        raise SpecError(
            "YG193",
            "--resume and more seeds: a study is never extended beyond its looks",
            fix=f'a new one with fresh seeds, which counts what this one tried: --follows "{run}"',
        )


def _listed(looks: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, looks[:-1]))} and {looks[-1]}"
