"""The loss of an arm: its family's criterion, told what the recipe says about it."""

from __future__ import annotations

import inspect

from yolograft.engine.recipe import LOSS_SETTINGS, Recipe
from yolograft.errors import SpecError
from yolograft.models.catalog import Criterion, Family
from yolograft.models.detector import Detector


def check_loss_settings(family: Family, recipe: Recipe) -> None:
    """See that the recipe asks nothing of the loss that the family does not have.

    Raises:
        SpecError: it does (YG198).
    """
    known = inspect.signature(family.criterion).parameters
    for key in recipe.loss_settings():
        if key not in known:
            has = ", ".join(name for name in LOSS_SETTINGS if name in known)
            fix = f"it has {has}; set {key}: auto"
            raise SpecError("YG198", f"the loss of {family.name} has no {key}", fix=fix)


def build_criterion(detector: Detector, recipe: Recipe) -> Criterion:
    """The criterion of a detector's family under a recipe.

    Raises:
        SpecError: the recipe asks for a term the family's loss does not have (YG198).
    """
    check_loss_settings(detector.family, recipe)
    return detector.family.criterion(detector.head, **recipe.loss_settings())
