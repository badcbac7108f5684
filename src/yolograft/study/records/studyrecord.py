"""A study read back: from its run folder, or from committed records that hold the same in little.

RUN/manifest.json, RUN/arms/LABEL/seed-K/{scores.json, record.npz, matches.npz, model/}   a run folder
DIR/manifest.json (no paths of the machine), DIR/records/LABEL-SEED.npz                  a study record
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from yolograft.engine.arm import DONE
from yolograft.engine.checkpoint import read_json, write_json
from yolograft.engine.runfolder import arm_folder
from yolograft.errors import CheckpointError, MachineError, StudyError
from yolograft.metrics.matches import MatchTable
from yolograft.study.holes import number
from yolograft.study.planning.grouping import groups_of
from yolograft.study.planning.manifest import MANIFEST, read_manifest
from yolograft.study.records.record import RECORD, PackedMatches, RunRecord, judged_units
from yolograft.study.records.sound import SCORES, RunFacts, facts_of_folder, facts_of_run

COST, MATCHES, RECORDS = "cost.json", "matches.npz", "records"
NOT_KEPT = "not kept"
_MOST_RECORDS = 10_000
_Runs = Mapping[tuple[str, int], RunRecord]
# What a manifest of ours has at least, with the type of each; the rest has defaults.
_NEEDED: dict[str, type | tuple[type, ...]] = {
    "kind": str, "created": str, "command": str, "model": str, "family": str, "data": dict, "arms": list,
    "seeds": list, "margin": (int, float), "recipe": dict, "recipe_sha256": str, "environment": dict,
    "sees": str,
}  # fmt: skip
# What an older one may lack.
_IF_THERE: dict[str, type] = {
    "warnings": list, "code": dict, "models": list, "looks": list, "alpha_plan": list, "bank": list,
    "controls": list, "contrasts": list, "follows": list,
}  # fmt: skip
_ARM_NEEDED: dict[str, type] = {
    "label": str, "expression": str, "baseline": bool, "spec_sha256": str, "layers": list,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class StudyRecord:
    """A study and its finished runs. costs: label -> what `study.cost` measured. name: of its folder.

    strays: runs found beside those planned; they are reason to refuse a verdict.
    """

    name: str
    manifest: Mapping[str, Any]
    runs: _Runs
    costs: Mapping[str, Mapping[str, Any]]
    strays: tuple[RunFacts, ...] = ()

    def facts(self) -> list[RunFacts]:
        """What every run says about itself, for `study.sound`."""
        return [facts_of(record) for record in self.runs.values()] + list(self.strays)


def facts_of(record: RunRecord) -> RunFacts:
    """What a record says about its run, for `study.sound`."""
    return RunFacts(
        record.label,
        record.seed,
        record.status,
        spec=record.spec_sha256,
        recipe=record.recipe_sha256,
        trained=record.data.get("train", ""),
        measured=record.data.get("eval", ""),
        checkpoint=record.checkpoint_sha256,
    )


def read_study(folder: Path) -> StudyRecord:
    """The study in a run folder or in a folder of records; a file of either stands for its folder.

    Raises:
        CheckpointError: there is no manifest (YG401), or it is not one of ours (YG403).
        StudyError: a record is damaged (YG630) or two are of one run (YG631).
        DataError: a match table is damaged (YG362).
    """
    folder = folder_of(folder)
    manifest = read_manifest(folder)
    if wrong := _lacks(manifest):
        raise CheckpointError("YG403", f"no manifest of ours: {wrong}", where=str(folder / MANIFEST))
    if is_record_folder(folder):
        costs = {str(k): v for k, v in _table(manifest.get("costs")).items() if isinstance(v, dict)}
        return StudyRecord(str(manifest.get("name") or folder.name), manifest, _records(folder), costs)
    runs: dict[tuple[str, int], RunRecord] = {}
    costs = {}
    for item in manifest["arms"]:
        cost = folder / "arms" / item["label"] / COST
        if cost.exists():
            costs[item["label"]] = read_json(cost)
        for seed in manifest["seeds"]:
            if record := record_of(folder, manifest, item["label"], seed):
                runs[item["label"], seed] = record
    strays = tuple(f for f in facts_of_folder(folder, manifest) if (f.label, f.seed) not in runs)
    return StudyRecord(folder.resolve().name, manifest, runs, costs, strays)


def record_of(run: Path, manifest: Mapping[str, Any], label: str, seed: int) -> RunRecord | None:
    """The record of one run of a run folder, made from its tables where none was kept; None while missing.

    Raises:
        CheckpointError: a file of the run is not readable (YG401).
        DataError: its match table is damaged (YG362).
    """
    folder = arm_folder(run, label, seed)
    facts = facts_of_run(run, label, seed)
    if facts is None:
        return None
    scores = read_json(folder / SCORES)
    if (folder / RECORD).exists():
        kept = RunRecord.load(folder / RECORD)
        if _agrees(facts_of(kept), facts) and kept.scores.get("ap") == scores.get("ap"):
            return replace(kept, scores=scores)
    item = next(arm for arm in manifest["arms"] if arm["label"] == label)
    found = RunRecord(
        label=label,
        model=str(item.get("model") or manifest["model"]),
        expression=item["expression"],
        baseline=item["baseline"],
        seed=seed,
        status=facts.status,
        spec_sha256=facts.spec,
        recipe_sha256=facts.recipe,
        checkpoint_sha256=facts.checkpoint,
        data={"train": facts.trained, "eval": facts.measured},
        scores=scores,
    )
    if facts.status != DONE or not (folder / MATCHES).exists():
        return found
    matches = MatchTable.load(folder / MATCHES)
    psi, units = judged_units(matches, groups_of(manifest))
    return replace(found, packed=PackedMatches.of(matches), influence=psi, units=units)


def _agrees(kept: RunFacts, folder: RunFacts) -> bool:
    """Whether a record says of its run what the run's folder says; of another run it vouches for nothing."""
    pairs = zip(astuple(kept), astuple(folder), strict=True)
    return all(there in ("", here) for here, there in pairs)


