"""Writes a detector as a file of the index dialect, with exact channels: the multiples are 1.

What the dialect has rows for comes back equal when the file is read (`naming.normalised` says under which
names). It has none for a graft inside a block or a branch of the head, and none for the head of YOLOX.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolograft.errors import SpecError
from yolograft.graph.anchors import ANCHORS
from yolograft.graph.dialect.indexfile import IMAGE_INDEX, Row
from yolograft.graph.dialect.naming import normalised
from yolograft.graph.dialect.rowargs import Width, write_arguments
from yolograft.graph.dialect.stock import Stock
from yolograft.graph.dialect.words import Word, Words
from yolograft.graph.spec import IMAGE, LayerSpec, ModelSpec, Value

FAMILIES = ("yolov5", "yolov8")


@dataclass(frozen=True, slots=True)
class Written:
    """text: the file. lost: what the dialect cannot say, one line each. spec: what reading it gives."""

    text: str
    lost: tuple[str, ...]
    spec: ModelSpec


def write_index_file(
    spec: ModelSpec,
    *,
    words: Words,
    stocks: tuple[Stock, ...],
    channels: Mapping[str, int] | None = None,
    title: str = "",
) -> Written:
    """The detector as text of the index dialect.

    Args:
        channels: output channels by layer name, as built; counted from the spec when left out, which takes
            a class of the user's own to keep its channels.
        title: first line of the file, a comment.

    Raises:
        SpecError: the dialect has no rows for it (YG148).
    """
    _check(spec)
    stock = _stock_of(spec, stocks)
    plain = normalised(_paper_form(spec), words, stock=stock)
    # By position: the names of grafts may differ.
    counts = [channels[layer.name] for layer in spec.layers] if channels else count_channels(plain, words)
    rows = index_rows_of(plain, words, counts)
    lines = [f"# {title or spec.name}", *_top(plain)]
    start = _neck_start(plain)
    for part, low, high in (("backbone", 0, start), ("head", start, len(rows))):
        lines += ["", f"{part}:"]
        pairs = zip(rows[low:high], plain.layers[low:high], strict=True)
        texts = [(f"  - {row_text(row)}", f"# {row.index} {layer.name}") for row, layer in pairs]
        column = max(len(text) for text, _ in texts) + 2
        lines += [f"{text:<{column}}{comment}" for text, comment in texts]
    lost = tuple(
        f"{layer.name}: the identity start of {layer.module}; the file has its published form"
        for layer in spec.layers
        if layer.init == "identity" and not (layer.module in words and words[layer.module].probe)
    )
    return Written("\n".join(lines) + "\n", lost, plain)


def _check(spec: ModelSpec) -> None:
    if spec.family not in FAMILIES:
        fix = f"models that can be written: {', '.join(FAMILIES)}, grafted or not"
        raise SpecError("YG148", f"the dialect has no row for the head of {spec.name}", fix=fix)
    for layer in spec.layers:
        if layer.inside:
            held = ", ".join(dict.fromkeys(ref.module for _, ref in layer.inside))
            cause = f"'{layer.name}' holds {held} inside, and rows know whole blocks only"
            raise SpecError("YG148", cause, fix=f"graft it after the block: {held}@{layer.name}")
        if IMAGE in layer.inputs and layer is not spec.layers[0]:
            cause = f"'{layer.name}' reads the image, which only row 0 can"
            raise SpecError("YG148", cause, fix="leave that graft out")


def _paper_form(spec: ModelSpec) -> ModelSpec:
    data = spec.to_json()
    for layer in data["layers"]:
        layer.pop("init", None)
    return ModelSpec.from_json(data)


def _stock_of(spec: ModelSpec, stocks: tuple[Stock, ...]) -> Stock:
    names = {layer.name for layer in spec.layers}
    same = [stock for stock in stocks if stock.family == spec.family]
    return max(same, key=lambda s: (sum(item.name in names for item in s.layers), -len(s.layers)))


def _top(spec: ModelSpec) -> list[str]:
    lines = [f"nc: {spec.num_classes}  # classes"]
    if spec.scale:
        lines.append(f"scale: {spec.scale}  # written out below: the channels are exact")
    lines += ["depth_multiple: 1.0", "width_multiple: 1.0"]
    sides = dict(spec.head.args).get(ANCHORS)
    if isinstance(sides, tuple):
        each = len(sides) // len(spec.head.inputs)
        levels = [sides[i : i + each] for i in range(0, len(sides), each)]
        lines += ["anchors:", *(f"  - [{', '.join(_text(side) for side in level)}]" for level in levels)]
    return lines


def _neck_start(spec: ModelSpec) -> int:
    """Number of rows in the backbone; both parts need one."""
    of_neck = (
        index for index, layer in enumerate(spec.layers) if layer.name.startswith(("neck.", spec.head.name))
    )
    return min(max(next(of_neck), 1), len(spec.layers) - 1)


def index_rows_of(spec: ModelSpec, words: Words, channels: Sequence[int | None]) -> list[Row]:
    """The layers as rows with exact numbers.

    Args:
        channels: of each layer's output, None where unknown.

    Raises:
        SpecError: no order of arguments says what a layer's options are (YG148).
    """
    place = {IMAGE: IMAGE_INDEX} | {layer.name: index for index, layer in enumerate(spec.layers)}
    rows = []
    for index, layer in enumerate(spec.layers):
        inputs = tuple(place[name] for name in layer.inputs)
        head = layer is spec.head
        sources = inputs if head else tuple(-1 if i == index - 1 else i for i in inputs)
        count = 3 if inputs[0] == IMAGE_INDEX else channels[inputs[0]]
        name, repeats, args = _row(layer, words, Width(count, count), head=head)
        rows.append(Row(index, sources, inputs, repeats, name, tuple(args), index + 1))
    return rows


def _row(layer: LayerSpec, words: Words, width: Width, *, head: bool) -> tuple[str, int, list[Any]]:
    """Name, number and arguments of a layer."""
    options = dict(layer.args)
    if head:
        return "Detect", 1, ["nc", ANCHORS] if ANCHORS in options else ["nc"]
    same = [word for word in dict.fromkeys(words.values()) if word.module == layer.module]
    if not same:
        name = layer.module.rsplit("::", 1)[-1]
        return name, 1, [_lists(options)] if options else []
    best: tuple[str, int, list[Any]] | None = None
    for word in same:
        given = dict(options)
        repeats = given.pop("repeats", 1) if word.repeats else 1
        given = {key: value for key, value in given.items() if value != word.defaults().get(key)}
        args = None if word.gcd_groups else write_arguments(word, given, width)
        if args is None or not isinstance(repeats, int):
            continue
        by_name = bool(args) and isinstance(args[-1], dict)
        if not by_name:
            return word.names[0], repeats, args
        best = best or (word.names[0], repeats, args)
    if best is None:
        given = ", ".join(f"{key}={value}" for key, value in options.items())
        raise SpecError("YG148", f"no row says {layer.module} with {given}", where=layer.name)
    return best


def count_channels(spec: ModelSpec, words: Words) -> list[int | None]:
    """Output channels of every layer, counted without building it; None of the head."""
    place = {layer.name: index for index, layer in enumerate(spec.layers)}
    out: list[int | None] = []
    for layer in spec.layers:
        read = [3 if name == IMAGE else out[place[name]] for name in layer.inputs]
        word, options = words.get(layer.module), dict(layer.args)
        if layer is spec.head:
            out.append(None)
        elif word is not None and word.kind == "join":
            out.append(None if None in read else sum(n for n in read if n is not None))
        else:
            out.append(_own_channels(word, options) or read[0])
    return out


def _own_channels(word: Word | None, options: Mapping[str, Value]) -> int | None:
    for form in word.forms if word else ():
        number = options.get(form.out) if form.out else None
        if type(number) is int and all(options.get(key) == value for key, value in form.fixed):
            return number
    return None


def row_text(row: Row) -> str:
    """A row as it stands in a file."""
    source = row.sources[0] if len(row.sources) == 1 else list(row.sources)
    parts = (_text(source), str(row.repeats), _text(row.module, plain=True), _text(list(row.args)))
    return f"[{', '.join(parts)}]"


def _text(value: Any, *, plain: bool = False) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and not plain and value not in ("nc", ANCHORS):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    return str(value)


def _lists(options: Mapping[str, Value]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
