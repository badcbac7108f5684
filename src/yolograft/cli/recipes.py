"""Reads a recipe: defaults, then options, then ``--set key=value``."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from yolograft.data.augment import AugmentConfig
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
            if not isinstance(target, dict):
                raise SpecError("YG192", f"--set {setting}", fix=f"{part} is one value: --set {part}=value")
        target[last] = parse_scalar(text)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise _one_line(error) from error


def _one_line(error: ValidationError) -> SpecError:
    first = error.errors()[0]
    *path, key = [str(part) for part in first["loc"]]
    if first["type"] != "extra_forbidden":
        return SpecError("YG192", f"recipe {'.'.join((*path, key))}: {first['msg']}")
    known = AugmentConfig.model_fields if path else Recipe.model_fields
    near = get_close_matches(key, known, n=1)
    fix = (f"did you mean {near[0]}? " if near else "") + f"keys: {', '.join(known)}"
    return SpecError("YG192", f"no recipe key '{'.'.join((*path, key))}'", fix=fix)
