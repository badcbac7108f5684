"""The dataset of a study that is over, where it is still there and still the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yolograft.data.records import Dataset
from yolograft.data.source import open_dataset
from yolograft.errors import YolograftError


def same_dataset(manifest: Mapping[str, Any]) -> tuple[Dataset | None, str]:
    """The dataset a manifest names, and an empty string; or None and why it cannot serve."""
    held = manifest["data"]["eval"]
    try:
        dataset = open_dataset(manifest["data"]["path"])
        if dataset.fingerprint(held["split"]) == held["fingerprint"]:
            return dataset, ""
    except (YolograftError, OSError) as error:
        return None, str(error)
    return None, f"split '{held['split']}' has changed since the study"
