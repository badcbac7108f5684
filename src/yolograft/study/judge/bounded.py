"""Files of strangers: JSON, CSV and YAML read within bounds, as plain values, nothing ever run.

What a training tool writes is small and flat; what is larger or deeper is refused before it is built.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolograft.data.text import read_json, read_text
from yolograft.engine.plain_yaml import overgrown
from yolograft.errors import DataError, StudyError

MIB = 1 << 20
MOST_JSON, MOST_TEXT, MOST_SETTINGS = 512 * MIB, 64 * MIB, MIB // 4
MOST_ROWS, MOST_COLUMNS = 100_000, 4_000
# A hyper-parameter file nests once.
MOST_NESTED, LONGEST_VALUE = 3, 2_000

Scalar = str | int | float | bool | None


def check_file(path: Path, *, most: int) -> None:
    """A regular file of at most ``most`` bytes.

    Raises:
        StudyError: it is missing, no file, or larger (YG660).
    """
    try:
        if not path.is_file():
            fix = "give a file that is there"
            raise StudyError("YG660", "no such file", where=str(path), fix=fix)
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise StudyError("YG660", f"cannot be read: {error}", where=str(path)) from None
    if size > most:
        cause = f"{size / MIB:,.0f} MiB, at most {most / MIB:g} are read"
        raise StudyError("YG660", cause, where=str(path), fix="is this the right file?")


def read_document(path: Path) -> Any:
    """The document in a JSON file of at most 512 MiB.

    Raises:
        StudyError: it is missing, too large, no text or no JSON (YG660).
    """
    check_file(path, most=MOST_JSON)
    try:
        return read_json(path)
    except DataError as error:
        raise StudyError("YG660", error.cause, where=error.where) from None


def read_log(path: Path) -> list[str]:
    """The lines of a text file of at most 64 MiB.

    Raises:
        StudyError: it is missing, too large or no text (YG660).
    """
    check_file(path, most=MOST_TEXT)
    try:
        return read_text(path).split("\n")
    except DataError as error:
        raise StudyError("YG660", error.cause, where=error.where) from None


def read_columns(path: Path) -> tuple[list[str], list[list[float]], bool]:
    """A CSV file of numbers: stripped heads, its whole rows, and whether the last row is cut off.

    A cell that is no number is nan. Rows with too few or too many cells are dropped.

    Raises:
        StudyError: it is missing, too large, no text, or has no head (YG660).
    """
    text = "\n".join(line.rstrip("\r") for line in read_log(path))
    try:
        rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise StudyError("YG660", f"no CSV: {error}", where=str(path)) from None
    if not rows or len(rows) > MOST_ROWS or len(rows[0]) > MOST_COLUMNS:
        cause = "an empty file" if not rows else f"{len(rows):,} rows of {len(rows[0]):,} columns"
        raise StudyError("YG660", f"no results of a training: {cause}", where=str(path))
    heads = [cell.strip() for cell in rows[0]]
    whole = [row for row in rows[1:] if len(row) == len(heads)]
    # A row is on the disk when its line end is: the writer was stopped in the middle of any other.
    cut = bool(rows[1:]) and (len(rows[-1]) != len(heads) or not text.endswith("\n"))
    if cut and whole and whole[-1] is rows[-1]:
        whole.pop()
    return heads, [[number(cell) for cell in row] for row in whole], cut


def number(cell: object) -> float:
    """The number in a cell, nan where there is none."""
    try:
        return float(cell)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def read_settings(path: Path) -> dict[str, Scalar]:
    """The settings in a YAML mapping, those of an inner mapping as ``inner.key``, lists as text.

    Raises:
        StudyError: it is missing, over 256 KiB, no such YAML, or holds anchors, tags or deep nesting (YG660).
    """
    check_file(path, most=MOST_SETTINGS)
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = read_text(path)
        _refuse_overgrown(text, path)
        document = YAML(typ="safe", pure=True).load(text)
    except DataError as error:
        raise StudyError("YG660", error.cause, where=error.where) from None
    except (YAMLError, ValueError, RecursionError, OverflowError, TypeError) as error:
        first = str(error).partition("\n")[0]
        raise StudyError("YG660", f"no YAML that a training writes: {first}", where=str(path)) from None
    if not isinstance(document, dict):
        raise StudyError("YG660", "no settings: keys with values belong there", where=str(path))
    settings: dict[str, Scalar] = {}
    for key, value in document.items():
        inner = value.items() if isinstance(value, dict) else None
        if inner is None:
            settings[str(key)] = _scalar(value)
        else:
            settings |= {f"{key}.{name}": _scalar(item) for name, item in inner}
    return settings


def _scalar(value: Any) -> Scalar:
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _refuse_overgrown(text: str, path: Path) -> None:
    """Stop at what settings never hold and a reader could choke on."""
    found = overgrown(text, most_nested=MOST_NESTED, longest=LONGEST_VALUE)
    if found is not None:
        line, cause = found
        raise StudyError("YG660", cause, where=f"{path}:{line}")


def column(heads: Sequence[str], names: Sequence[str]) -> int | None:
    """Index of the first of several names among the heads of a table."""
    return next((heads.index(name) for name in names if name in heads), None)
