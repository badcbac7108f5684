"""The list and the closing line people look for: from, n, params, module, arguments; then the summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from yolograft.graph.spec import ModelSpec
    from yolograft.models.detector import Detector

HEADS = ("", "from", "n", "params", "module", "arguments", "layer")


def row_list(network: Detector) -> list[str]:
    """One line a layer: rows by number as model files have them, the layer's own name at the end.

    Arguments begin with the channels of the input, those of the output follow where the module sets them.
    """
    cells = [HEADS, *_cells(network)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADS))]
    return [_line(row, widths).rstrip() for row in cells]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    right = "  ".join(text.rjust(width) for text, width in zip(row[:4], widths[:4], strict=True))
    left = "  ".join(text.ljust(width) for text, width in zip(row[4:], widths[4:], strict=True))
    return f"{right}  {left}"


def _cells(network: Detector) -> list[tuple[str, ...]]:
    from yolograft.graph.dialect.write import FAMILIES

    spec, params = network.spec, {fact.name: fact.params for fact in network.facts}
    out = []
    for row, (layer, arguments) in zip(_rows(spec, network), _layers(network), strict=True):
        source = str(row.sources[0]) if len(row.sources) == 1 else str(list(row.sources))
        shown = arguments if layer is spec.head else _arguments(row, network, layer.inputs[0])
        name = layer.name + "".join(f"  {ref.text()} inside {slot}" for slot, ref in layer.inside)
        module = layer.module if row.module == "Detect" and spec.family not in FAMILIES else row.module
        texts = (str(row.index), source, str(row.repeats), str(params[layer.name]), module)
        out.append((*texts, str(shown).replace("'", ""), name))
    return out


def _layers(network: Detector) -> list[tuple[Any, list[Any]]]:
    """Every layer, with what the head is given: its classes and the channels of its maps."""
    channels = {fact.name: fact.out_channels for fact in network.facts}
    maps = [channels[name] for name in network.spec.head.inputs]
    return [(layer, [network.spec.num_classes, maps]) for layer in network.spec.layers]


def _rows(spec: ModelSpec, network: Detector) -> list[Any]:
    from yolograft.graph.dialect.write import index_rows_of
    from yolograft.models.dialect_words import WORDS

    return index_rows_of(spec, WORDS, [fact.out_channels for fact in network.facts])


def _arguments(row: Any, network: Detector, source: str) -> list[Any]:
    from yolograft.models.dialect_words import WORDS

    word = WORDS.get(row.module)
    sets_output = word is not None and any(form.out == "out_channels" for form in word.forms)
    channels = {fact.name: fact.out_channels for fact in network.facts}
    return [channels.get(source, 3), *row.args] if sets_output else list(row.args)


def summary(network: Detector, gflops: float) -> str:
    """``yolov8n summary: 129 layers, 3157200 parameters, 3157184 gradients, 8.9 GFLOPs``.

    gflops: in the convention of the ultralytics package. Layers are the modules without parts; activations
    hold nothing and count once a kind, as one instance serves a whole network there.
    """
    total = sum(parameter.numel() for parameter in network.parameters())
    trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    layers = _count_layers(network)
    name = network.spec.name
    return f"{name} summary: {layers} layers, {total} parameters, {trained} gradients, {gflops:.1f} GFLOPs"


def _count_layers(network: nn.Module) -> int:
    from torch import nn

    leaves = [part for part in network.modules() if not list(part.children())]
    leaves = [part for part in leaves if not isinstance(part, nn.Identity)]
    kinds = {type(part) for part in leaves if type(part).__module__ == nn.SiLU.__module__}
    return sum(type(part) not in kinds for part in leaves) + len(kinds)
