"""YAML of strangers as plain values with line numbers: nothing is constructed, evaluated or looked up.

The parser's events are read one by one, so that a file made to choke a reader (aliases that multiply, deep
nesting, endless values) is stopped before anything is built from it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from yolograft.errors import SpecError

MOST_BYTES, MOST_EVENTS, MOST_NESTED, LONGEST_VALUE = 2**20, 20_000, 8, 400
_WHOLE = re.compile(r"[-+]?\d{1,18}")
_DECIMAL = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d{1,3})?")
# What these files mean by the words, with or without the capital; `None` is Python's, which they use too.
_WORDS = {
    **{"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False},
    **{"": None, "~": None, "null": None, "Null": None, "NULL": None, "None": None},
}


@dataclass(frozen=True, slots=True)
class Node:
    """A value where it stands. value: a scalar, a list of nodes or a dict of nodes. line: from 1."""

    value: Any
    line: int

    def plain(self) -> Any:
        """The value without its lines."""
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return self.value


def read_nodes(path: Path) -> Node:
    """The one YAML document of a file.

    Raises:
        SpecError: the file is missing, too large, not UTF-8, not YAML, or uses what no model file needs, with
            file and line (YG140).
    """
    return parse_nodes(read_text(path), name=path.name)


def read_text(path: Path) -> str:
    """The text of a model file, which may be a pipe: it is read once.

    Raises:
        SpecError: the file is missing, too large or not UTF-8 (YG140).
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SpecError("YG140", f"cannot read it: {error.strerror}", where=str(path)) from None
    if len(data) > MOST_BYTES:
        raise SpecError("YG140", f"more than {MOST_BYTES // 2**20} MB: no model file", where=path.name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data[: error.start].count(b"\n")
        raise _wrong("not UTF-8", path.name, line, fix="save the file as UTF-8") from None


def parse_nodes(text: str, *, name: str) -> Node:
    """The one YAML document of a text.

    Raises:
        SpecError: as `read_nodes`.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        return _Builder(name).build(YAML(typ="safe", pure=True).parse(text))
    except ReaderError as error:
        line = 1 + text.count("\n", 0, int(error.position))
        shown = ascii(str(error.character))
        raise _wrong(f"a character that YAML forbids: {shown}", name, line) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        fix = "indent with spaces, not tabs" if "\\t" in str(error.problem) else ""
        raise _wrong(f"not YAML: {error.problem or error.context}", name, line, fix=fix) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise _wrong(f"not YAML: {str(error).splitlines()[0]}", name, 1) from None


def _wrong(cause: str, name: str, line: int, *, fix: str = "") -> SpecError:
    return SpecError("YG140", cause, where=f"{name}:{line}", fix=fix)


class _Builder:
    """From events to nodes, with a stack of open collections instead of recursion."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.roots: list[Node] = []
        self.open: list[tuple[Node, list[Node]]] = []  # a mapping holds keys and values in turn

    def build(self, events: Any) -> Node:
        for count, event in enumerate(events):
            kind, line = type(event).__name__, event.start_mark.line + 1
            if count > MOST_EVENTS:
                self._refuse(f"more than {MOST_EVENTS} values", line)
            if kind == "AliasEvent" or getattr(event, "anchor", None):
                self._refuse(f"an anchor or alias: {event.anchor}", line)
            if getattr(event, "tag", None):
                self._refuse(f"a tag: {event.tag}", line)
            self._take(kind, event, line)
        if len(self.roots) != 1:
            found = f"{len(self.roots)} documents" if self.roots else "nothing"
            self._refuse(f"{found} in it where one model is meant", 1)
        return self.roots[0]

    def _take(self, kind: str, event: Any, line: int) -> None:
        if kind == "ScalarEvent":
            if len(event.value) > LONGEST_VALUE:
                self._refuse(f"a value of {len(event.value)} characters", line)
            value = _scalar(event.value) if event.style in (None, "") else event.value
            if isinstance(value, float) and not math.isfinite(value):
                self._refuse(f"a number without end: {event.value[:40]}", line)
            self._add(Node(value, line))
        elif kind in ("SequenceStartEvent", "MappingStartEvent"):
            if len(self.open) >= MOST_NESTED:
                self._refuse(f"more than {MOST_NESTED} levels of nesting", line)
            self.open.append((Node([] if kind.startswith("Sequence") else {}, line), []))
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            node, items = self.open.pop()
            self._add(Node(items if isinstance(node.value, list) else self._mapping(items), node.line))

    def _add(self, node: Node) -> None:
        (self.open[-1][1] if self.open else self.roots).append(node)

    def _mapping(self, items: list[Node]) -> dict[str, Node]:
        out: dict[str, Node] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key.value, list | dict):
                self._refuse("a key that is a list", key.line)
            name = str(key.value)
            if name in out:
                self._refuse(f"the key '{name}' stands twice", key.line)
            out[name] = Node(value.value, key.line)
        return out

    def _refuse(self, cause: str, line: int) -> NoReturn:
        raise _wrong(cause, self.name, line, fix="write plain keys and values, each once")


def _scalar(text: str) -> Any:
    """A word without quotes by its form alone: number, True, None, else the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
