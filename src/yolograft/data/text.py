"""Reading the text files of a dataset: labels, lists, class names, whatever encoding they are in."""

from __future__ import annotations

import codecs
import json
import re
import reprlib
from pathlib import Path
from typing import Any

from yolograft.data.findings import finding
from yolograft.data.records import Finding
from yolograft.errors import DataError

WIDE_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# GB18030 contains GBK and GB2312, so one decoder serves all three names.
_CHINESE = frozenset({"gbk", "gb2312", "gb18030", "cp936", "hz", "936"})
# Only these end a line: names of files and classes may hold the other marks that `str.splitlines` knows.
_LINE_END = re.compile(r"\r\n|\n|\r")
_XML_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


def read_text(path: Path, *, file: str = "", found: list[Finding] | None = None) -> str:
    """The text of a file, with or without a byte order mark; any line ending.

    UTF-8 is tried first, then GB18030, the encoding of Chinese Windows; a file that needed it leaves a
    finding (YG328). Nothing else is guessed: a wrong guess would change class names in silence.

    Args:
        file: the file as findings name it; the path when empty.
        found: where findings are added.

    Raises:
        DataError: YG307 when the bytes are neither, YG305 when the file cannot be read.
    """
    return _decoded(_bytes(path), path, file=file, found=found)


def read_xml(path: Path, *, file: str = "", found: list[Finding] | None = None) -> str:
    """The text of an XML file in the encoding it declares; without a declaration as `read_text`.

    Raises:
        DataError: YG307 when the bytes are not in that encoding, YG305 when the file cannot be read.
    """
    data = _bytes(path)
    match = _XML_ENCODING.match(data.removeprefix(codecs.BOM_UTF8))
    name = match.group(1).decode("ascii").lower() if match else "utf-8"
    if name not in {"utf-8", "utf8"} and data[:2] not in WIDE_MARKS:
        try:
            return data.decode("gb18030" if name in _CHINESE else name)
        except (LookupError, UnicodeDecodeError):
            pass
    return _decoded(data, path, file=file, found=found)


def read_lines(path: Path, *, file: str = "", found: list[Finding] | None = None) -> list[tuple[int, str]]:
    """(1-based line number, stripped text) of every line that is not blank."""
    text = read_text(path, file=file, found=found)
    lines = ((number, line.strip()) for number, line in enumerate(_LINE_END.split(text), start=1))
    return [(number, line) for number, line in lines if line]


def read_json(path: Path, *, file: str = "", found: list[Finding] | None = None) -> Any:
    """The document in a JSON file, its text as `read_text` reads it.

    Raises:
        DataError: YG308 when it is not JSON, holds a number of thousands of digits or is nested without
            end, YG307 and YG305 as `read_text`.
    """
    text = read_text(path, file=file, found=found)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError("YG308", f"not JSON: {error.msg}", where=f"{path}:{error.lineno}") from None
    except (ValueError, RecursionError):
        cause = "JSON that no dataset needs: nested too deep, or a number without end"
        raise DataError("YG308", cause, where=str(path)) from None


def read_head(path: Path, size: int = -1) -> bytes:
    """The first `size` bytes of a file, all of them by default; UTF-16 with its mark becomes UTF-8.

    For looking whether a file is of some format, whatever encoding it is in.

    Raises:
        DataError: YG305 when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(size)
    except OSError as error:
        raise _unreadable(path, error) from None
    return head.decode("utf-16", "replace").encode() if head[:2] in WIDE_MARKS else head


def in_short(value: object) -> str:
    """A value that should be a number or a text and may be anything, in a hundred characters or so."""
    writer = reprlib.Repr()
    writer.maxlevel = 1
    return writer.repr(value)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError("YG305", f"cannot read the file: {error.strerror}", where=str(path))


def _decoded(data: bytes, path: Path, *, file: str, found: list[Finding] | None) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        first = error.start
    encoding = WIDE_MARKS.get(data[:2], "gb18030")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        line = data[:first].count(b"\n") + 1
        fix, where = "save the file as UTF-8", f"{path}:{line}"
        raise DataError("YG307", "neither UTF-8 nor GB18030 text", where=where, fix=fix) from None
    if found is not None:
        line = 0 if encoding == "utf-16" else data[:first].count(b"\n") + 1
        message = f"not UTF-8; read as {encoding.upper()}, check the names in it"
        found.append(finding("YG328", file or str(path), line, message))
    return text
