"""Recipes as files: YAML 1.2, safe, and every mistake answered with its line.

A file names what it changes and leaves the rest at the defaults; the shipped ones are complete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from yolograft.data.augment import AugmentConfig
from yolograft.engine.plain_yaml import overgrown
from yolograft.engine.recipe import Recipe
from yolograft.errors import SpecError

# A recipe nests to three levels: keys, those under augment, a pair of numbers.
MOST_NESTED, LONGEST_VALUE = 4, 200


@dataclass(frozen=True)
class RecipeFile:
    """A recipe file as read and found valid. values: what it sets; sha256: of its bytes."""

    name: str
    values: dict[str, Any]
    sha256: str

    def facts(self) -> dict[str, str]:
        """Name and hash, as a manifest holds them."""
        return {"name": self.name, "sha256": self.sha256}


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of the recipes that come with the package."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "recipes").glob("*.yaml"))}


def read_recipe_file(which: str) -> RecipeFile:
    """A shipped recipe by name, or a file of the user's own.

    Raises:
        SpecError: no such recipe (YG194), no readable YAML mapping (YG195), or an unknown key or an
            impossible value (YG192); with file and line.
    """
    shipped = shipped_recipes()
    path = shipped.get(which) or Path(which).expanduser()
    name = which if which in shipped else path.name
    if not path.is_file():
        near = get_close_matches(which, shipped, n=1)
        fix = (f"did you mean {near[0]}? " if near else "") + f"a YAML file, or one of {', '.join(shipped)}"
        raise SpecError("YG194", f"no recipe '{which}'", fix=fix)
    data = path.read_bytes()
    document = _load(data, name)
    values = {str(key): _plain(value) for key, value in document.items()}
    try:
        Recipe.model_validate(values)
    except ValidationError as error:
        raise recipe_error(error, where=f"{name}:{_line_of(document, _path(error))}") from error
    return RecipeFile(name, values, hashlib.sha256(data).hexdigest())


def _load(data: bytes, name: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import YAMLError

    try:
        text = data.decode("utf-8-sig")
        _refuse_overgrown(text, name)
        # The round-trip loader makes plain scalars and containers only, and keeps line numbers.
        document = YAML(typ="rt").load(text)
    except UnicodeDecodeError as error:
        line = 1 + data[: error.start].count(b"\n")
        raise SpecError("YG195", "not UTF-8", where=f"{name}:{line}", fix="save it as UTF-8") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SpecError("YG195", f"not YAML: {what}", where=f"{name}:{line}") from error
    except (ValueError, RecursionError) as error:
        raise SpecError("YG195", f"a value that cannot be read: {error}", where=name) from error
    if document is None:
        return CommentedMap()
    if not isinstance(document, CommentedMap):
        cause = f"a {type(document).__name__.removeprefix('Commented').lower()}, not keys with values"
        raise SpecError("YG195", cause, where=f"{name}:1", fix="write lines such as lr: 0.001")
    return document


def _refuse_overgrown(text: str, name: str) -> None:
    """Stop at what a recipe never holds.

    Raises:
        SpecError: an anchor or alias, deep nesting, or a value of great length (YG195).
    """
    found = overgrown(text, most_nested=MOST_NESTED, longest=LONGEST_VALUE)
    if found is not None:
        line, cause = found
        raise SpecError("YG195", cause, where=f"{name}:{line}", fix="write plain keys and values")


def _plain(value: Any) -> Any:
    """The loader's scalars and containers as plain Python ones."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _path(error: ValidationError) -> list[str]:
    """Where the first mistake is, as keys of a file: pydantic goes on below the value itself."""
    loc = error.errors()[0]["loc"]
    return [str(part) for part in loc[: 2 if loc[0] == "augment" else 1]]


def _line_of(document: Any, path: list[str]) -> int:
    line, place = 1, document
    for part in path:
        key = next((key for key in place if str(key) == part), None) if isinstance(place, Mapping) else None
        if key is None:
            break
        line, place = place.lc.key(key)[0] + 1, place[key]  # type: ignore[attr-defined]
    return line


def recipe_error(error: ValidationError, *, where: str = "") -> SpecError:
    """The first mistake of a recipe in one line (YG192), an unknown key with its nearest."""
    first = error.errors()[0]
    path = _path(error)
    if first["type"] != "extra_forbidden":
        got = first["input"]
        shown = f", got {got!r}" if isinstance(got, str | int | float) else ""
        fix = "height and width: [480, 640]" if path == ["imgsz"] and not isinstance(got, list) else ""
        message = first["msg"].removeprefix("Value error, ")
        return SpecError("YG192", f"recipe {'.'.join(path)}: {message}{shown}", where=where, fix=fix)
    known = AugmentConfig.model_fields if len(path) > 1 else Recipe.model_fields
    near = get_close_matches(path[-1], known, n=1)
    elsewhere = [key for key in AugmentConfig.model_fields if len(path) == 1 and key == path[-1]]
    if elsewhere:
        fix = f"it belongs under augment: augment.{path[-1]}"
    else:
        fix = (f"did you mean {near[0]}? " if near else "") + f"keys: {', '.join(known)}"
    return SpecError("YG192", f"no recipe key '{'.'.join(path)}'", where=where, fix=fix)
