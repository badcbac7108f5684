"""Findings that need a forward pass: promise against fact, and a stranger's class on two images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from yolograft.errors import ModuleError, YolograftError
from yolograft.graph.spec import IMAGE, LayerSpec
from yolograft.models.codebook import Codebook, classes_of
from yolograft.models.facts import LayerFacts
from yolograft.models.trial import CONTIGUOUS, try_two_images
from yolograft.types import RawPredictions

# Two shapes no layer can confuse: neither square, of different ratio, odd and even in units of the stride.
UNITS, STRIDE = ((2, 3), (5, 4)), 32
# Maps of P6 and P7 need larger images; others stay odd at stride 32, where half a map would show.
WIDER = (64, 128)


def probe_images(stride: int) -> list[dict[str, Any]]:
    """Tables for `verify` that hold the images alone, of sides that a widest stride divides."""
    return [{IMAGE: torch.zeros(1, 3, high * stride, wide * stride)} for high, wide in UNITS]


def is_foreign(layer: LayerSpec) -> bool:
    """True if a class of the user's own is in the layer."""
    return bool(_foreign_names(layer))


def _foreign_names(layer: LayerSpec) -> list[str]:
    """Names of the user's own classes in a layer."""
    refs = (layer.ref, *(ref for _, ref in layer.inside))
    return [ref.module.rpartition("::")[2] for ref in refs if "::" in ref.module]


def verify(
    layer: LayerSpec, module: nn.Module, facts: LayerFacts, outputs: list[dict[str, Any]], *, many: bool
) -> None:
    """Run a layer in eval mode on the outputs of the layers it reads, and keep what it returns.

    Args:
        outputs: one table a probe size, layer name -> map; the layer's own is added.

    Raises:
        ModuleError: it returns another shape than promised (YG207), or fails (YG208).
    """
    module.eval()
    for known in outputs:
        size = known[IMAGE].shape[2:]
        maps = [known[name] for name in layer.inputs]
        result = _run_probe(layer, module, maps, many=many)
        if isinstance(result, Tensor):
            expected = (1, facts.out_channels, size[0] // facts.stride, size[1] // facts.stride)
            if tuple(result.shape) != expected:
                raise ModuleError(
                    "YG207",
                    f"{layer.module} at '{layer.name}' promises {[*expected]}, returns {[*result.shape]}",
                    fix="set out_channels and stride to what forward returns",
                )
            result = result.to("meta")
        elif "::" in layer.module or not isinstance(result, RawPredictions):
            raise ModuleError(
                "YG208",
                f"{layer.module} at '{layer.name}' returns {type(result).__name__}, not a tensor",
                fix="end forward with `return x`",
            )
        known[layer.name] = result


def _run_probe(layer: LayerSpec, module: nn.Module, maps: list[Tensor], *, many: bool) -> Any:
    """One forward pass; whatever it raises becomes one line."""
    if is_foreign(layer):
        maps = [torch.full(m.shape, 0.5, device="cpu") for m in maps]
    try:
        with torch.no_grad(), torch.device(maps[0].device):
            return module(maps if many else maps[0])
    except YolograftError:
        raise
    except Exception as error:
        raise _failure(layer, maps, error) from error


def _failure(layer: LayerSpec, maps: Sequence[Tensor], error: Exception) -> ModuleError:
    shapes = ", ".join(str(list(m.shape)) for m in maps)
    return ModuleError(
        "YG208", f"{layer.module} at '{layer.name}' fails on {shapes}: {type(error).__name__}: {error}"
    )


def with_trial(
    layer: LayerSpec, module: nn.Module, fact: LayerFacts, known: Mapping[str, Tensor], code: Codebook
) -> LayerFacts:
    """The facts with what two images in the layout of a run showed.

    Raises:
        ModuleError: the layer fails there (YG208) or mixes the images (YG242).
    """
    x = torch.rand(2, *known[layer.inputs[0]].shape[1:], device="cpu")
    name = ", ".join(_foreign_names(layer))
    try:
        with torch.device("cpu"):
            contiguous = try_two_images(module, x, name=name, place=layer.name, classes=classes_of(code))
    except YolograftError:
        raise
    except Exception as error:
        raise _failure(layer, [x], error) from error
    note = "; ".join(filter(None, (fact.note, CONTIGUOUS if contiguous else "")))
    return replace(fact, note=note, contiguous=contiguous)
