"""What no tensor shows: how the rows of a foreign model are wired, and what in them holds no weight.

A file of YOLOv5 or YOLOv8 usually carries the index file its model was built from. Its tensors may all fit
while a Concat reads a stale row, a row without weights (SimAM) stands in between, or another activation is
used: the numbers would be right and the network another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolograft.graph.spec import IMAGE, ModelSpec

_CONCAT, _UPSAMPLE, _NOTHING = "Concat", "Upsample", "Identity"
# Whether bottlenecks of the published blocks have a residual where the row does not say.
_SHORTCUT = {"C2f": False, "C3": True}
_SILU = ("SiLU()", "SiLU(inplace=True)")


@dataclass(frozen=True, slots=True)
class _Row:
    sources: tuple[int, ...]  # absolute row numbers, -1 for the image
    module: str
    args: tuple[Any, ...]


def differences(yaml: Any, homes: Mapping[int, str], spec: ModelSpec) -> list[str]:
    """What the index file in a checkpoint says that `spec` does not, in short sentences.

    Args:
        yaml: the index file as plain data; anything else says nothing.
        homes: row number -> name of the layer of ours that it is.
    """
    if not isinstance(yaml, Mapping):
        return []
    rows = _rows(yaml)
    if not homes or max(homes) >= len(rows):
        return []
    said = _activation(yaml.get("activation"))
    said += [
        f"row {i} ({row.module}) is none of {spec.name}"
        for i, row in enumerate(rows)
        if i not in homes and row.module.rpartition(".")[2] not in (_CONCAT, _UPSAMPLE, _NOTHING)
    ]
    for i, name in sorted(homes.items()):
        theirs = tuple(dict.fromkeys(s for source in rows[i].sources for s in _behind(rows, source, homes)))
        ours = tuple(dict.fromkeys(s for source in spec.layer(name).inputs for s in _read(spec, source)))
        if theirs != ours:
            said.append(f"row {i} ({name}) reads {' + '.join(theirs)}, here it reads {' + '.join(ours)}")
        said += _residual(i, rows[i], spec, name)
    return said


def _rows(yaml: Mapping[str, Any]) -> list[_Row]:
    """The rows of backbone and head; none where one is not of the dialect."""
    rows: list[_Row] = []
    written = [yaml.get("backbone"), yaml.get("head")]
    for raw in [row for part in written if isinstance(part, list) for row in part]:
        if not (isinstance(raw, Sequence) and len(raw) >= 3):
            return []
        sources = raw[0] if isinstance(raw[0], Sequence) else [raw[0]]
        if not all(isinstance(s, int) and -len(rows) - 1 <= s < len(rows) for s in sources):
            return []
        absolute = tuple(len(rows) + s if s < 0 else s for s in sources)
        args = raw[3] if len(raw) > 3 and isinstance(raw[3], Sequence) else ()
        rows.append(_Row(absolute, str(raw[2]), tuple(args)))
    return rows


def _behind(rows: Sequence[_Row], index: int, homes: Mapping[int, str]) -> list[str]:
    """The layers of ours whose maps a row hands on: itself, or those it joins, resizes or was put behind."""
    if index < 0:
        return [IMAGE]
    if index in homes:
        return [homes[index]]
    row = rows[index]
    sources = row.sources if row.module.rpartition(".")[2] == _CONCAT else row.sources[:1]
    return [name for source in sources for name in _behind(rows, source, homes)]


def _read(spec: ModelSpec, name: str) -> list[str]:
    """The same for a layer of ours."""
    if name == IMAGE:
        return [IMAGE]
    layer = spec.layer(name)
    if layer.module not in ("concat", "upsample"):
        return [name]
    return [found for source in layer.inputs for found in _read(spec, source)]


def _residual(index: int, row: _Row, spec: ModelSpec, name: str) -> list[str]:
    kind = row.module.rpartition(".")[2]
    if kind not in _SHORTCUT:
        return []
    theirs = row.args[1] if len(row.args) > 1 else _SHORTCUT[kind]
    ours = dict(spec.layer(name).args).get("shortcut", False)
    if not isinstance(theirs, bool) or theirs == ours:
        return []
    return [f"row {index} ({name}) has shortcut {theirs}, here it is {ours}"]


def _activation(value: Any) -> list[str]:
    if value is None or str(value).rpartition("nn.")[2] in _SILU:
        return []
    return [f"its activation is {value}, here it is SiLU"]
