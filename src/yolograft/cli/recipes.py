"""Reads a recipe: defaults, then options, then ``--set key=value``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from yolograft.engine.recipe import Recipe
from yolograft.errors import SpecError
from yolograft.graph.expr import parse_scalar


def make_recipe(settings: Sequence[str], **given: Any) -> Recipe:
    """The recipe; ``given`` values that are None keep their default.

    Raises:
        SpecError: an unknown key or an impossible value (YG192).
    """
    values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise SpecError("YG192", f"--set {setting}", fix="write --set key=value")
        target = values
        *path, last = key.strip().split(".")
        for part in path:
            target = target.setdefault(part, {})
        target[last] = parse_scalar(text)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"])
        known = ", ".join(Recipe.model_fields)
        fix = f"keys: {known}" if first["type"] == "extra_forbidden" else ""
        raise SpecError("YG192", f"recipe {place}: {first['msg']}", fix=fix) from error
