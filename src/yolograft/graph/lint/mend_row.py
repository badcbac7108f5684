"""Arguments that a row of the user's own should have had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolograft.errors import SpecError
from yolograft.graph.dialect.indexfile import Row, Scale
from yolograft.graph.dialect.rowargs import Arguments, Width, read_arguments, write_arguments
from yolograft.graph.dialect.words import Word, Words
from yolograft.graph.spec import Value

NOWHERE = Width(None, None)


@dataclass(frozen=True, slots=True)
class RowReading:
    """One row as its module takes it. arguments: None where no order fits. width: of the map it reads."""

    row: Row
    word: Word | None
    arguments: Arguments | None
    width: Width


def corrected(
    reading: RowReading, word: Word, words: Words, *, changes: Mapping[str, Value] | None = None
) -> tuple[str, tuple[Any, ...]] | None:
    """Module name and arguments that say the same without a doubt, and leave channel counts to the map.

    What the row does not say is what stands in for it. Where no order of the word's own can say it, another
    name of the same module does.

    Args:
        changes: options to exchange.

    Returns:
        None where the row cannot be corrected without knowing what was meant.
    """
    found = dict(reading.arguments.options) if reading.arguments is not None else {}
    options = found | dict(changes or {})
    if _reads_back([], word, options):
        return reading.row.module, ()
    complete = options | _shares(word, options)
    others = [other for other in dict.fromkeys(words.values()) if other.module == word.module]
    for candidate in (word, *others):
        for given in (complete, options):
            given = {key: value for key, value in given.items() if value != candidate.defaults().get(key)}
            args = write_arguments(candidate, given, NOWHERE)
            if args is None and given and _reads_back([_plain(given)], candidate, given):
                args = [_plain(given)]
            if args is not None:
                return (reading.row.module if candidate is word else candidate.names[0]), tuple(args)
    return None


def _plain(options: Mapping[str, Value]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}


def _reads_back(args: Sequence[Any], word: Word, options: Mapping[str, Value]) -> bool:
    row = Row(0, (-1,), (-1,), 1, word.names[0], tuple(args), 1)
    try:
        back = read_arguments(row, word, width=NOWHERE, scale=Scale(1.0, 1.0), file="")
    except SpecError:
        return False
    return not back.notes and dict(back.options) == dict(options)


def _shares(word: Word, options: Mapping[str, Value]) -> dict[str, Value]:
    """Heads shared out equally among local branches and the global one, where nothing says how."""
    known = word.defaults() | dict(options)
    titles = {slot.option for form in word.forms for slot in form.slots}
    heads, kernels = known.get("heads"), known.get("kernels")
    if "group_split" not in titles or "group_split" in options or type(heads) is not int:
        return {}
    branches = (len(kernels) if isinstance(kernels, tuple) else 1) + 1
    share = heads // branches
    split = (heads - share * (branches - 1), *[share] * (branches - 1))
    return {"group_split": split, "kernels": kernels if isinstance(kernels, tuple) else (int(kernels or 5),)}


def row_example(name: str, args: Sequence[Any]) -> str:
    """``NAMAttention, []``."""
    return f"{name}, {shown(args)}"


def shown(args: Sequence[object]) -> str:
    """Arguments as the file writes them, shortened."""
    text = str([list(a) if isinstance(a, tuple) else a for a in args]).replace("'", "")
    return text if len(text) <= 40 else text[:37] + "..."
