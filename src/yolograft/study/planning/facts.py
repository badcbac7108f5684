"""What a manifest says of the arms and of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolograft.data.records import Dataset
from yolograft.graph.necks.table import NO_IDENTITY, no_identity
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import inspect_spec
from yolograft.models.codebook import Codebook
from yolograft.study.planning.arms import PlannedArm


def arm_facts(item: PlannedArm, stock: ModelSpec, code: Codebook, *, branch: bool = False) -> dict[str, Any]:
    """An arm: its spec whole and hashed, its layers with their parameters, and what is worth a line.

    Args:
        stock: the ungrafted detector of its model; what that lacks is new.
        branch: the arm goes on from a trained baseline.
    """
    spec = item.spec
    facts = inspect_spec(spec, code=code)
    had = {layer.name for layer in stock.layers}
    start = NO_IDENTITY if branch and no_identity(spec, stock) else ""
    return {
        "label": item.label,
        "model": item.model,
        "expression": item.expression,
        "baseline": item.baseline,
        "control": item.control,
        "of": item.of,
        "distill": [{"method": ref.module, "options": dict(ref.args)} for ref in item.distill],
        "spec": spec.to_json(),
        "spec_sha256": spec.digest(),
        "layers": [
            {
                "name": f.name,
                "module": f.module,
                "inputs": list(f.inputs),
                "out_channels": f.out_channels,
                "stride": f.stride,
                "params": f.params,
                "new": f.name not in had or bool(spec.layer(f.name).inside),
            }
            for f in facts
        ],
        "notes": [note for note in (item.note, start, *(f.note for f in facts)) if note],
    }


def widest_stride(arms: Sequence[Mapping[str, Any]]) -> int:
    """The widest stride of the arms of a manifest, pixels: image sides are multiples of it."""
    return max(layer["stride"] for arm in arms for layer in arm["layers"])


def _split_facts(dataset: Dataset, name: str, records: Sequence[Any]) -> dict[str, Any]:
    return {
        "split": name,
        "images": len(records),
        "boxes": sum(len(record.boxes) for record in records),
        "fingerprint": dataset.fingerprint(name),
    }


def data_facts(path: str, dataset: Dataset, held_out: str) -> dict[str, Any]:
    """The dataset: where it lies, its classes, and the fingerprints of the splits trained and measured on."""
    built_in = path == "shapes"
    return {
        "path": path if built_in else str(Path(path).expanduser().resolve()),
        "name": "shapes" if built_in else dataset.root.name,
        "format": dataset.format,
        "names": list(dataset.names),
        "train": _split_facts(dataset, "train", dataset.split("train")),
        "eval": _split_facts(dataset, held_out, dataset.split(held_out)),
    }