def keep_record(run: Path, manifest: Mapping[str, Any], label: str, seed: int) -> None:
    """Write the record of a finished run beside its scores; one that is there already stays."""
    path = arm_folder(run, label, seed) / RECORD
    if not path.exists() and (record := record_of(run, manifest, label, seed)):
        record.save(path)


def write_study(study: StudyRecord, out: Path) -> None:
    """Write a study as records into a new or empty folder.

    Raises:
        StudyError: the folder is not empty (YG632).
        MachineError: it cannot be written (YG702).
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudyError("YG632", "records go into a new folder", where=str(out), fix="name another folder")
    try:
        (out / RECORDS).mkdir(parents=True, exist_ok=True)
        for (label, seed), record in study.runs.items():
            record.save(out / RECORDS / f"{label}-{seed}.npz")
    except OSError as error:
        raise MachineError("YG702", f"cannot write: {error.strerror}", where=str(out)) from error
    kept = {key: value for key, value in study.manifest.items() if key not in ("name", "costs")}
    costs = {label: dict(cost) for label, cost in study.costs.items()}
    write_json(out / MANIFEST, without_paths({"name": study.name, **kept, "costs": costs}))


def without_paths(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with nothing in it that says where on a machine something lay; names of files stay."""
    shorn = _shorn(manifest)
    for item in shorn.get("code", {}).values():
        item["source"] = ""
    shorn["data"] = shorn["data"] | {"path": NOT_KEPT if shorn["data"]["path"] != "shapes" else "shapes"}
    return shorn


_QUOTED_PATH = re.compile(r"(?P<quote>[\"'])(?:~|/|[A-Za-z]:[\\/]|\\\\)[^\"']*(?P=quote)")
_BARE_PATH = re.compile(r"(?<![\w.)\]}/\\~:@-])(?:~[/\\]|/|[A-Za-z]:[\\/]|\\\\)[^\s\"',;]+")


