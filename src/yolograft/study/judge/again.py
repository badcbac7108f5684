"""A saved judgement computed again, from its match tables alone: no predictions, no ground truth."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yolograft.errors import StudyError
from yolograft.metrics.influence import grouped, influence
from yolograft.metrics.matches import MatchTable, average_precision
from yolograft.study.holes import number, rows, table, whole, words_of
from yolograft.study.judge.asked import Asked, comparisons
from yolograft.study.judge.bounded import read_document
from yolograft.study.judge.from_predictions import KIND, SCHEMA, mean_and_sd
from yolograft.study.judge.saving import DOCUMENT, TABLES
from yolograft.study.judge.words import WORDS, Note
from yolograft.study.statistics.compare import ArmScores

# A table has its place in this very folder, whatever the document says.
_TABLE = re.compile(rf"{TABLES}/[a-z0-9._-]+\.npz")
_CLOSE = 1e-9


def is_judged(folder: Path) -> bool:
    """Whether `judge --save` made this folder."""
    return (folder / DOCUMENT).is_file()


def judged_again(folder: Path, *, lang: str = "en") -> dict[str, Any]:
    """The document of a saved judgement, every AP, sd and comparison of it made anew.

    Args:
        folder: as `saving.save_judged` wrote it.

    Raises:
        StudyError: the document is damaged, was judged from curves, or says another AP than its tables
            (YG667); YG660 where it cannot be read.
        DataError: a match table is missing or damaged (YG362).
    """
    path = folder / DOCUMENT
    document = table(read_document(path))
    if (document.get("kind"), document.get("schema")) != (KIND, SCHEMA):
        raise _damaged("not a document of `judge`", path)
    arms = [dict(table(row)) for row in rows(document.get("arms"))]
    if len(arms) < 2 or not all(rows(arm.get("tables")) for arm in arms):
        raise _damaged("it holds no match tables: curves were judged, not predictions", path)
    units = _units(document, path)
    scores = [_arm_scores(folder, arm, units) for arm in arms]
    asked = _asked(document, path)
    compared, more = comparisons(scores[0], scores[1:], asked, grouped=units is not None, lang=lang)
    again = [
        arm | mean_and_sd(found.values) | {"comparison": compared.get(found.label)}
        for arm, found in zip(arms, scores, strict=True)
    ]
    notes = [note.json(lang) for note in (*_notes(document), *more)]
    return {**document, "arms": again, "notes": notes}


def _asked(document: Mapping[str, Any], path: Path) -> Asked:
    margin, tried = number(document.get("margin")), whole(document.get("tried"))
    looks = tuple(look for look in map(whole, rows(document.get("looks"))) if look is not None)
    if margin is None or tried is None or len(looks) != len(rows(document.get("looks"))):
        raise _damaged("its margin, looks or number tried are no numbers", path)
    return Asked(margin=margin, group=words_of(document.get("group")), looks=looks, tried=tried)


def _units(document: Mapping[str, Any], path: Path) -> np.ndarray | None:
    """Group of each image, [images]; None where images stand for themselves."""
    if not document.get("group"):
        return None
    listed = [whole(unit) for unit in rows(table(document.get("gt")).get("group_of_image"))]
    if not listed or None in listed:
        raise _damaged("it does not say which images belong together", path)
    return np.array(listed)


def _arm_scores(folder: Path, arm: Mapping[str, Any], units: np.ndarray | None) -> ArmScores:
    names = [words_of(name) for name in rows(arm["tables"])]
    told = [number(table(run).get("ap")) for run in rows(arm.get("runs"))]
    values, psi = [], []
    for place, name in enumerate(names):
        if not _TABLE.fullmatch(name):
            raise _damaged(f"'{name[:40]}' is no table of this folder", folder / DOCUMENT)
        matches = MatchTable.load(folder / name)
        values.append(100 * average_precision(matches))
        said = told[place] if place < len(told) else None
        if said is None or abs(said - values[-1]) > _CLOSE or len(told) != len(names):
            cause = f"its table gives {values[-1]:.6f} AP, the document {said}"
            raise _damaged(cause, folder / name)
        psi.append(100 * influence(matches))
    if len({len(row) for row in psi} | ({len(units)} if units is not None else set())) != 1:
        raise _damaged("its tables are of different splits", folder / DOCUMENT)
    both = np.stack(psi)
    whole_ = grouped(both, units) if units is not None else both
    return ArmScores(words_of(arm.get("label")) or "arm", tuple(values), influence=whole_)


def _notes(document: Mapping[str, Any]) -> list[Note]:
    """The notes as they were; those that the comparison makes are made again."""
    found = []
    for row in map(table, rows(document.get("notes"))):
        key, facts = words_of(row.get("key")), table(row.get("facts"))
        if key not in WORDS or key == "off_look":
            continue
        note = Note(
            key, {k: v for k, v in facts.items() if isinstance(v, str | int | float)}, bool(row.get("warns"))
        )
        found.append(note)
    return found


def _damaged(cause: str, path: Path) -> StudyError:
    fix = "judge the predictions again: yolograft judge --gt ... --base ... --new ..."
    return StudyError("YG667", cause, where=str(path), fix=fix)
