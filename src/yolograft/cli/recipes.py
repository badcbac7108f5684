"""Reads a recipe: defaults, then the recipe file, then options, then ``--set key=value``."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from yolograft.engine.recipe import Recipe
from yolograft.engine.recipefile import RecipeFile, recipe_error
from yolograft.errors import SpecError
from yolograft.graph.expr import parse_scalar


def make_recipe(settings: Sequence[str], *, file: RecipeFile | None = None, **given: Any) -> Recipe:
    """The recipe; what comes later wins: defaults, `file`, `given`, `settings`.

    Args:
        settings: texts key=value; augment.key=value for one of the augmentation.
        given: values of options; None where the user did not say.

    Raises:
        SpecError: an unknown key or an impossible value (YG192).
    """
    values: dict[str, Any] = copy.deepcopy(file.values) if file else {}
    values |= {key: value for key, value in given.items() if value is not None}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise SpecError("YG192", f"--set {setting}", fix="write --set key=value")
        target = values
        *path, last = key.strip().split(".")
        for part in path:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise SpecError("YG192", f"--set {setting}", fix=f"{part} is one value: --set {part}=value")
        target[last] = parse_scalar(text)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise recipe_error(error) from error
