"""Reads back the maps that `explain` left in a run folder, without trusting the folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from yolograft.data.images import Image
from yolograft.study.holes import number, rows, table, words_of

MAPS, INDEX = "maps", "maps.json"
LARGEST = 2**24  # bytes, of the index or of one picture
KINDS = ("activation", "gain")


@dataclass(frozen=True, slots=True)
class MapPanel:
    """One map over its picture. kind: ``activation`` or ``gain``. pixels: uint8 RGB. low, high: its ends."""

    arm: str
    kind: str
    layer: str
    pixels: Image
    low: float
    high: float


def read_maps(folder: Path) -> dict[str, tuple[MapPanel, ...]]:
    """Image id -> its panels, arms in the order of the study; nothing where they are missing or damaged."""
    index = _json(folder / INDEX)
    found = {}
    for image in map(table, rows(table(index).get("images"))):
        panels = [
            panel
            for arm in map(table, rows(image.get("arms")))
            for raw in map(table, rows(arm.get("panels")))
            if (panel := _panel(folder, words_of(arm.get("arm")), raw)) is not None
        ]
        if panels:
            found[words_of(image.get("image_id"))] = tuple(panels)
    return found


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            return None
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _panel(folder: Path, arm: str, raw: Mapping[str, Any]) -> MapPanel | None:
    name, kind = words_of(raw.get("file")), words_of(raw.get("kind"))
    low, high = number(raw.get("low")), number(raw.get("high"))
    # A name with a folder in it would lead out of the run.
    if (
        not name.endswith(".png")
        or Path(name).name != name
        or kind not in KINDS
        or low is None
        or high is None
    ):
        return None
    try:
        data = (folder / name).read_bytes() if (folder / name).stat().st_size <= LARGEST else b""
    except (OSError, ValueError):
        return None
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None:
        return None
    pixels = np.ascontiguousarray(bgr[:, :, ::-1])
    return MapPanel(arm, kind, words_of(raw.get("layer")), np.asarray(pixels, np.uint8), low, high)
