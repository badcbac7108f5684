"""Run folders of other tools: equal recipes become seeds of one group, groups are judged.

Judged is the last epoch. The best one was chosen on the images it is reported for, which adds about half a
point of AP for best of 50 epochs at a wobble of 0.3 AP (EVIDENCE of this project, own simulation); how much
it would have added here is said.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolograft.errors import StudyError
from yolograft.study.judge.asked import Asked, comparisons, refused
from yolograft.study.judge.foreign_run import DIVERGED, DONE, ForeignRun
from yolograft.study.judge.from_predictions import Judged, document_of, judge_predictions, mean_and_sd
from yolograft.study.judge.results_csv import is_ultralytics, is_yolov5, read_ultralytics, read_yolov5
from yolograft.study.judge.run_groups import RunGroup, differing, group_runs, seeds_of
from yolograft.study.judge.words import Note
from yolograft.study.judge.yolox_log import is_yolox, read_yolox
from yolograft.study.statistics.compare import FEWEST_SEEDS, ArmScores
from yolograft.study.statistics.power import minimum_detectable

_READERS = ((is_ultralytics, read_ultralytics), (is_yolov5, read_yolov5), (is_yolox, read_yolox))
LOOKED_FOR = "args.yaml or opt.yaml beside results.csv, or train_log.txt"


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Groups in order, the baseline first, and what is to be said of them."""

    groups: list[RunGroup]
    notes: list[Note]


def is_run(folder: Path) -> bool:
    """Whether a tool we know trained in this folder."""
    return any(fits(folder) for fits, _ in _READERS)


def read_run(folder: Path) -> ForeignRun:
    """A run folder of ultralytics, YOLOv5 or YOLOX.

    Raises:
        StudyError: no such run (YG666), or a file in it cannot be read (YG660).
    """
    for fits, read in _READERS:
        if fits(folder):
            return read(folder)
    cause = "no run of ultralytics, YOLOv5 or YOLOX" if folder.is_dir() else "no such folder"
    raise StudyError("YG666", cause, where=str(folder), fix=f"looked for {LOOKED_FOR}")


def judge_runs(
    folders: Sequence[Path], asked: Asked, *, base: Sequence[Path] = (), lang: str = "en"
) -> Judged:
    """Judge run folders: group equal recipes into seeds, say what differs, compare with the baseline.

    Args:
        folders: run folders; others among them are named and left out.
        base: folders of the baseline's group; that of the first folder when empty.

    Raises:
        StudyError: no run among them (YG666), the same run twice (YG664), a baseline of two recipes or none
            (YG665), and all that `judge_predictions` raises.
    """
    shelf = _shelf(folders, base)
    groups, notes = shelf.groups, shelf.notes
    for group in groups[1:]:
        keys = differing(groups[0], group)
        notes.append(Note("differs", {"label": group.label, "base": groups[0].label, "keys": keys}))
    with_files = all(run.predictions for group in groups for run in group.done) and len(groups) > 1
    # Repeats of a seed and diverged runs are weighed by the curves only.
    each_counts = all(group.runs == group.done and not group.repeats for group in groups)
    if asked.gt and with_files and each_counts:
        return _by_images(groups, notes, asked, lang)
    if not asked.gt and with_files:
        notes.append(Note("give_gt"))
    elif asked.gt:
        notes.append(Note("gt_unused" if len(groups) > 1 else "gt_alone", warns=True))
    return _by_curves(groups, notes, asked, lang)


def _shelf(folders: Sequence[Path], base: Sequence[Path]) -> _Shelf:
    runs, notes = [], []
    own = {folder.resolve() for folder in base}
    for folder in _each_once([*base, *folders]):
        if not is_run(folder):
            why = f"no training of ultralytics, YOLOv5 or YOLOX ({LOOKED_FOR})"
            notes.append(Note("skipped", {"folder": folder.name, "why": why}))
            continue
        runs.append(read_run(folder))
    if not runs:
        raise StudyError("YG666", "no run folder among them", fix=f"looked for {LOOKED_FOR}")
    _refuse_twins(runs)
    for run in runs:
        if run.status not in (DONE, DIVERGED):
            notes.append(Note("skipped", {"folder": run.name, "why": run.reason}, warns=True))
        elif run.early:
            facts = {"folder": run.name, "last": run.curve[-1][0], "planned": run.planned}
            notes.append(Note("early", facts))
    groups = group_runs(run for run in runs if run.status in (DONE, DIVERGED))
    if not groups:
        raise StudyError("YG666", "no finished run among them", fix="let one run to its last epoch")
    chosen = {group.label for group in groups if any(run.folder.resolve() in own for run in group.runs)}
    if base and len(chosen) != 1:
        cause = f"--base names runs of {len(chosen)} recipes" if chosen else "--base names no finished run"
        raise StudyError("YG665", cause, fix="the baseline is one recipe with several seeds")
    if base:
        groups.sort(key=lambda group: group.label not in chosen)
    elif len(groups) > 1:
        notes.append(Note("baseline", {"label": groups[0].label}))
    for group in groups:
        notes += [
            Note("same_seed", {"label": group.label, "seed": seed, "runs": count}, warns=True)
            for seed, count in group.repeats.items()
        ]
        if unknown := sum(run.seed is None for run in group.done):
            notes.append(Note("no_seed", {"label": group.label, "runs": unknown}, warns=True))
    return _Shelf(groups, notes)


