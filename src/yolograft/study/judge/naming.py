"""The words of the command line that name files: patterns, and groups written NAME=FILE,FILE."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from yolograft.errors import StudyError

_NUMBERED = re.compile(r"(\d+)")
_PATTERN, _OF_PATHS = re.compile(r"[*?]"), re.compile(r"[*?/\\]")
_MOST_FILES = 10_000


def files_of(words: Iterable[str]) -> list[Path]:
    """The files or folders that words name; a pattern with ``*`` or ``?`` stands for all that fit it.

    Raises:
        StudyError: a pattern that fits nothing, or thousands of files (YG665).
    """
    found: list[Path] = []
    for word in words:
        matches = _fitting(word)
        if not matches and not _PATTERN.search(word):
            # What is not there is named by who opens it.
            matches = [Path(word).expanduser()]
        if not matches or len(matches) > _MOST_FILES:
            raise StudyError(
                "YG665", f"'{word}' fits {len(matches):,} files", fix="name the files or folders"
            )
        found += matches
    return found


def groups_of(words: Sequence[str], name: str) -> dict[str, list[Path]]:
    """``NAME=FILE,FILE`` and plain files as groups; plain files go to the name before them, or to ``name``.

    A name is plain: no path, no pattern. A word that fits files as it stands names them, ``=`` or not.

    Raises:
        StudyError: a name twice, or without files (YG665).
    """
    groups: dict[str, list[str]] = {}
    current = name
    for word in words:
        head, sign, rest = word.partition("=")
        if sign and not _OF_PATHS.search(head) and not _fitting(word):
            current = head.strip()
            if not current or current in groups or not rest.strip(", "):
                fix = "write --new NAME=FILE,FILE"
                raise StudyError("YG665", f"--new {word}: a name once, with files", fix=fix)
            groups[current] = [file for file in rest.split(",") if file.strip()]
        else:
            groups.setdefault(current, []).append(word)
    return {label: files_of(files) for label, files in groups.items()}


def _fitting(word: str) -> list[Path]:
    """The files that a word fits, as a path or as a pattern, in natural order: train2 before train10."""
    path = Path(word).expanduser()
    try:
        if path.exists():
            return [path]
    except (OSError, ValueError):
        # No path at all: NAME= and a dozen files are longer than a file name may be.
        return []
    if not _PATTERN.search(word):
        return []
    anchor = Path(path.anchor or ".")
    pattern = str(path.relative_to(path.anchor)) if path.anchor else str(path)
    try:
        found = list(anchor.glob(pattern))
    except (OSError, ValueError, NotImplementedError):
        # No pattern that can fit anything, such as "a**".
        return []
    return sorted(found, key=lambda p: [_in_order(s) for s in _NUMBERED.split(str(p))])


def read_looks(text: str | None) -> tuple[int, ...]:
    """``5`` or ``3,5,10`` as planned looks.

    Raises:
        StudyError: no such numbers (YG665).
    """
    if text is None:
        return ()
    parts = text.split(",")
    if not all(part.strip().isdecimal() and len(part) < 6 for part in parts):
        raise StudyError("YG665", f"--looks {text}", fix="one number of seeds, or 3,5,10")
    return tuple(int(part) for part in parts)


def _in_order(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdecimal() and len(part) < 19 else (1, 0, part)
