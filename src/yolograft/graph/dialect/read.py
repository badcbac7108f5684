"""Reads a model file of the index dialect: YAML text -> `IndexFile`.

Rows, multiples, anchors and classes are taken as data; no text in the file is evaluated and no name in it is
looked up. What the rows mean is the business of `indexspec`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from yolograft.errors import SpecError
from yolograft.graph.dialect.indexfile import IMAGE_INDEX, IndexFile, Row, Scale
from yolograft.graph.dialect.nodes import Node, parse_nodes, read_nodes

CLASSES = 80  # where a file does not say
MOST_ROWS, MOST_REPEATS, MOST_CLASSES, MOST_MULTIPLE = 500, 200, 100_000, 16
ROW_FORM = "[from, number, module, [arguments]]"
_KEYS = (
    *("nc", "scales", "scale", "depth_multiple", "width_multiple", "max_channels", "anchors", "backbone"),
    *("head", "ch", "names", "task", "yaml_file"),
)
HEADS = ("Detect",)


def read_index_file(path: str | Path) -> IndexFile:
    """Read a model file in the dialect of YOLOv5 or YOLOv8.

    Raises:
        SpecError: no readable YAML (YG140), wrong keys or values (YG141), a row of another form (YG142), an
            index that names no earlier row (YG143); each with file and line.
    """
    path = Path(path).expanduser()
    return _Reader(path.name).read(read_nodes(path))


def parse_index_file(text: str, *, name: str = "text") -> IndexFile:
    """The same from a text.

    Raises:
        SpecError: as `read_index_file`.
    """
    return _Reader(name).read(parse_nodes(text, name=name))


@dataclass(frozen=True, slots=True)
class _Reader:
    """The nodes of one file, and its name for messages."""

    name: str

    def read(self, root: Node) -> IndexFile:
        top = root.value
        if not isinstance(top, dict):
            self._refuse("YG141", "no model: keys such as nc, backbone and head are missing", root)
        self._check_keys(top)
        rows = self._rows(top, root)
        anchors = self._anchors(top)
        detect = next((row for row in reversed(rows) if row.module in HEADS), None)
        with_anchors = "anchors" in top and top["anchors"].value is not None
        if detect is not None and len(detect.args) > 1:
            with_anchors = True
        return IndexFile(
            name=self.name,
            family="yolov5" if with_anchors else "yolov8",
            num_classes=self._classes(top),
            scales=self._scales(top),
            rows=rows,
            anchors=anchors,
            anchors_each=self._anchors_each(top),
        )

    def _refuse(self, code: str, cause: str, node: Node, *, fix: str = "") -> NoReturn:
        raise SpecError(code, cause, where=f"{self.name}:{node.line}", fix=fix)

    def _check_keys(self, top: Mapping[str, Node]) -> None:
        for key, node in top.items():
            if key not in _KEYS:
                near = difflib.get_close_matches(key, _KEYS, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                self._refuse("YG141", f"no key '{key}'", node, fix=f"{hint}keys: {', '.join(_KEYS[:9])}")
        if "ch" in top and top["ch"].value != 3:
            self._refuse("YG141", f"ch: {_short(top['ch'])}: images have 3 channels here", top["ch"])

    def _classes(self, top: Mapping[str, Node]) -> int:
        if "nc" not in top:
            return CLASSES
        value = top["nc"].value
        if not _is_whole(value) or not 1 <= value <= MOST_CLASSES:
            self._refuse("YG141", f"nc: {_short(top['nc'])} is no number of classes", top["nc"])
        return value

    def _scales(self, top: Mapping[str, Node]) -> dict[str, Scale]:
        if "scales" not in top:
            depth = self._multiple(top, "depth_multiple")
            width = self._multiple(top, "width_multiple")
            cap = self._multiple(top, "max_channels", most=1 << 16) if "max_channels" in top else math.inf
            name = top["scale"].value if "scale" in top else ""
            if not isinstance(name, str) or len(name) > 8:
                self._refuse("YG141", f"scale: {_short(top['scale'])} is no name of a scale", top["scale"])
            return {name: Scale(depth, width, cap)}
        node = top["scales"]
        if not isinstance(node.value, dict) or not node.value:
            self._refuse("YG141", "scales: not one scale", node, fix="n: [0.33, 0.25, 1024]")
        return {name: self._scale(name, item) for name, item in node.value.items()}

    def _scale(self, name: str, node: Node) -> Scale:
        numbers = node.plain()
        fits = isinstance(numbers, list) and len(numbers) in (2, 3) and all(_is_positive(n) for n in numbers)
        if not fits or max(numbers[:2]) > MOST_MULTIPLE:
            cause = f"scale {name}: {_short(node)} is not [depth, width, max_channels]"
            self._refuse("YG141", cause, node, fix=f"{name}: [0.33, 0.25, 1024]")
        return Scale(*(float(number) for number in numbers))

    def _multiple(self, top: Mapping[str, Node], key: str, *, most: float = MOST_MULTIPLE) -> float:
        if key not in top:
            return 1.0
        value = top[key].value
        if not _is_positive(value) or value > most:
            self._refuse("YG141", f"{key}: {_short(top[key])} is no multiple", top[key], fix=f"{key}: 0.5")
        return float(value)

    def _anchors(self, top: Mapping[str, Node]) -> tuple[tuple[float, ...], ...]:
        """Pairs per level; empty for an anchor-free head and for a bare number of anchors."""
        if "anchors" not in top or top["anchors"].value is None:
            return ()
        node = top["anchors"]
        if _is_whole(node.value) and 1 <= node.value <= 64:
            return ()
        levels = node.plain()
        if not isinstance(levels, list) or not levels or not all(_is_pairs(level) for level in levels):
            fix = "- [10,13, 16,30, 33,23], one such row a level"
            self._refuse("YG141", f"anchors: {_short(node)} is no width, height pairs a level", node, fix=fix)
        if len({len(level) for level in levels}) > 1:
            self._refuse("YG141", "anchors: as many pairs on every level are needed", node)
        return tuple(tuple(float(side) for side in level) for level in levels)

    def _anchors_each(self, top: Mapping[str, Node]) -> int:
        value = top["anchors"].value if "anchors" in top else None
        return value if type(value) is int else 0

    def _rows(self, top: Mapping[str, Node], root: Node) -> tuple[Row, ...]:
        rows: list[Row] = []
        for part in ("backbone", "head"):
            if part not in top:
                self._refuse("YG141", f"no {part}", root, fix=f"{part}: a list of rows {ROW_FORM}")
            items = top[part].value
            if not isinstance(items, list) or not items:
                self._refuse("YG141", f"{part}: no list of rows", top[part], fix=f"rows {ROW_FORM}")
            if len(rows) + len(items) > MOST_ROWS:
                self._refuse("YG141", f"{part}: more than {MOST_ROWS} rows", top[part])
            for node in items:
                rows.append(self._row(len(rows), node))
        if sum(row.repeats for row in rows) > 4 * MOST_ROWS:
            self._refuse("YG141", f"the numbers of all rows sum to more than {4 * MOST_ROWS}", root)
        return tuple(rows)

    def _row(self, index: int, node: Node) -> Row:
        if not isinstance(node.value, list) or len(node.value) != 4:
            self._refuse("YG142", f"row {index}: {_short(node)} is no row", node, fix=f"rows are {ROW_FORM}")
        source, number, module, args = (item.plain() for item in node.value)
        line = node.value[2].line
        sources = tuple(source) if isinstance(source, list) else (source,)
        if not sources or not all(_is_whole(item) for item in sources):
            cause = f"row {index}: from is {source!r}"
            self._refuse("YG142", cause, node, fix="-1 for the row before, or rows: [-1, 6]")
        if not _is_whole(number) or not 1 <= number <= MOST_REPEATS:
            cause = f"row {index}: number is {number!r}"
            self._refuse("YG142", cause, node, fix=f"a whole number from 1 to {MOST_REPEATS}")
        if not isinstance(module, str):
            self._refuse("YG142", f"row {index}: module is {module!r}, not a name", node)
        if not module.isprintable() or not module.strip():
            cause = f"row {index}: module is {module[:40]!a}, which nobody can read"
            self._refuse("YG142", cause, node, fix="write the name of a class")
        if not isinstance(args, list):
            cause = f"row {index}: arguments are {args!r}, not a list"
            self._refuse("YG142", cause, node, fix=f"rows are {ROW_FORM}")
        if any(isinstance(item, dict) for item in args[:-1]) or not all(_is_argument(item) for item in args):
            self._refuse("YG142", f"row {index}: arguments are numbers, text and lists of these", node)
        inputs = tuple(self._absolute(index, item, node) for item in sources)
        return Row(index, sources, inputs, number, module, tuple(args), line)

    def _absolute(self, index: int, source: int, node: Node) -> int:
        """A row number from what stands in ``from``: below 0 it counts back from the row itself."""
        if index == 0:
            if source != -1:
                self._refuse("YG143", f"row 0 reads {source}", node, fix="row 0 reads the image: -1")
            return IMAGE_INDEX
        found = index + source if source < 0 else source
        if not 0 <= found < index:
            what = "itself" if found == index else "a later row" if found > index else "before row 0"
            earlier = f"rows 0 to {index - 1} stand before it" if index > 1 else "only row 0 stands before it"
            self._refuse("YG143", f"row {index} reads {source}: {what}", node, fix=earlier)
        return found


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value > 0


def _is_pairs(level: Any) -> bool:
    fits = isinstance(level, list) and len(level) > 0 and len(level) % 2 == 0 and len(level) <= 64
    return fits and all(_is_positive(side) and side < 1e6 for side in level)


def _is_argument(value: Any, *, depth: int = 0) -> bool:
    if isinstance(value, dict):
        return depth == 0 and all(_is_argument(item, depth=1) for item in value.values())
    if isinstance(value, list):
        return depth < 2 and len(value) <= 64 and all(_is_argument(item, depth=depth + 1) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def _short(node: Node) -> str:
    text = " ".join(str(node.plain()).split())
    return text if len(text) <= 60 else text[:57] + "..."
