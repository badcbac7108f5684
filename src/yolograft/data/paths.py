"""Naming images by their place in the dataset folder."""

from __future__ import annotations

import os
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


def image_id_of(path: Path, root: Path) -> str:
    """The path relative to the dataset root with posix separators; `../` where it lies outside."""
    return Path(os.path.relpath(path, root)).as_posix()


def images_in(folder: Path) -> list[Path]:
    """All image files of a folder and the folders below it, by their suffix, sorted."""
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    )
