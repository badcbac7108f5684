"""What no tensor shows: how the rows of a foreign model are wired, and what in them holds no weight.

A file of YOLOv5 or YOLOv8 usually carries the index file its model was built from. Its tensors may all fit
while a Concat reads a stale row, a row without weights (SimAM) stands in between, or one is resized, pooled,
dilated or activated in another way: the numbers would be right and the network another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yolograft.errors import SpecError
from yolograft.graph.dialect.indexfile import Row, Scale
from yolograft.graph.dialect.rowargs import Width, read_arguments
from yolograft.graph.spec import IMAGE, LayerSpec, ModelSpec
from yolograft.models.dialect_words import WORDS

_CONCAT, _UPSAMPLE, _NOTHING = "Concat", "Upsample", "Identity"
# Options the tensors show by their shapes and number.
_SHOWN = ("out_channels", "repeats")
_SILU = ("SiLU()", "SiLU(inplace=True)")
# A file keeps the words its parser would have turned into these.
_LITERALS = {"None": None, "True": True, "False": False}


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
    behind = _behind(rows, homes)
    for i, row in enumerate(rows):
        if i not in homes:
            said += _beside(row, spec)
            continue
        layer = spec.layer(homes[i])
        theirs = tuple(dict.fromkeys(name for s in row.inputs for name in _at(behind, s)))
        ours = tuple(dict.fromkeys(s for source in layer.inputs for s in _read(spec, source)))
        if theirs != ours:
            said.append(
                f"row {i} ({layer.name}) reads {' + '.join(theirs)}, here it reads {' + '.join(ours)}"
            )
        said += _module(row, layer, f"row {i} ({layer.name})", head=layer is spec.head)
    return said


def _rows(yaml: Mapping[str, Any]) -> list[Row]:
    """The rows of backbone and head; none where one is not of the dialect."""
    rows: list[Row] = []
    written = [yaml.get("backbone"), yaml.get("head")]
    for raw in [row for part in written if isinstance(part, list) for row in part]:
        if not (isinstance(raw, Sequence) and len(raw) >= 3):
            return []
        sources = raw[0] if isinstance(raw[0], Sequence) else [raw[0]]
        if not all(isinstance(s, int) and -len(rows) - 1 <= s < len(rows) for s in sources):
            return []
        absolute = tuple(len(rows) + s if s < 0 else s for s in sources)
        args = raw[3] if len(raw) > 3 and isinstance(raw[3], Sequence) else ()
        plain = tuple(_LITERALS.get(value, value) if isinstance(value, str) else value for value in args)
        number = raw[1] if type(raw[1]) is int else 1
        name = str(raw[2]).rpartition(".")[2]
        rows.append(Row(len(rows), tuple(sources), absolute, number, name, plain, 0))
    return rows


def _behind(rows: Sequence[Row], homes: Mapping[int, str]) -> list[tuple[str, ...]]:
    """Per row the layers of ours whose maps it hands on: itself, or those it joins or stands behind."""
    behind: list[tuple[str, ...]] = []
    for i, row in enumerate(rows):
        sources = row.inputs if row.module == _CONCAT else row.inputs[:1]
        found = (homes[i],) if i in homes else (name for s in sources for name in _at(behind, s))
        behind.append(tuple(dict.fromkeys(found)))
    return behind


def _at(behind: Sequence[tuple[str, ...]], index: int) -> tuple[str, ...]:
    return (IMAGE,) if index < 0 else behind[index]


def _read(spec: ModelSpec, name: str) -> list[str]:
    """The same for a layer of ours."""
    if name == IMAGE:
        return [IMAGE]
    layer = spec.layer(name)
    if layer.module not in ("concat", "upsample"):
        return [name]
    return [found for source in layer.inputs for found in _read(spec, source)]


def _beside(row: Row, spec: ModelSpec) -> list[str]:
    """What a row without weights does that no such row of ours does."""
    if row.module == _NOTHING:
        return []
    if row.module not in (_CONCAT, _UPSAMPLE):
        return [f"row {row.index} ({row.module}) is none of {spec.name}"]
    alike = (layer for layer in spec.layers if layer.module == WORDS[row.module].module)
    # All of them are alike in every family.
    return [said for layer in [*alike][:1] for said in _module(row, layer, f"row {row.index} ({row.module})")]


def _module(row: Row, layer: LayerSpec, where: str, *, head: bool = False) -> list[str]:
    """Where the module of a row or its arguments are not those of the layer."""
    word = WORDS.get(row.module)
    if word is None or (word.kind != "head" if head else word.module != layer.module):
        return [f"{where} is {row.module}, here it is {layer.module}"]
    if head:
        return []
    if row.repeats != 1 and not word.repeats:
        return [f"{where} stands {row.repeats} times in a row"]
    try:
        read = read_arguments(row, word, width=Width(None, None), scale=Scale(1.0, 1.0), file="")
    except SpecError as error:
        return [f"{where}: {error.cause}"]
    defaults, own = word.defaults(), dict(layer.args)
    pairs = {
        key: (read.options.get(key, defaults.get(key)), own.get(key, defaults.get(key)))
        for key in dict.fromkeys((*read.options, *own))
        if key not in _SHOWN
    }
    return [
        f"{where} has {key} {theirs}, here it is {ours}"
        for key, (theirs, ours) in pairs.items()
        if theirs != ours
    ]


def _activation(value: Any) -> list[str]:
    if value is None or str(value).rpartition("nn.")[2] in _SILU:
        return []
    return [f"its activation is {value}, here it is SiLU"]
