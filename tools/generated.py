"""Files a tool writes from a source: compare them with it, write them, and the command line for both."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def differing(root: Path, wanted: Mapping[Path, str]) -> list[str]:
    """The files below ``root`` that are missing or differ from their ``wanted`` text, in its order."""
    return [
        file.as_posix()
        for file, text in wanted.items()
        if not (root / file).is_file() or (root / file).read_text(encoding="utf-8") != text
    ]


def write(root: Path, wanted: Mapping[Path, str]) -> None:
    """Writes every file below ``root``."""
    for file, text in wanted.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text, encoding="utf-8", newline="\n")


def command_line(
    what: str, wanted: Callable[[], Mapping[Path, str]], *, out_of_date: Callable[[Path], Sequence[str]]
) -> int:
    """Writes the files, or with ``--check`` says which are out of date; 1 when there are any.

    Args:
        what: the files in words, such as ``module pages``.
    """
    parser = argparse.ArgumentParser(description=f"Write or check the {what}.")
    parser.add_argument("--check", action="store_true", help="write nothing, name what is out of date")
    if parser.parse_args().check:
        stale = out_of_date(ROOT)
        lines = [f"out of date: {file}" for file in stale] or [f"the {what} are up to date"]
        sys.stdout.write("\n".join(lines) + "\n")
        return 1 if stale else 0
    files = wanted()
    write(ROOT, files)
    sys.stdout.write(f"{len(files)} files written\n")
    return 0
