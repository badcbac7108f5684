"""The recipe: validated, hashed, printable."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from yolograft.engine.recipe import Recipe

OTHER: dict[str, Any] = {
    "epochs": 101, "batch": 17, "imgsz": (640, 672), "optimizer": "sgd", "lr": 0.001, "lr_final": 0.02,
    "momentum": 0.8, "weight_decay": 0.001, "warmup_epochs": 2, "ema_decay": 0.99, "ema_tau": 100,
    "clip": 5, "precision": "fp32", "box_gain": 1, "cls_gain": 1, "dfl_gain": 1, "small_boxes": "paper",
    "obj_gain": 1, "l1_gain": 1,
    "box_loss": "siou", "multi_scale": 0.25, "class_balance": 0.5, "close_mosaic": 0,
    "eval_points": 3, "augment": {"mosaic": 0.25}, "kept_lr": 0.5, "new_lr": 2, "new_warmup_epochs": 1,
    "freeze_epochs": 1, "freeze": "backbone",
}  # fmt: skip


def test_the_digest_is_a_function_of_the_values() -> None:
    assert Recipe().digest() == Recipe.model_validate({}).digest() == Recipe(epochs=100).digest()
    assert Recipe(batch=8, epochs=3).digest() == Recipe(epochs=3, batch=8).digest()
    assert Recipe.model_validate(Recipe(imgsz=(64, 96)).to_json()).digest() == Recipe(imgsz=(64, 96)).digest()
    assert Recipe.model_validate({"clip": 10}).digest() == Recipe(clip=10.0).digest()


def test_every_value_is_in_the_digest() -> None:
    assert OTHER.keys() == Recipe.model_fields.keys()
    digests = {Recipe.model_validate({key: value}).digest() for key, value in OTHER.items()}
    assert len(digests | {Recipe().digest()}) == len(OTHER) + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": 3}, {"augment": {"mosiac": 1}}, {"epochs": 0}, {"batch": 0}, {"imgsz": (640, 650)},
        {"imgsz": (0, 64)}, {"imgsz": (-32, 64)}, {"imgsz": 640}, {"optimizer": "adam"}, {"lr": "fast"},
        {"lr_final": 0}, {"momentum": 1}, {"clip": 0}, {"precision": "int8"}, {"ema_decay": 1},
        {"small_boxes": "no"}, {"box_loss": "iou"}, {"multi_scale": 0.6}, {"class_balance": -1},
        {"eval_points": 0}, {"weight_decay": -1}, {"kept_lr": 0}, {"new_lr": -1}, {"freeze": "head"},
        {"freeze_epochs": -1}, {"new_warmup_epochs": "none"},
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(wrong)


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(ValidationError):
        Recipe().epochs = 3  # type: ignore[misc]


@given(epochs=st.integers(1, 500), points=st.integers(1, 60))
def test_the_curve_is_measured_at_the_end_and_evenly(epochs: int, points: int) -> None:
    chosen = Recipe(epochs=epochs, eval_points=points).eval_epochs()
    assert chosen[-1] == epochs - 1 and chosen[0] >= 0
    assert len(chosen) == min(points, epochs)
    gaps = {b - a for a, b in itertools.pairwise(chosen)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@given(side=st.integers(1, 40), share=st.floats(0, 0.5))
def test_the_largest_size_is_no_smaller_than_any_batch(side: int, share: float) -> None:
    height, width = Recipe(imgsz=(32 * side, 64), multi_scale=share).largest_size()
    assert height >= 32 * side * (1 + share) > height - 32 and height % 32 == width % 32 == 0
    assert Recipe(imgsz=(64, 96)).largest_size() == (64, 96)
