"""The images of all splits of a dataset as one pool: each once, and with one set of boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from yolograft.data.records import ImageRecord
from yolograft.errors import DataError


def pooled(splits: Mapping[str, Sequence[ImageRecord]], *, root: Path) -> dict[str, ImageRecord]:
    """Image id -> its record, in reading order.

    An image may stand in several splits, with the same boxes and classes; their order does not matter.

    Args:
        root: the dataset, for the message.

    Raises:
        DataError: YG308 when two splits annotate an image differently: one of them would be lost.
    """
    pool: dict[str, ImageRecord] = {}
    first: dict[str, str] = {}
    for split, records in splits.items():
        for record in records:
            known = pool.setdefault(record.image_id, record)
            here = first.setdefault(record.image_id, split)
            if known is not record and _rows(known) != _rows(record):
                numbers = f"{len(known.boxes)} in {here}, {len(record.boxes)} in {split}"
                cause = f"{record.image_id} has other boxes in two splits ({numbers})"
                fix = "leave it in one split, or give both the same annotations"
                raise DataError("YG308", cause, where=str(root), fix=fix)
    return pool


def _rows(record: ImageRecord) -> list[tuple[list[float], int, bool]]:
    fields = (record.boxes.tolist(), record.labels.tolist(), record.crowd.tolist())
    return sorted(zip(*fields, strict=True))