def _each_once(folders: Sequence[Path]) -> list[Path]:
    """Folders by where they lie, whatever they are called."""
    first: dict[Path, Path] = {}
    for folder in folders:
        first.setdefault(folder.resolve(), folder)
    return list(first.values())


def _refuse_twins(runs: Sequence[ForeignRun]) -> None:
    """The same curve under two recipes or two seeds is one run, or a setting that changes nothing.

    Raises:
        StudyError: YG664.
    """
    seen: dict[tuple[Any, ...], ForeignRun] = {}
    for run in runs:
        if run.best > 0 and len(run.curve) > 1:
            other = seen.setdefault(run.curve, run)
            # Two runs of one recipe and one seed may be equal; two of unknown seeds are one run twice.
            if other is not run and (
                (other.recipe, other.seed) != (run.recipe, run.seed) or run.seed is None
            ):
                cause = f"the AP of {other.name} in every epoch: one run twice, or a setting without effect"
                raise StudyError("YG664", cause, where=str(run.folder), fix="leave one of them out")


def _by_images(groups: Sequence[RunGroup], notes: list[Note], asked: Asked, lang: str) -> Judged:
    files = {group.label: [run.predictions for run in group.done if run.predictions] for group in groups}
    first, *others = files
    rest = {label: files[label] for label in others}
    judged = judge_predictions(files[first], rest, asked, base_label=first, lang=lang)
    for group in groups:
        if any(run.of_best for run in group.done):
            facts = {"label": group.label, "gain": _gain(group)}
            notes.append(Note("best_predictions", facts, warns=True))
    document = judged.document
    for arm, group in zip(document["arms"], groups, strict=True):
        arm |= {"tool": group.tool, "recipe": dict(group.recipe)}
        for row, run in zip(arm["runs"], group.done, strict=True):
            row |= {"file": f"{run.name}/{row['file']}", "seed": run.seed}
            row |= {"best_epoch_ap": run.best, "last_epoch_ap": run.last}
    kept = [note for note in document["notes"] if note["key"] != "epochs_unknown"]
    document |= {"source": "runs", "notes": [*(note.json(lang) for note in notes), *kept]}
    return judged


def _by_curves(groups: Sequence[RunGroup], notes: list[Note], asked: Asked, lang: str) -> Judged:
    notes = [*notes, Note("from_csv")]
    rules = {"--group": asked.group, "--image-ids": asked.images, "--category-ids": asked.categories}
    if idle := [option for option, value in rules.items() if value]:
        notes.append(Note("idle_options", {"options": ", ".join(idle)}, warns=True))
    for group in groups:
        if group.done and (gain := _gain(group)) > 0:
            notes.append(Note("best_epoch", {"label": group.label, "gain": gain}))
        notes += _alone(group) if len(groups) == 1 else ()
    base, *others = groups
    found: dict[str, dict[str, Any]] = {}
    judged: list[ArmScores] = []
    for group in others:
        if note := _not_comparable(base, group):
            notes.append(note)
            found[group.label] = refused(note.text(lang))
        else:
            judged.append(_scores(group))
    tried = max(asked.tried or 0, len(others))
    if judged:
        asked_all = Asked(margin=asked.margin, looks=asked.looks, tried=tried)
        more, off = comparisons(_scores(base), judged, asked_all, grouped=False, lang=lang)
        found |= more
        notes += off
    arms = [_arm_json(group, found.get(group.label), baseline=group is base) for group in groups]
    return Judged(document_of("runs", arms, notes, asked, lang=lang) | {"gt": None}, {})


def _alone(group: RunGroup) -> list[Note]:
    """What one recipe alone says, and what it cannot."""
    notes, values = [Note("one_group")], list(seeds_of(group).values())
    if len(values) < 2:
        notes.append(Note("one_run", {"label": group.label}, warns=True))
    elif len(values) >= FEWEST_SEEDS:
        sd = statistics.stdev(values)
        facts = {"label": group.label, "sd": sd, "runs": len(values)}
        notes.append(Note("sees", facts | {"seen": minimum_detectable(sd, len(values))}))
    return notes


def _gain(group: RunGroup) -> float:
    """By how much the best epoch lies above the last, mean over runs, AP points."""
    gains = [run.best - run.last for run in group.done if math.isfinite(run.last)]
    return statistics.fmean(gains) if gains else 0.0


def _not_comparable(base: RunGroup, group: RunGroup) -> Note | None:
    labels = {"label": group.label, "base": base.label}
    if base.tool != group.tool:
        return Note("other_tool", labels | {"ours": base.tool, "theirs": group.tool}, warns=True)
    if base.data != group.data:
        return Note("other_data", labels | {"ours": base.data, "theirs": group.data}, warns=True)
    return None


def _scores(group: RunGroup) -> ArmScores:
    return ArmScores(group.label, tuple(seeds_of(group).values()), failed=len(group.runs) - len(group.done))


def _arm_json(group: RunGroup, comparison: Mapping[str, Any] | None, *, baseline: bool) -> dict[str, Any]:
    return {
        "label": group.label,
        "baseline": baseline,
        "tool": group.tool,
        "data": Path(group.data).name,
        "recipe": dict(group.recipe),
        "runs": [
            {
                "file": run.name,
                "seed": run.seed,
                "status": run.status,
                "reason": run.reason,
                "ap": run.last if run.status == DONE else None,
                "best_epoch_ap": run.best if run.curve else None,
                "epochs": run.curve[-1][0] if run.curve else 0,
            }
            for run in group.runs
        ],
        **mean_and_sd(list(seeds_of(group).values())),
        "comparison": comparison,
    }
