"""Reading the text files of a dataset: labels, lists, class names."""

from __future__ import annotations

from pathlib import Path

from yolograft.errors import DataError


def read_text(path: Path) -> str:
    """The text of a file, UTF-8 with or without a byte order mark; any line ending.

    Raises:
        DataError: YG307 when the bytes are not UTF-8, YG305 when the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(
            "YG307", "not UTF-8 text", where=f"{path}:{line}", fix="save the file as UTF-8"
        ) from None
    except OSError as error:
        raise DataError("YG305", f"cannot read the file: {error.strerror}", where=str(path)) from None


def read_lines(path: Path) -> list[tuple[int, str]]:
    """(1-based line number, stripped text) of every line that is not blank."""
    lines = ((number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), start=1))
    return [(number, line) for number, line in lines if line]
