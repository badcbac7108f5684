"""Tables as GitHub-flavoured Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from yolograft.study.paper.table import Cell, Head, PaperTable

MARK = "√"


def escaped(text: str) -> str:
    """`text` so that Markdown shows it as it is, in a table cell too."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", plain)


def document(tables: Sequence[PaperTable]) -> str:
    """The tables one under the other, each with its caption in bold and its note."""
    return "\n".join(_table(table) for table in tables)


def _table(table: PaperTable) -> str:
    ruler = ["---:" if head.numeric else ":---" for head in table.heads]
    lines = [_line([_head(head) for head in table.heads]), _line(ruler)]
    lines += [_line([_cell(cell) for cell in row]) for row in table.rows]
    return f"**{escaped(table.caption)}**\n\n" + "\n".join(lines) + f"\n\n{escaped(table.note)}\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(head: Head) -> str:
    return escaped(head.text) + (f"<sub>{escaped(head.below)}</sub>" if head.below else "")


def _cell(cell: Cell) -> str:
    if cell.mark:
        return MARK
    shown = escaped(cell.text)
    if not cell.best:
        return shown
    # The mean is bold, its standard deviation is not.
    value, plus, sd = shown.partition(" ± ")
    return f"**{value}**{plus}{sd}"
