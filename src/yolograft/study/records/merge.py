"""Joins the runs that several machines made for one study: only what was the same experiment is joined.

Models, recipe, images, starting weights, margin and looks must agree; the machine may differ, which is said,
because results then no longer agree bit for bit. A run that both have counts once if it is the same
checkpoint, and stops the merge if it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolograft.errors import StudyError
from yolograft.study.records.record import RunRecord
from yolograft.study.records.studyrecord import StudyRecord, read_study, write_study
from yolograft.study.statistics.looks import look_alphas

BITWISE = ("torch", "instruction_set", "threads", "device", "precision")
_SAME = ("kind", "models", "across", "recipe_sha256", "margin", "paired", "group", "groups", "bank",
         "weights_sha256", "tried_before", "branch_at", "contrasts")  # fmt: skip


def merge(folders: Sequence[Path], out: Path, *, seeds: Sequence[int] | None = None) -> StudyRecord:
    """Join the studies in ``folders`` and write the whole as records to ``out``.

    Args:
        folders: run folders or folders of records; they are read only.
        out: a new or empty folder.
        seeds: the seeds of the whole, where the parts were planned with different ones.

    Raises:
        StudyError: fewer than two parts (YG634), parts of two experiments (YG635), one run with two outcomes
            (YG636), seeds that nobody planned (YG637), or ``out`` is not empty (YG632).
    """
    if len({folder.resolve() for folder in folders}) < 2:
        raise StudyError("YG634", f"{len(folders)} folder(s) to merge", fix="name two or more, each once")
    parts = [read_study(folder) for folder in folders]
    joined = join(parts, names=[str(folder) for folder in folders], seeds=seeds)
    write_study(joined, out)
    return joined


def join(
    parts: Sequence[StudyRecord], *, names: Sequence[str] = (), seeds: Sequence[int] | None = None
) -> StudyRecord:
    """The parts as one study. names: of the parts, for messages. Arguments and errors: see `merge`."""
    names = list(names) or [part.name for part in parts]
    first = parts[0].manifest
    for part, name in zip(parts[1:], names[1:], strict=True):
        if wrong := differing(first, part.manifest):
            fix = "only parts of one experiment are joined"
            raise StudyError("YG635", f"{wrong} differs from {names[0]}", where=name, fix=fix)
    for part, name in zip(parts, names, strict=True):
        if part.strays:
            stray = part.strays[0]
            raise StudyError("YG637", f"{stray.label} seed {stray.seed} is in no plan", where=name)
    whole = _seeds(parts, names, seeds)
    runs: dict[tuple[str, int], RunRecord] = {}
    for part, name in zip(parts, names, strict=True):
        for key, record in part.runs.items():
            if key in runs:
                _check_same_run(runs[key], record, name)
            runs.setdefault(key, record)
    costs = {label: cost for part in reversed(parts) for label, cost in part.costs.items()}
    manifest = {**first, **_looks(parts, whole), "seeds": whole, "merged": _rows(parts)}
    manifest["warnings"] = [*first.get("warnings", []), *_notes(parts)]
    return StudyRecord(parts[0].name, manifest, runs, costs)


def differing(one: Mapping[str, Any], two: Mapping[str, Any]) -> str:
    """The first respect in which two manifests plan different experiments; empty where they agree."""
    for part in ("train", "eval"):
        if one["data"][part]["fingerprint"] != two["data"][part]["fingerprint"]:
            return f"the {part} split"
    arms = [{arm["label"]: _arm(arm) for arm in manifest["arms"]} for manifest in (one, two)]
    if arms[0].keys() != arms[1].keys():
        return f"the arms ({', '.join(arms[1])})"
    for label, arm in arms[0].items():
        if arm != arms[1][label]:
            return f"arm {label}"
    words = {"recipe_sha256": "the recipe", "weights_sha256": "the starting weights"}
    # Of one plan both are the same looks; of several, `_seeds` says what may be joined.
    same = (*_SAME, "looks", "alpha_plan") if one["seeds"] == two["seeds"] else _SAME
    wrong = next((key for key in same if one.get(key) != two.get(key)), "")
    if not wrong and _teacher(one) != _teacher(two):
        return "the teacher"
    if not wrong and _code(one) != _code(two):
        return "the source of a module"
    return words.get(wrong, f"'{wrong}'") if wrong else ""


def _arm(arm: Mapping[str, Any]) -> tuple[object, ...]:
    # The hash of a spec tells models apart; a user's class is told by the hash of its source.
    lessons = arm.get("distill") or []
    return arm["spec_sha256"], arm["baseline"], arm.get("control", ""), arm.get("of", ""), lessons


def _teacher(manifest: Mapping[str, Any]) -> object:
    about = manifest.get("teacher")
    return about.get("sha256") if isinstance(about, Mapping) else about


def _code(manifest: Mapping[str, Any]) -> list[str]:
    return sorted(str(item.get("sha256")) for item in (manifest.get("code") or {}).values())


def _seeds(parts: Sequence[StudyRecord], names: Sequence[str], declared: Sequence[int] | None) -> list[int]:
    """The seeds of the whole: those of every part's plan, or those declared, which must hold them all.

    A plan is never shrunk to what has run, and never loses its looks: both would turn several looks at the
    data into one that seems planned.
    """
    planned = [list(part.manifest["seeds"]) for part in parts]
    one_plan = all(seeds == planned[0] for seeds in planned)
    if one_plan and (declared is None or list(declared) == planned[0]):
        return planned[0]
    for part, name in zip(parts, names, strict=True):
        if len(looks := part.manifest["looks"]) > 1:
            cause = f"planned with {len(looks)} looks ({', '.join(map(str, looks))} seeds)"
            fix = "only parts of the same seeds and looks are joined"
            raise StudyError("YG637", cause, where=name, fix=fix)
    if declared is None:
        together = sorted({seed for seeds in planned for seed in seeds})
        cause = f"the parts plan different seeds ({_span(planned[0])}, {_span(planned[1])})"
        fix = f"declare the whole: --seeds {len(together)} --first-seed {together[0]}"
        raise StudyError("YG637", cause, fix=fix)
    for seeds, name in zip(planned, names, strict=True):
        extra = sorted(set(seeds) - set(declared))
        if extra:
            fix = "planned seeds are never left out: declare them too"
            raise StudyError("YG637", f"seed {extra[0]} is not among those declared", where=name, fix=fix)
    return list(declared)


def _looks(parts: Sequence[StudyRecord], seeds: Sequence[int]) -> dict[str, Any]:
    """Looks and levels of the whole; a whole of declared seeds is judged once, at its end."""
    first = parts[0].manifest
    if all(
        part.manifest["seeds"] == list(seeds) and part.manifest["looks"] == first["looks"] for part in parts
    ):
        return {"looks": first["looks"], "alpha_plan": first["alpha_plan"]}
    return {"looks": [len(seeds)], "alpha_plan": list(look_alphas([len(seeds)]))}


def _check_same_run(one: RunRecord, two: RunRecord, name: str) -> None:
    """One run that lies in two parts must be one outcome: the same checkpoint, or else the same scores."""
    hashes = (one.checkpoint_sha256, two.checkpoint_sha256)
    same = one.status == two.status and (
        hashes[0] == hashes[1] if all(hashes) else one.scores.get("ap") == two.scores.get("ap")
    )
    if not same:
        cause = f"{one.label} seed {one.seed} ended differently elsewhere"
        fix = "one seed is one run: find out which belongs to the study"
        raise StudyError("YG636", cause, where=name, fix=fix)


def _rows(parts: Sequence[StudyRecord]) -> list[dict[str, Any]]:
    """For the manifest: what each part brought."""
    keys = ("created", "seeds", "environment")
    return [
        {"name": part.name, **{key: part.manifest[key] for key in keys}, "runs": len(part.runs)}
        for part in parts
    ]


def _notes(parts: Sequence[StudyRecord]) -> list[str]:
    """What a reader of the whole must know: other machines, and verdicts that could be had before."""
    notes = []
    for key in BITWISE:
        found = list(dict.fromkeys(str(part.manifest["environment"].get(key)) for part in parts))
        if len(found) > 1:
            notes.append(f"joined runs of several machines, not bitwise: {key} {', '.join(found)}")
    if any(part.manifest["seeds"] != parts[0].manifest["seeds"] for part in parts):
        notes.append(
            "joined parts that could be judged by themselves: the level holds if nobody looked before"
        )
    return notes


def _span(seeds: Sequence[int]) -> str:
    return f"{min(seeds)}..{max(seeds)}" if seeds else "none"
