"""The batches a recipe asks for."""

from __future__ import annotations

from collections.abc import Sequence

from yolograft.data.loader import TrainStream
from yolograft.data.records import ImageRecord
from yolograft.engine.recipe import Recipe


def recipe_stream(
    records: Sequence[ImageRecord], recipe: Recipe, *, seed: int, workers: int = 0, cache: str = "ram"
) -> TrainStream:
    """The training batches of one seed under a recipe; workers and cache change nothing in them.

    Raises:
        DataError: those of `TrainStream`.
    """
    return TrainStream(
        records,
        imgsz=recipe.imgsz,
        batch=recipe.batch,
        seed=seed,
        augment=recipe.augment,
        multi_scale=recipe.multi_scale,
        class_balance=recipe.class_balance,
        epochs=recipe.epochs,
        close_mosaic=recipe.plain_epochs(),
        workers=workers,
        cache=cache,
    )
