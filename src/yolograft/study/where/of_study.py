"""Where every arm of a study differs from its baseline, from what the runs have stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolograft.engine.arm import DONE
from yolograft.engine.runfolder import arm_folder
from yolograft.metrics.matches import MatchTable
from yolograft.study.planning.arms import controls_against, judged_against
from yolograft.study.planning.grouping import groups_of
from yolograft.study.records.studyrecord import MATCHES, StudyRecord
from yolograft.study.where.crowding import Stratum, boxes_per_image, strata
from yolograft.study.where.image_gains import best_and_worst, image_gains, shares_of
from yolograft.study.where.kept_parts import KeptParts, read_parts
from yolograft.study.where.parts import CROWDING, OVERLAP, Part, parts_of
from yolograft.study.where.tables import where


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """JSON values. tables: of `study.where`. images: per arm ``arm``, ``against``, ``best``, ``worst``."""

    tables: list[dict[str, Any]]
    images: list[dict[str, Any]]


def where_study(
    study: StudyRecord, *, folder: Path | None = None, due: Mapping[str, int] | None = None
) -> Whereabouts:
    """Tables and images of every arm against its baseline.

    Empty where match tables were not kept, or are not all of one split.

    Args:
        folder: the run folder, for match tables and parts that the records do not hold; None for records.
        due: label -> how many of the planned seeds count, from the first on; all when None.

    Raises:
        DataError: a stored table is damaged (YG362).
        StudyError: the manifest's groups cannot be read (YG640).
    """
    manifest = study.manifest
    arms = [arm["label"] for arm in manifest["arms"]]
    kept, groups = {label: _tables(study, label, folder, due) for label in arms}, groups_of(manifest)
    tables: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    if not _of_one_split([table for own in kept.values() for table, _ in own], groups):
        return Whereabouts(tables, images)
    names = manifest["data"].get("names") or ()
    parts = {label: _parts(own, names) for label, own in kept.items()}
    shares = {label: shares_of([table for table, _ in own]) for label, own in kept.items()}
    for base, others in _families(manifest).items():
        tables += where(base, {label: parts[label] for label in (base, *others)}, groups=groups)
        for label in others:
            found = best_and_worst(image_gains(shares[base], shares[label]))
            images.append({"arm": label, "against": base, **found})
    return Whereabouts(tables, [entry for entry in images if entry["best"] or entry["worst"]])


def _of_one_split(tables: Sequence[MatchTable], groups: Sequence[int] | None) -> bool:
    """Whether there is a table, and all are of the same ground truth and of the images the groups are of."""
    kinds = {(table.images, table.num_classes, table.fingerprint) for table in tables}
    return len(kinds) == 1 and (groups is None or len(groups) == tables[0].images)


def _families(manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """Baseline -> every arm set against it, controls included."""
    families: dict[str, list[str]] = {}
    for base, others in judged_against(manifest["arms"], across=manifest.get("across", False)):
        families.setdefault(base, []).extend(others)
    for base, label in controls_against(manifest["arms"]):
        families.setdefault(base, []).append(label)
    return families


def _tables(
    study: StudyRecord, label: str, folder: Path | None, due: Mapping[str, int] | None
) -> list[tuple[MatchTable, KeptParts | None]]:
    """Match table and kept parts of every finished run of an arm; none unless all have a table."""
    seeds = study.manifest["seeds"]
    found: list[tuple[MatchTable, KeptParts | None]] = []
    for seed in seeds[: (due or {}).get(label, len(seeds))]:
        record = study.runs.get((label, seed))
        if record is None or record.status != DONE:
            continue
        own = arm_folder(folder, label, seed) if folder else None
        matches = record.table()
        if matches is None and own and (own / MATCHES).exists():
            matches = MatchTable.load(own / MATCHES)
        if matches is None:
            return []
        found.append((matches, read_parts(own, images=matches.images) if own else None))
    return found


def _parts(kept: Sequence[tuple[MatchTable, KeptParts | None]], names: Sequence[str]) -> list[list[Part]]:
    """The parts of every run of an arm; errors and overlap only where every run has kept them."""
    if not kept:
        return []
    crowding: dict[str, tuple[Stratum, ...]] = {CROWDING: strata(boxes_per_image(kept[0][0]))}
    stored = [own for _, own in kept if own is not None]
    whole = len(stored) == len(kept)
    if whole:
        crowding[OVERLAP] = strata(stored[0].overlap)
    runs = zip((table for table, _ in kept), stored if whole else [None] * len(kept), strict=True)
    return [
        parts_of(table, names=names, crowding=crowding, bins=own.bins if own else ()) for table, own in runs
    ]