def _shorn(value: Any) -> Any:
    """`value` with every absolute path in its texts cut to its last part."""
    if isinstance(value, Mapping):
        return {_shorn(key): _shorn(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shorn(item) for item in value]
    if not isinstance(value, str) or not ("/" in value or "\\" in value):
        return value
    whole = value.startswith(("/", "~/")) or re.match(r"[A-Za-z]:[\\/]|\\\\", value)
    if whole and " -" not in value:
        return _last_part(value)
    value = _QUOTED_PATH.sub(lambda m: m["quote"] + _last_part(m[0].strip(m["quote"])) + m["quote"], value)
    return _BARE_PATH.sub(lambda m: _last_part(m[0]), value)


def _last_part(path: str) -> str:
    kind = PureWindowsPath if "\\" in path or path[1:2] == ":" else PurePosixPath
    # A user's own class is FILE::Class.
    return kind(path).name or path.strip("/\\")


def is_record_folder(path: Path) -> bool:
    """Whether a study lies there as records, not as a run folder."""
    return (folder_of(path) / RECORDS).is_dir()


def folder_of(path: Path) -> Path:
    """The study's folder, from it, its manifest, its folder of records or one of these."""
    if path.is_file():
        path = path.parent
    if path.name == RECORDS and not (path / MANIFEST).exists():
        path = path.parent
    return path


def _records(folder: Path) -> dict[tuple[str, int], RunRecord]:
    runs: dict[tuple[str, int], RunRecord] = {}
    for path in _npz_files(folder / RECORDS):
        record = RunRecord.load(path)
        key = (record.label, record.seed)
        if key in runs:
            cause = f"two records of {record.label} seed {record.seed}"
            raise StudyError("YG631", cause, where=str(path), fix="keep one of them")
        runs[key] = record
    return runs


def _npz_files(folder: Path) -> Iterator[Path]:
    for count, path in enumerate(sorted(folder.glob("*.npz"))):
        if count >= _MOST_RECORDS:
            raise StudyError("YG630", f"more than {_MOST_RECORDS:,} records", where=str(folder))
        yield path


def _lacks(manifest: Mapping[str, Any]) -> str:
    """What a manifest needs before it can be judged and has not; empty where all is there."""
    for key, kind in _NEEDED.items():
        if not isinstance(manifest.get(key), kind):
            return f"'{key}' is {type(manifest.get(key)).__name__}"
    margin = number(manifest["margin"])
    if margin is None or not 0 < margin <= 100:
        return f"margin {manifest['margin']!r}"
    for arm in manifest["arms"]:
        wrong = [key for key, kind in _ARM_NEEDED.items() if not isinstance(arm.get(key), kind)]
        if wrong:
            return f"arm '{arm['label']}' without {wrong[0]}"
    labels, seeds = [arm["label"] for arm in manifest["arms"]], manifest["seeds"]
    if len(set(labels)) != len(labels) or len(set(seeds)) != len(seeds) or len(seeds) * len(labels) > 100_000:
        return "arms and seeds occur once"
    for part in ("train", "eval"):
        facts = manifest["data"].get(part)
        names = ("split", "images", "boxes", "fingerprint")
        if not isinstance(facts, dict) or any(name not in facts for name in names):
            return f"data without '{part}'"
    for key, kind in _IF_THERE.items():
        if not isinstance(manifest.get(key, kind()), kind):
            return f"'{key}' is {type(manifest[key]).__name__}"
    if not all(isinstance(item, dict) for item in manifest.get("code", {}).values()):
        return "'code' of which nothing is told"
    if any(key not in manifest["recipe"] for key in ("epochs", "imgsz", "batch")):
        return "a recipe without epochs, imgsz or batch"
    needed = ("precision", "device", "threads")
    return "" if all(key in manifest["environment"] for key in needed) else "an environment without a device"


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
