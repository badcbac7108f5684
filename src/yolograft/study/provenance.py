"""Where a trained model comes from: its code, the weights it started from back to the root, its data.

Everything is read from what lies in folders: manifests, the states of model folders, the catalog, and what a
dataset folder says of itself today. What cannot be followed is a link of its own kind, never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions
from pathlib import Path
from typing import Any, Literal

from yolograft.data.licence import stated_licences
from yolograft.engine.checkpoint import STATE, read_json
from yolograft.engine.foreignfolder import import_file, is_file_from_elsewhere
from yolograft.engine.modelfolder import KIND, tensors_sha256
from yolograft.errors import CheckpointError, SpecError
from yolograft.graph.spec import ModelSpec
from yolograft.models.catalog import BY_NAME
from yolograft.study.planning.manifest import MANIFEST, read_manifest
from yolograft.study.provenance_words import sentences

OURS = "Apache-2.0"
Row = dict[str, Any]
TEACHER = {"role": "teacher"}


def provenance(run: Path, *, lang: Literal["en", "zh"] = "en") -> dict[str, Any]:
    """The chain of origins of a run, a model folder or a file from elsewhere, as plain data for JSON.

    code: rows of name, version, origin (``yolograft``, ``timm``, ``own``, ``package``), licence, paper, and
    sha256 of a file of the user's. weights: links from the nearest to the root; kind ``trained`` (a model
    folder of ours), ``file`` (from elsewhere, with layout and licence as the file states it), ``fresh``
    (random numbers) or ``lost`` (it cannot be followed, and why). data: the datasets of every link, nearest
    first, each with its fingerprints and what its folder states. Behind these, with role ``teacher``, what
    models of the chain learned from beside the boxes, followed to its own root. says: what that means, in
    sentences of `lang`.

    Raises:
        CheckpointError: neither a run nor a model folder (YG401, YG403, YG405); a file that `import_file`
            does not read.
    """
    place = run.expanduser()
    if is_file_from_elsewhere(place):
        found = _file(place)
    else:
        found = _model(place) if (place / STATE).is_file() else _run(place)
    found["says"] = sentences(found, lang=lang)
    return found


def _file(path: Path) -> dict[str, Any]:
    # What does not fit a network of ours has an origin all the same.
    stored = import_file(path, force=True).stored
    return {
        "subject": {"kind": "file", "path": str(path), "model": stored.spec.name},
        "code": [],
        "weights": [_foreign(stored.about["origin"], path=path)],
        "data": [],
    }


def _run(run: Path) -> Row:
    manifest = read_manifest(run)
    specs = [ModelSpec.from_json(arm["spec"]) for arm in manifest["arms"]]
    hashes = {ref: item["sha256"] for ref, item in manifest["code"].items()}
    chain = _ancestors(manifest)
    chain.data.insert(0, _dataset(manifest))
    chain.taught_by.insert(0, manifest["teacher"])
    subject = {"kind": "run", "path": str(run), "model": manifest["model"]}
    return _document(subject, specs, hashes, chain, release=manifest["environment"]["yolograft"])


def _model(folder: Path) -> Row:
    state = _model_state(folder)
    spec = ModelSpec.from_json(state["spec"])
    release, origin = "", state.get("origin")
    above = None if isinstance(origin, dict) else _run_above(folder)
    if isinstance(origin, dict):
        chain = _Chain(links=[_foreign(origin, path=folder)])
    elif above is None:
        start = _start(state.get("started_from"), "weights")
        chain = _ancestors(start) if start else _Chain(links=[_lost(folder, "alone")])
        chain.data[:0] = _own_data(state)
    else:
        manifest = read_manifest(above)
        chain = _ancestors(manifest)
        chain.data.insert(0, _dataset(manifest))
        release = manifest["environment"]["yolograft"]
    chain.taught_by.insert(0, state.get("taught_by"))
    subject = {"kind": "model", "path": str(folder), "model": spec.name}
    return _document(subject, [spec], state.get("code", {}), chain, release=release)


def _document(
    subject: Row, specs: Sequence[ModelSpec], hashes: Mapping[str, str], chain: _Chain, *, release: str
) -> Row:
    """All that is known, teachers and what lies behind them at the end of each list."""
    code = _code(specs, hashes, release=release)
    for spec, found in _add_teachers(chain):
        known = {row["name"] for row in code}
        code += [row | TEACHER for row in _code([spec], found, release="") if row["name"] not in known]
    return {"subject": subject, "code": code, "weights": chain.links, "data": chain.data}


def _model_state(folder: Path) -> dict[str, Any]:
    """The state of a model folder.

    Raises:
        CheckpointError: it is missing (YG401) or of another kind (YG405).
    """
    state = read_json(folder / STATE)
    if not isinstance(state, dict) or state.get("kind") != KIND:
        raise CheckpointError("YG405", "this folder holds no trained model", where=str(folder))
    return state


def _run_above(folder: Path) -> Path | None:
    """The run folder a model folder lies in; None where it stands alone."""
    return next((parent for parent in folder.resolve().parents if (parent / MANIFEST).is_file()), None)


@dataclass
class _Chain:
    """What lies behind a model, nearest first.

    data: the datasets of the runs among the links. taught_by: what is written of the teachers of its models.
    models: spec and code of those of ours.
    """

    links: list[Row] = field(default_factory=list)
    data: list[Row] = field(default_factory=list)
    taught_by: list[Any] = field(default_factory=list)
    models: list[tuple[ModelSpec, Mapping[str, str]]] = field(default_factory=list)


def _add_teachers(chain: _Chain) -> list[tuple[ModelSpec, Mapping[str, str]]]:
    """Put the teachers of a chain and theirs, each once, at its end, marked; the specs and code of those."""
    told: set[str] = set()
    models, waiting = [], list(chain.taught_by)
    while waiting:
        lesson = _start(waiting.pop(0), "path")
        if lesson is None or lesson["weights"] in told:
            continue
        told.add(lesson["weights"])
        found = _ancestors(lesson)
        chain.links += [link | TEACHER for link in found.links]
        chain.data += [row | TEACHER for row in found.data]
        models += found.models[:1]
        waiting += found.taught_by
    return models


def _ancestors(manifest: Mapping[str, Any]) -> _Chain:
    """What lies behind a run's start, of which the teachers are only named."""
    chain = _Chain()
    seen: set[Path] = set()
    while manifest["weights"]:
        source, origin = Path(manifest["weights"]), manifest.get("weights_origin")
        if isinstance(origin, dict):
            chain.links.append(_foreign(origin, path=source))
            return chain
        if source in seen:
            chain.links.append(_lost(source, "circle"))
            return chain
        seen.add(source)
        above = _follow(chain, source, str(manifest.get("weights_sha256") or ""))
        if above is None:
            return chain
        manifest = above
    chain.links.append({"kind": "fresh"})
    return chain


