"""Values out of a `results.json` that is not trusted: finite and of the asked form, or absent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def number(value: object) -> float | None:
    """`value` as a finite float, else None; booleans and text are no numbers."""
    if isinstance(value, bool | str | bytes) or value is None:
        return None
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def whole(value: object) -> int | None:
    """`value` as an integer, else None."""
    result = number(value)
    return None if result is None else round(result)


def table(value: object) -> Mapping[str, Any]:
    """`value` when it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def rows(value: object) -> list[Any]:
    """`value` when it is a list or tuple, else an empty list."""
    return list(value) if isinstance(value, list | tuple) else []


def words_of(value: object) -> str:
    """`value` as one line of text; None and floats that are not finite are empty.

    What cannot be written as UTF-8, such as a name of undecodable bytes, is escaped.
    """
    unknown = value is None or (isinstance(value, float) and not math.isfinite(value))
    return "" if unknown else " ".join(writable(str(value)).split())


def writable(text: str) -> str:
    """`text` with lone surrogates, which no file can hold, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
