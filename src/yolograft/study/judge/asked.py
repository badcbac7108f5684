"""What the user fixed beforehand, and the comparison under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolograft.study.judge.ids import CategoryIds, ImageIds
from yolograft.study.judge.words import Note
from yolograft.study.judging import comparison_json
from yolograft.study.statistics.compare import ArmScores, compare
from yolograft.study.statistics.evidence import evidence_of
from yolograft.study.statistics.looks import ALPHA, look_alphas
from yolograft.study.statistics.verdict import judge

OPEN = "not enough seeds"


@dataclass(frozen=True, slots=True)
class Asked:
    """gt: ground truth, a COCO JSON or a dataset, of which ``split`` is taken. margin: smallest difference
    that matters, AP points. group: rule by which images belong together. looks: planned seeds per arm.
    tried: modules tried in all, where more than are shown. images, categories: what ids mean, if said.
    """

    gt: Path | None = None
    split: str = "val"
    margin: float = 0.5
    group: str = ""
    looks: tuple[int, ...] = ()
    tried: int | None = None
    images: ImageIds | None = None
    categories: CategoryIds | None = None


def comparisons(
    base: ArmScores, arms: Sequence[ArmScores], asked: Asked, *, grouped: bool, lang: str = "en"
) -> tuple[dict[str, dict[str, Any]], list[Note]]:
    """Label -> comparison as `results.json` holds it, each at the look its runs stand at.

    Raises:
        StudyError: looks that nobody has worked out (YG607), or values that cannot be judged (YG601).
    """
    levels = dict(zip(asked.looks, look_alphas(asked.looks), strict=True)) if asked.looks else {}
    tried = max(asked.tried or 0, len(arms))
    found: dict[str, dict[str, Any]] = {}
    notes: list[Note] = []
    at: dict[float, list[ArmScores]] = {}
    for arm in arms:
        runs = min(len(base.values), len(arm.values))
        if levels and runs not in levels:
            looks = ", ".join(map(str, asked.looks))
            note = Note("off_look", {"label": arm.label, "runs": runs, "looks": looks}, warns=True)
            notes.append(note)
            found[arm.label] = refused(note.text(lang))
            continue
        at.setdefault(levels.get(runs, ALPHA), []).append(arm)
    for alpha, some in at.items():
        judged = compare(base, some, margin=asked.margin, alpha=alpha, tried=tried, grouped=grouped)
        for one in judged:
            found[one.label] = said(comparison_json(one) | {"alpha": alpha}, lang)
    return {arm.label: found[arm.label] for arm in arms}, notes


def said(comparison: dict[str, Any], lang: str) -> dict[str, Any]:
    """The comparison with its sentences in another language."""
    evidence = evidence_of(comparison["evidence"])
    if lang == "en" or evidence is None:
        return comparison
    _, sentence, known = judge(evidence, lang=lang)
    return comparison | {"sentence": sentence, "known": known}


def refused(why: str) -> dict[str, Any]:
    """A comparison that is not made, and why."""
    empty = dict.fromkeys(("delta", "low", "high", "level", "se", "p_value", "df"))
    return empty | {"verdict": OPEN, "sentence": f"{why} -> no verdict", "known": "", "unsound": why}
