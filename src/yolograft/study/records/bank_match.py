"""Finds earlier baseline runs that a planned study may pool its noise with, and says where they come from.

Runs belong together when model spec, starting weights, training and evaluation images, recipe (which holds
the budget), precision and threads are equal: then they are draws of one distribution, seeds apart. A run that
lies in two folders counts once, and seeds that the study itself will train do not count: they would enter
twice. Whether the variances agree is for `study.bank` to test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from yolograft.engine.arm import DONE
from yolograft.errors import StudyError
from yolograft.study.holes import number, rows, table
from yolograft.study.planning.manifest import MANIFEST, read_manifest
from yolograft.study.records.record import RunRecord
from yolograft.study.records.studyrecord import StudyRecord, read_study
from yolograft.study.statistics.bank import Bank

_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class BankKey:
    """What two baseline runs share when they differ by their seed alone."""

    spec_sha256: str
    weights_sha256: str
    train: str
    measured: str
    recipe_sha256: str
    precision: str
    threads: int

    def differs(self, other: BankKey) -> str:
        """The first respect in which the two differ, in words; empty where they agree."""
        words = ("model", "starting weights", "training images", "evaluation images", "recipe", "precision",
                 "threads")  # fmt: skip
        pairs = zip(words, asdict(self).values(), asdict(other).values(), strict=True)
        return next((word for word, one, two in pairs if one != two), "")


@dataclass(frozen=True, slots=True)
class BankGroup:
    """Runs made on one kind of machine. values: AP in points, one a run. seeds: theirs. sources: folders."""

    values: tuple[float, ...]
    seeds: tuple[int, ...]
    sources: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {key: list(value) for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Matched:
    """What was found. groups: to pool with. skipped: a line for every study that does not serve."""

    groups: tuple[BankGroup, ...]
    skipped: tuple[str, ...]

    @property
    def runs(self) -> int:
        """How many runs serve."""
        return sum(len(group.values) for group in self.groups)


def key_of(manifest: Mapping[str, Any], label: str) -> BankKey:
    """The key of one arm of a study, planned or finished."""
    item = next(arm for arm in manifest["arms"] if arm["label"] == label)
    env = manifest["environment"]
    train, held = (str(manifest["data"][part]["fingerprint"]) for part in ("train", "eval"))
    weights, recipe = str(manifest.get("weights_sha256") or ""), manifest["recipe_sha256"]
    precision, threads = str(env["precision"]), int(env["threads"])
    return BankKey(item["spec_sha256"], weights, train, held, recipe, precision, threads)


def match_bank(folders: Sequence[Path], manifest: Mapping[str, Any]) -> Matched:
    """Earlier baseline runs for the first baseline of a planned study.

    Args:
        folders: run folders, record folders, or folders that hold such.
        manifest: of the planned study; ``seeds`` are those it will train.

    Raises:
        StudyError: the study has no baseline, or a folder holds no study (YG633).
        CheckpointError: a manifest of theirs is not readable (YG401, YG403).
    """
    base = next((arm["label"] for arm in manifest["arms"] if arm["baseline"]), None)
    if base is None:
        raise StudyError("YG633", "a bank of baseline runs, and no baseline in this study")
    wanted, own = key_of(manifest, base), set(manifest["seeds"])
    taken: list[str] = []
    by_machine: dict[tuple[str, ...], list[tuple[RunRecord, str]]] = {}
    skipped, seen = [], set()
    for folder in studies_under(folders):
        study = read_study(folder)
        labels = [arm["label"] for arm in study.manifest["arms"] if arm["baseline"]]
        whys = {label: wanted.differs(key_of(study.manifest, label)) for label in labels}
        if all(whys.values()):
            why = next(iter(whys.values()), "no baseline")
            skipped.append(f"{study.name}: {'another ' + why if labels else why}")
        for label in (label for label, why in whys.items() if not why):
            usable = _usable(study, label)
            if again := sum(record.seed in own for record in usable):
                taken.append(f"{study.name}: {again} run(s) have seeds that this study will train")
            for record in (record for record in usable if record.seed not in own):
                mark = record.checkpoint_sha256 or f"{record.seed}:{record.scores['ap']!r}"
                if mark not in seen:
                    seen.add(mark)
                    by_machine.setdefault(_machine(study, record), []).append((record, study.name))
    groups = tuple(
        BankGroup(
            tuple(float(record.scores["ap"]) for record, _ in found),
            tuple(record.seed for record, _ in found),
            tuple(dict.fromkeys(name for _, name in found)),
        )
        for found in by_machine.values()
        if len(found) > 1  # one run alone says nothing about noise
    )
    # First what another choice of seeds would mend.
    return Matched(groups, (*taken, *skipped))


def free_seed(folders: Sequence[Path]) -> int:
    """The first seed behind all that the studies in ``folders`` have planned; 0 without any.

    Raises:
        StudyError: a folder holds no study (YG633).
        CheckpointError: a manifest is not readable (YG401, YG403).
    """
    planned = [read_manifest(folder)["seeds"] for folder in studies_under(folders)]
    return max((seed for seeds in planned for seed in seeds), default=-1) + 1


def bank_of(manifest: Mapping[str, Any]) -> Bank | None:
    """The bank that a manifest holds; None where it holds none.

    Raises:
        StudyError: its values are not AP points (YG633).
    """
    groups = []
    for row in rows(manifest.get("bank")):
        values = [number(value) for value in rows(table(row).get("values"))]
        if any(value is None or not 0 <= value <= 100 for value in values):
            raise StudyError("YG633", "the manifest's bank holds values that are no AP points")
        groups.append(tuple(value for value in values if value is not None))
    return Bank(tuple(groups)) if groups else None


def studies_under(folders: Iterable[Path]) -> list[Path]:
    """The folders with a manifest among ``folders`` and below, in order, each once.

    Raises:
        StudyError: there is none at or below a folder (YG633).
    """
    found: dict[Path, None] = {}
    for folder in folders:
        here = [folder] if (folder / MANIFEST).is_file() else _below(folder, _DEEPEST)
        if not here:
            raise StudyError("YG633", "no run folder here", where=str(folder), fix="name a folder of runs")
        found |= dict.fromkeys(path.resolve() for path in here)
    return list(found)


def _below(folder: Path, depth: int) -> list[Path]:
    """Studies in the folders below; it does not look into a study."""
    if depth == 0 or not folder.is_dir():
        return []
    found = []
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink()):
        found += [path] if (path / MANIFEST).is_file() else _below(path, depth - 1)
    return found


def _usable(study: StudyRecord, label: str) -> list[RunRecord]:
    """The finished runs of an arm, all of its own recipe."""
    wanted = key_of(study.manifest, label)
    return [
        record
        for (name, _), record in study.runs.items()
        if name == label
        and record.status == DONE
        and record.scores.get("ap") is not None
        and record.recipe_sha256 in ("", wanted.recipe_sha256)
        and record.spec_sha256 in ("", wanted.spec_sha256)
        and _made_with(study, record) == (wanted.precision, wanted.threads)
    ]


def _made_with(study: StudyRecord, record: RunRecord) -> tuple[str, int]:
    env = {**study.manifest["environment"], **record.scores.get("environment", {})}
    return str(env["precision"]), int(env["threads"])


def _machine(study: StudyRecord, record: RunRecord) -> tuple[str, ...]:
    env = {**study.manifest["environment"], **record.scores.get("environment", {})}
    return tuple(str(env.get(key, "")) for key in ("torch", "instruction_set", "device"))