def _start(found: object, place: str) -> Row | None:
    """A start or a teacher, as a model folder tells of it, in a manifest's words; None where it does not.

    Args:
        place: key of the path.
    """
    if not isinstance(found, dict) or not isinstance(found.get(place), str):
        return None
    names = {"weights": place, "weights_sha256": "sha256", "weights_origin": "origin"}
    return {name: found.get(key) for name, key in names.items()}


def _follow(chain: _Chain, source: Path, planned: str) -> Mapping[str, Any] | None:
    """Add what a run started from to a chain; the manifest of the run before, None at the end.

    Args:
        planned: SHA-256 of the tensors, as the run that started from them wrote it down.
    """
    try:
        state = _model_state(source)
        found = tensors_sha256(source)
        if planned and found != planned:
            chain.links.append(_lost(source, "changed", sha256=planned))
            return None
        spec = ModelSpec.from_json(state.get("spec", {}))
        run = _run_above(source)
        above = _start(state.get("started_from"), "weights") if run is None else read_manifest(run)
        data = [_dataset(above)] if above is not None and run is not None else _own_data(state)
    except (CheckpointError, SpecError):
        chain.links.append(_lost(source, "gone", sha256=planned))
        return None
    link = {"kind": "trained", "path": str(source), "sha256": found, "model": spec.name, "licence": ""}
    chain.links.append(link)
    chain.models.append((spec, state.get("code", {})))
    chain.taught_by.append(state.get("taught_by"))
    chain.data += data
    if above is None:
        chain.links.append(_lost(source, "alone"))
    return above


