"""What verbs print: plain lines, tables and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

LEAST_WIDTH, FILE_WIDTH = 132, 1000


def say(text: str) -> None:
    """One line for people, no markup read."""
    Console(soft_wrap=True, highlight=False, emoji=False).print(printable(text), markup=False)


def printable(text: str) -> str:
    """The text as a terminal may have it: nothing in it moves the cursor, colours or hides.

    Bytes that are no UTF-8, as in a file name of another system, are spelled out.
    """
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)


def print_json(data: Any) -> None:
    """One JSON document and nothing else."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(data, ensure_ascii=not utf8, indent=1, allow_nan=False)
    # Escaped as JSON has it, so that the reader gets the very letters.
    plain = (
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1] for letter in text
    )
    sys.stdout.write("".join(plain) + "\n")


def plain_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; numbers are right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, head in enumerate(heads):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(Text(printable(head)), justify="right" if numeric else "left", no_wrap=index == 0)
    for row in rows:
        # Not markup: square brackets in a stranger's text are square brackets.
        table.add_row(*(Text(_cell(value)) for value in row))
    console = Console(highlight=False, emoji=False)
    # A number is never shortened: a narrow terminal folds the line, a file or a pipe has no width at all.
    console.width = max(console.width, LEAST_WIDTH) if console.is_terminal else FILE_WIDTH
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else printable(str(value))
