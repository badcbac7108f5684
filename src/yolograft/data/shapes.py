"""The built-in set `shapes`: drawn from a seed, kept in the user's cache folder, nothing downloaded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import cv2

from yolograft.data.coco import read_coco
from yolograft.data.records import Dataset
from yolograft.data.scenes import CLASSES, draw_scene
from yolograft.errors import MachineError
from yolograft.rng import stream

# Raise it with every change to the drawing: cached sets of other versions are then left alone.
GENERATOR_VERSION = 2
_FILES = ("instances_train.json", "instances_val.json")


def shapes(*, seed: int = 0, train: int = 160, val: int = 96, size: int = 160) -> Dataset:
    """The procedural set: five look-alike classes on textured ground, one to six shapes an image.

    Drawn on first use (about ten milliseconds an image) into `cache_folder()`, then read from there.

    Args:
        seed: another seed, another set.
        train, val: images per split.
        size: side of the square images, pixels.

    Raises:
        MachineError: YG731 when the cache folder cannot be written.
    """
    arguments = f"{GENERATOR_VERSION}|{cv2.__version__}|{seed}|{train}|{val}|{size}"
    key = hashlib.blake2b(arguments.encode(), digest_size=6).hexdigest()
    folder = cache_folder() / f"shapes-{key}"
    if not folder.is_dir():
        try:
            _draw_into(folder, seed=seed, counts={"train": train, "val": val}, size=size)
        except OSError as error:
            fix = "set YOLOGRAFT_CACHE to a folder that can be written"
            raise MachineError(
                "YG731", f"cannot write: {error.strerror}", where=str(folder), fix=fix
            ) from None
    files = [folder / "annotations" / name for name in _FILES]
    return dataclasses.replace(read_coco(folder, files), format="shapes")


def cache_folder() -> Path:
    """`$YOLOGRAFT_CACHE`, or yolograft's part of the platform's cache folder for this user."""
    chosen = os.environ.get("YOLOGRAFT_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "yolograft"


def _draw_into(folder: Path, *, seed: int, counts: dict[str, int], size: int) -> None:
    """Draw the set beside its place and move it there whole, so that no half set is ever found."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".drawing-", dir=folder.parent))
    try:
        (draft / "annotations").mkdir()
        for (split, count), name in zip(counts.items(), _FILES, strict=True):
            document = _draw_split(draft / split, split=split, seed=seed, count=count, size=size)
            (draft / "annotations" / name).write_text(json.dumps(document), encoding="utf-8")
        draft.chmod(0o755)
        try:
            draft.rename(folder)
        except OSError:
            # Another process was first with the same set.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _draw_split(folder: Path, *, split: str, seed: int, count: int, size: int) -> dict[str, object]:
    folder.mkdir()
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for index in range(count):
        scene = draw_scene(stream(seed, "shapes", split, index), size=size)
        name = f"{index:05d}.png"
        fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
        done, data = cv2.imencode(".png", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR), fast)
        if not done:
            raise OSError(0, "the image could not be encoded")
        (folder / name).write_bytes(data.tobytes())
        images.append({"id": index, "file_name": name, "height": size, "width": size})
        for box, label in zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True):
            x1, y1, x2, y2 = box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": label, "name": name} for label, name in enumerate(CLASSES)]
    return {"images": images, "annotations": annotations, "categories": categories}