def _foreign(origin: Mapping[str, Any], *, path: Path) -> Row:
    """The link of somebody else's file, from what was written down when it was read."""
    facts = {key: str(origin.get(key) or "") for key in ("file", "sha256", "layout", "tool", "licence")}
    return {"kind": "file", "path": str(path), **facts, "epoch": origin.get("epoch")}


def _lost(place: Path, why: str, *, sha256: str = "") -> Row:
    return {"kind": "lost", "path": str(place), "why": why, "sha256": sha256}


def _code(specs: Sequence[ModelSpec], hashes: Mapping[str, str], *, release: str) -> list[Row]:
    """Rows for yolograft and for every module that has a paper or an origin of its own.

    Args:
        hashes: SHA-256 of the user's own files by reference. release: version of yolograft; may be empty.
    """
    rows = [_row("yolograft") | {"version": release}]
    for module in _modules(specs):
        row = _module_row(module) | {"sha256": hashes.get(module, "")}
        if row["paper"] or row["origin"] != "yolograft" or row["licence"] != OURS:
            rows.append(row)
    return rows


def _modules(specs: Iterable[ModelSpec]) -> list[str]:
    """Every module reference, in order of first use."""
    layers = [layer for spec in specs for layer in spec.layers]
    used = [name for layer in layers for name in (layer.module, *(ref.module for _, ref in layer.inside))]
    return list(dict.fromkeys(used))


def _row(name: str) -> Row:
    return {"name": name, "version": "", "origin": "yolograft", "licence": OURS, "paper": "", "sha256": ""}


def _module_row(module: str) -> Row:
    row = _row(module)
    if module.startswith("timm:"):
        return row | {"origin": "timm", "licence": _package_licence("timm")}
    if "::" not in module:
        entry = BY_NAME.get(module)
        return row | ({"licence": entry.licence, "paper": entry.paper} if entry else {"licence": ""})
    place = module.rpartition("::")[0]
    if place.endswith(".py"):
        return row | {"origin": "own", "licence": ""}
    return row | {"origin": "package", "licence": _package_licence(place.partition(".")[0])}


def _package_licence(package: str) -> str:
    """The licence an installed package states in its metadata; empty where it states none."""
    try:
        facts = metadata(package)
    except PackageNotFoundError:
        # A package may be installed under another name, as cv2 is.
        known = packages_distributions().get(package)
        if known is None:
            return ""
        facts = metadata(known[0])
    named = [text for key in ("License-Expression", "License") for text in facts.get_all(key, [])]
    named += [row.rpartition(" :: ")[2] for row in facts.get_all("Classifier", []) if "License ::" in row]
    # Some packages put the whole text there.
    return next((text for text in named if text and "\n" not in text), "")


def _dataset(manifest: Mapping[str, Any]) -> Row:
    facts = manifest["data"]
    parts = [facts[part] for part in ("train", "eval")]
    row = {"name": facts["name"], "path": facts["path"], "format": facts["format"]}
    row["fingerprints"] = {part["split"]: part["fingerprint"] for part in parts}
    if facts["path"] == "shapes":
        return row | {"found": True, "licences": [{"text": OURS, "file": "yolograft"}]}
    stated = stated_licences(facts["path"])
    said = [{"text": item.text, "file": item.file} for item in stated or ()]
    return row | {"found": stated is not None, "licences": said}


def _own_data(state: Mapping[str, Any]) -> list[Row]:
    """What a model folder that stands alone remembers of its data: fingerprints, no name."""
    row = {"name": "", "path": "", "format": "", "fingerprints": state.get("data", {})}
    return [row | {"found": False, "licences": []}]
