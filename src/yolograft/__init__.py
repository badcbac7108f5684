"""yolograft: graft a feature module onto a YOLO detector, keep its weights, and judge the result.

Importing this package imports no torch and runs nothing; public names are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "ModelSpec": "yolograft.graph.spec",
    "LayerSpec": "yolograft.graph.spec",
    "GraftSpec": "yolograft.graph.expr",
    "parse_graft": "yolograft.graph.expr",
    "graft": "yolograft.graph.graft",
    "model_spec": "yolograft.models.build",
    "build": "yolograft.models.build",
    "inspect_spec": "yolograft.models.build",
    "check_module": "yolograft.doctor.examine",
    "Detector": "yolograft.models.detector",
    "RawPredictions": "yolograft.types",
    "Targets": "yolograft.types",
    "Detections": "yolograft.types",
    "ImageRecord": "yolograft.data.records",
    "Dataset": "yolograft.data.records",
    "open_dataset": "yolograft.data.source",
    "Arm": "yolograft.engine.arm",
    "Recipe": "yolograft.engine.recipe",
    "train": "yolograft.engine.train",
    "evaluate": "yolograft.engine.evaluate",
    "compare": "yolograft.study.statistics.compare",
    "Study": "yolograft.study.study",
    "Verdict": "yolograft.study.study",
    "YolograftError": "yolograft.errors",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("yolograft")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'yolograft' has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*sorted(_PUBLIC), "__version__"]
