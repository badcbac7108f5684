"""The manifest: what a study is, as it stands in its folder; read by a run, a resumed run and a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolograft.engine.checkpoint import read_json
from yolograft.errors import CheckpointError
from yolograft.graph.expr import folder_name

SCHEMA = 1
MANIFEST = "manifest.json"
# What a manifest says of which an older one does not speak.
DEFAULTS: Mapping[str, Any] = {
    "alpha_plan": [0.05],
    "paired": False,
    "group": None,
    "groups": None,
    "bank": [],
    "controls": [],
    "follows": [],
    "tried_before": 0,
    "contrasts": [],
    "branch_at": None,
    "teacher": None,
}


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run folder.

    Raises:
        CheckpointError: there is none (YG401), or a newer version or another hand wrote it (YG403).
    """
    where = str(run / MANIFEST)
    manifest = read_json(run / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise CheckpointError("YG403", "this manifest is of another version", where=where)
    wrong = _unsafe(manifest)
    if wrong:
        raise CheckpointError("YG403", f"no manifest of ours: {wrong}", where=where, fix="start a new study")
    return {**DEFAULTS, "looks": [len(manifest.get("seeds", []))], **manifest}


def _unsafe(manifest: Mapping[str, Any]) -> str:
    """What in a manifest could lead out of its run folder: labels and seeds are names of folders there."""
    arms, seeds = manifest.get("arms", []), manifest.get("seeds", [])
    if not (isinstance(arms, list) and isinstance(seeds, list)):
        return "arms and seeds are lists"
    for arm in arms:
        label = arm.get("label") if isinstance(arm, dict) else None
        if not isinstance(label, str) or folder_name(label) != label:
            return f"arm label {label!r}"
        if not isinstance(arm.get("model", ""), str):
            return f"model {arm['model']!r}"
    return next((f"seed {seed!r}" for seed in seeds if type(seed) is not int), "")


def code_hashes(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Reference -> SHA-256 of every class of the user's own in the study."""
    return {ref: item["sha256"] for ref, item in manifest["code"].items()}
