"""Class names as tables, figures and files need them: one line each, none empty, none twice."""

from __future__ import annotations

from collections.abc import Sequence

from yolograft.data.findings import finding
from yolograft.data.records import Finding


def tidy_names(names: Sequence[str], *, file: str, found: list[Finding]) -> tuple[str, ...]:
    """The names in their order, stripped; an empty one becomes `class 3`, a repeated one `cat (2)`.

    Numbers are what the labels refer to, so no class is ever merged with another or moved.
    """
    tidy: list[str] = []
    for number, name in enumerate(names):
        better = " ".join(name.split()) or f"class {number}"
        wanted, copy = better, 1
        while better in tidy:
            copy += 1
            better = f"{wanted} ({copy})"
        if better != name:
            found.append(finding("YG347", file, 0, f"class {number} is '{name}'; called '{better}' here"))
        tidy.append(better)
    return tuple(tidy)
