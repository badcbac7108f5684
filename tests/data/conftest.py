"""Small images and records on disk for the tests of the data room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolograft.data.records import ImageRecord
from yolograft.rng import stream

MakeRecord = Callable[..., ImageRecord]


@pytest.fixture
def make_record(tmp_path: Path) -> MakeRecord:
    """make_record(name, (h, w), boxes, labels, crowd) writes a smooth random PNG and its record."""

    def make(
        name: str,
        size: tuple[int, int] = (48, 64),
        boxes: Sequence[Sequence[float]] = (),
        labels: Sequence[int] | None = None,
        crowd: Sequence[bool] | None = None,
    ) -> ImageRecord:
        coarse = stream("test image", name).integers(0, 256, (6, 6, 3)).astype(np.uint8)
        image = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
        image[::3, ::2] //= 2
        path = tmp_path / f"{name}.png"
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        xyxy = np.array(boxes, np.float64).reshape(-1, 4)
        return ImageRecord(
            image_id=path.name,
            path=path,
            height=size[0],
            width=size[1],
            boxes=xyxy,
            labels=np.array(labels if labels is not None else [0] * len(xyxy), np.int64),
            crowd=np.array(crowd if crowd is not None else [False] * len(xyxy), np.bool_),
            area=(xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1),
            rows=len(xyxy),
            rows_per_class=(len(xyxy),),
        )

    return make


@pytest.fixture
def odd_records(make_record: MakeRecord) -> list[ImageRecord]:
    """Seven images of odd sizes; one without boxes, one with crowd boxes only."""
    return [
        make_record("a", (48, 64), [(5, 5, 40, 30), (20, 10, 60, 44)], [0, 1]),
        make_record("b", (33, 71), [(0, 0, 71, 33)]),
        make_record("c", (101, 37)),
        make_record("d", (64, 64), [(3, 3, 60, 60)], [2], [True]),
        make_record("e", (17, 19), [(1, 2, 15, 16)]),
        make_record("f", (200, 150), [(10, 20, 140, 190), (0, 0, 30, 30)], [1, 2]),
        make_record("g", (90, 160), [(80, 10, 150, 80)]),
    ]
