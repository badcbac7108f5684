"""Anchors clustered for a dataset: planted sizes are found, nothing gets worse, the same every time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolograft.data.anchors import anchor_fit, cluster_anchors, input_sizes
from yolograft.data.records import ImageRecord
from yolograft.errors import DataError

PUBLISHED = (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326)
PLANTED = ((6, 40), (9, 11), (31, 12), (25, 30), (22, 90), (80, 35), (70, 80), (60, 200), (210, 150))


def planted(count: int, seed: int, spread: float = 0.04) -> np.ndarray:
    draw = np.random.default_rng(seed)
    centres = np.log(np.array(PLANTED, dtype=np.float64))
    return np.exp(centres[draw.integers(0, 9, count)] + draw.normal(0, spread, (count, 2)))


def fit_by_loops(sizes: np.ndarray, anchors: tuple[float, ...]) -> tuple[float, float]:
    recall = fitness = 0.0
    for width, height in sizes.tolist():
        best = 0.0
        for w, h in zip(anchors[::2], anchors[1::2], strict=True):
            best = max(best, min(width / w, w / width, height / h, h / height))
        recall += best > 0.25
        fitness += best if best > 0.25 else 0.0
    return recall / len(sizes), fitness / len(sizes)


def test_recall_and_fitness_equal_plain_loops() -> None:
    sizes = np.random.default_rng(0).lognormal(3, 1.5, (300, 2))
    fit = anchor_fit(sizes, PUBLISHED)
    assert (fit.recall, fit.fitness) == pytest.approx(fit_by_loops(sizes, PUBLISHED))
    assert 0.3 < fit.recall < 0.95


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("start", [(), PUBLISHED], ids=["from nothing", "from the published ones"])
def test_planted_sizes_are_found(seed: int, start: tuple[float, ...]) -> None:
    sizes = planted(1200, seed)
    found = cluster_anchors(sizes, seed=seed, start=start)
    for pair in zip(found[::2], found[1::2], strict=True):
        nearest = min(max(abs(math.log(a / b)) for a, b in zip(pair, p, strict=True)) for p in PLANTED)
        assert nearest < 0.1, (pair, found)
    areas = [w * h for w, h in zip(found[::2], found[1::2], strict=True)]
    assert areas == sorted(areas) and anchor_fit(sizes, found).fitness > 0.95


def test_a_pure_function_of_its_arguments() -> None:
    sizes = planted(300, 3, spread=0.5)
    np.random.default_rng(0)
    first, second = (cluster_anchors(sizes, seed=5, start=PUBLISHED) for _ in range(2))
    assert first == second != cluster_anchors(sizes, seed=6, start=PUBLISHED)
    assert all(isinstance(side, float) and round(side, 1) == side > 0 for side in first)


@given(seed=st.integers(0, 10**6), count=st.integers(9, 60), spread=st.floats(0.01, 2))
@settings(max_examples=6)
def test_never_worse_than_what_is_given(seed: int, count: int, spread: float) -> None:
    sizes = np.random.default_rng(seed).lognormal(3.5, spread, (count, 2))
    found = cluster_anchors(sizes, start=PUBLISHED, seed=seed)
    before, after = anchor_fit(sizes, PUBLISHED), anchor_fit(sizes, found)
    assert after.recall >= before.recall and after.fitness >= before.fitness
    assert len(found) == 18 and all(math.isfinite(side) and side > 0 for side in found)


def test_anchors_that_cannot_be_bettered_stay() -> None:
    sizes = np.repeat(np.array(PUBLISHED, dtype=np.float64).reshape(-1, 2), 10, axis=0)
    assert cluster_anchors(sizes, start=PUBLISHED) == PUBLISHED


def test_boxes_of_one_size() -> None:
    found = cluster_anchors(np.full((20, 2), 17.0), start=PUBLISHED)
    assert found == (17.0,) * 18


def test_other_numbers_of_levels_and_anchors() -> None:
    sizes = planted(400, 1)
    assert len(cluster_anchors(sizes, levels=2, per_level=2)) == 8
    assert len(cluster_anchors(sizes, levels=4, per_level=3)) == 24


@pytest.mark.parametrize("count", [0, 1, 8])
def test_too_few_boxes(count: int) -> None:
    # A box without width counts for nothing.
    sizes = np.concatenate((np.full((count, 2), 20.0), np.array([[0.0, 5.0]])))
    with pytest.raises(DataError) as caught:
        cluster_anchors(sizes, start=PUBLISHED)
    assert caught.value.code == "YG357" and f"{count} boxes" in caught.value.line()
    assert len(caught.value.line()) <= 240 and "--anchors" in caught.value.line()


def test_no_box_has_no_fit() -> None:
    with pytest.raises(DataError, match="YG357"):
        anchor_fit(np.zeros((0, 2)), PUBLISHED)


def record(size: tuple[int, int], boxes: list[list[float]], crowd: list[bool]) -> ImageRecord:
    table = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    count = len(table)
    zeros = np.zeros(count, dtype=np.int64)
    flags = np.array(crowd, dtype=np.bool_)
    return ImageRecord("a.png", Path("a.png"), *size, table, zeros, flags, np.ones(count), count, (count,))


def test_sizes_are_those_in_the_letterboxed_input() -> None:
    records = [
        record((100, 200), [[10, 10, 30, 60], [0, 0, 200, 100]], [False, True]),
        record((50, 50), [[5, 5, 10, 15]], [False]),
        record((64, 64), [], []),
    ]
    assert input_sizes(records, imgsz=(320, 320)).tolist() == [[32.0, 80.0], [32.0, 64.0]]
    assert input_sizes(records, imgsz=(100, 400)).tolist() == [[20.0, 50.0], [10.0, 20.0]]
    assert input_sizes(records[2:], imgsz=(320, 320)).shape == (0, 2)
