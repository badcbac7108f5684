"""Confusion cells of a stranger: damaged text is as good as none, and none takes a gigabyte."""

from __future__ import annotations

import pytest

from yolograft.study.detail import detail, read_confusion


def run(cells: str, classes: object = 2) -> dict[str, object]:
    confusion = {"iou": 0.45, "confidence": 0.3, "classes": classes, "cells": cells}
    return {"status": "done", "confusion": confusion}


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        ("0,0,99999999999999999999999", 2),
        ("0,0,4611686018427387904", 2),
        ("0,0," + "9" * 5_000, 2),
        ("0,0,-1", 2),
        ("0,3,1", 2),
        ("0,0", 2),
        ("0,0,1", 10_000),
        ("0,0,1", 10**30),
    ],
    ids=range(8),
)
def test_damaged_cells_are_none(cells: str, classes: object) -> None:
    bad = run(cells, classes)
    assert detail([bad])["confusion"] is None and read_confusion({"runs": [bad]}) is None
    both = read_confusion({"runs": [bad, run("0,0,3 2,1,4")]})
    assert both is not None and both.counts.sum() == 7 and both.seeds == 1


def test_counts_of_seeds_add_up() -> None:
    found = read_confusion({"runs": [run("0,0,3 2,1,4"), run("0,0,2")]})
    assert found is not None and found.counts[0, 0] == 5 and found.counts[2, 1] == 4
