"""From a spec to a `Detector`: instantiate every layer, and check promise against fact.

A twin of the network on the meta device (shapes only, no memory, no arithmetic) is run at two sizes and must
keep every promise before a weight exists.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from yolograft import rng
from yolograft.errors import ModuleError, SpecError, YolograftError
from yolograft.graph.levels import STOCK, check_levels, keep_levels
from yolograft.graph.spec import IMAGE, LayerSpec, ModelSpec, ModuleRef
from yolograft.graph.zoofile import read_model_file
from yolograft.models.catalog import FAMILIES, Entry, find, split_model_name
from yolograft.models.codebook import Codebook, classes_of
from yolograft.models.detector import Detector
from yolograft.models.facts import LayerFacts, advice, facts_of
from yolograft.models.identity import IdentityStart
from yolograft.models.layout import give_contiguous_maps
from yolograft.models.modelfile import is_model_file, read_model
from yolograft.models.probe import STRIDE, WIDER, is_foreign, probe_images, verify, with_trial
from yolograft.models.timm_bridge import timm_attention
from yolograft.models.usercode import adapt

# Keyword arguments that the graph fills in; no option of the user's.
BUILT_IN = ("num_classes", "strides", "inner", "inside")


def model_spec(
    model: str,
    *,
    num_classes: int | None = None,
    levels: Sequence[str] = STOCK,
    code: Codebook | None = None,
) -> ModelSpec:
    """The stock spec of a model such as ``yolov8n``, or what a model file says: ``my.yaml``, ``my.yaml:s``.

    Args:
        num_classes: of the head; 80, or what the file says, when left out.
        levels: where the head predicts, of p2 (stride 4) to p5 (stride 32); a file's own head is kept whole
            where the stock levels are asked for.
        code: classes of the user's own that a model file names.

    Raises:
        SpecError: no such model (YG106) or level (YG132); a model file that is wrong (YG130, YG140-YG147).
    """
    levels = check_levels(levels)
    if is_model_file(model):
        spec = read_model(model, num_classes=num_classes, code=code).spec
        return spec if levels == STOCK else keep_levels(spec, levels)
    family, scale = split_model_name(model)
    file = family.p2_file if "p2" in levels else family.model_file
    if file is None:
        raise SpecError("YG132", f"{family.name} has no level p2", fix="levels: p3,p4,p5")
    return keep_levels(read_model_file(file, scale, 80 if num_classes is None else num_classes), levels)


def instantiate(
    ref: ModuleRef, in_channels: int | Sequence[int], code: Codebook, **built_in: Any
) -> tuple[nn.Module, str]:
    """Build one module from a reference.

    Args:
        in_channels: channels of its input, or of each input for fusion modules and heads.
        built_in: keyword arguments that come from the graph, not from the user.

    Returns:
        the module and a line saying how a foreign signature was filled (empty for ours).

    Raises:
        ModuleError: unknown module (YG201), unknown or missing option (YG202), a class not loaded (YG203),
            or its constructor fails (YG213, or a code of the module's own).
    """
    note = ""
    # The spec keeps lists as tuples; strangers' constructors were written for lists.
    options = {key: list(value) if isinstance(value, tuple) else value for key, value in ref.args}
    if "::" in ref.module:
        if ref.module not in code:
            raise ModuleError("YG203", f"{ref.module} is not loaded", fix="name its file with --code")
        module, note = adapt(code[ref.module], _single(in_channels, ref), options)
    elif ref.module.startswith("timm:"):
        key = ref.module.removeprefix("timm:")
        module = timm_attention(key, _single(in_channels, ref), options)
    else:
        entry = find(ref.module)
        module = _from_catalog(entry, in_channels, dict(ref.args), built_in)
        # A probe hands its map through: it starts as the identity and stays it.
        if entry.kind == "probe":
            return module, note
    if ref.init == "identity":
        module = IdentityStart(module, in_channels=_single(in_channels, ref))
    return module, note


def _single(channels: int | Sequence[int], ref: ModuleRef) -> int:
    if isinstance(channels, int):
        return channels
    raise ModuleError("YG204", f"{ref.module} takes one map, this place has {len(channels)}")


def _from_catalog(
    entry: Entry,
    in_channels: int | Sequence[int],
    options: Mapping[str, Any],
    built_in: Mapping[str, Any],
) -> nn.Module:
    _check_options(entry.cls, entry.name, options)
    try:
        return entry.cls(in_channels, **options, **built_in)
    except YolograftError:
        raise
    except Exception as error:
        given = ", ".join(f"{key}={value}" for key, value in options.items()) or "its defaults"
        raise ModuleError(
            "YG213", f"{entry.name} cannot be built with {given}: {type(error).__name__}: {error}"
        ) from error


def _check_options(cls: type[nn.Module], name: str, options: Mapping[str, Any]) -> None:
    parameters = list(inspect.signature(cls).parameters.values())[1:]
    accepted = [p.name for p in parameters if p.name not in BUILT_IN]
    unknown = [key for key in options if key not in accepted]
    if unknown:
        raise ModuleError(
            "YG202", f"{name} has no option '{unknown[0]}'", fix=f"options: {', '.join(accepted) or 'none'}"
        )
    for p in parameters:
        if p.default is inspect.Parameter.empty and p.name in accepted and p.name not in options:
            raise ModuleError("YG202", f"{name} needs option '{p.name}'", fix=f"{name}:{p.name}=...")


def _construct(
    layer: LayerSpec, spec: ModelSpec, facts: Mapping[str, LayerFacts], code: Codebook, seed: int
) -> tuple[nn.Module, str]:
    channels = [3 if name == IMAGE else facts[name].out_channels for name in layer.inputs]
    strides = [1 if name == IMAGE else facts[name].stride for name in layer.inputs]
    kind = "user" if "::" in layer.module or layer.module.startswith("timm:") else find(layer.module).kind
    built_in: dict[str, Any] = {}
    _check_place(layer, spec, kind)
    if kind == "head":
        built_in = {"num_classes": spec.num_classes, "strides": tuple(strides)}
    elif kind == "fusion" and len(set(strides)) != 1:
        raise _different_strides(layer, strides, facts)
    if layer.inside:
        built_in |= _inner_factories(layer, kind, code, seed)
    many = kind in ("head", "fusion")
    return instantiate(layer.ref, channels if many else channels[0], code, **built_in)


def _different_strides(
    layer: LayerSpec, strides: Sequence[int], facts: Mapping[str, LayerFacts]
) -> ModuleError:
    """The message for a Concat that reads a neighbour of the layer it means, as after an inserted row."""
    pairs = ", ".join(f"{name} (stride {s})" for name, s in zip(layer.inputs, strides, strict=True))
    # The first input is the map in hand; the others are fetched by name or index, and those go astray.
    fitting = [name for name, fact in facts.items() if fact.stride == strides[0] and name != layer.inputs[0]]
    fix = f"was a row inserted above it? maps at stride {strides[0]}: {', '.join(fitting[-4:]) or 'none'}"
    return ModuleError("YG205", f"it joins maps of different stride: {pairs}", where=layer.name, fix=fix)


def _check_place(layer: LayerSpec, spec: ModelSpec, kind: str) -> None:
    count = len(layer.inputs)
    if (kind == "head") != (layer is spec.head):
        where = "the last layer" if layer is spec.head else f"'{layer.name}'"
        raise ModuleError("YG204", f"{layer.module} at {where}: the head, and nothing else, comes last")
    if kind == "fusion" and count == 1:
        raise ModuleError("YG204", f"{layer.module} at '{layer.name}' joins maps, this place has one")
    if kind not in ("head", "fusion") and count != 1:
        raise ModuleError("YG204", f"{layer.module} at '{layer.name}' takes one map, this place has {count}")


@contextmanager
def _own_draws(seed: int, *counters: str | int) -> Iterator[None]:
    """Initial weights drawn in here depend on (seed, counters) alone; the hidden generator is put back."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would seed the generators of GPUs too, which nothing here puts back.
        torch.default_generator.manual_seed(rng.seed_of(seed, "init", *counters))
        yield


def _inner_factories(layer: LayerSpec, kind: str, code: Codebook, seed: int) -> dict[str, Any]:
    def chain(slot: str) -> Callable[[int], nn.Module]:
        refs = [ref for s, ref in layer.inside if s == slot]
        calls = itertools.count()

        def build(channels: int) -> nn.Module:
            # Draws of its own: the weights the block would have without the graft stay as they are.
            with _own_draws(seed, layer.name, slot, next(calls)):
                steps = [instantiate(ref, channels, code)[0] for ref in refs]
            for ref, step in zip(refs, steps, strict=True):
                if getattr(step, "out_channels", channels) != channels:
                    raise ModuleError(
                        "YG206", f"{ref.module} inside '{layer.name}' changes the channel count"
                    )
            return steps[0] if len(steps) == 1 else nn.Sequential(*steps)

        return build

    if kind == "head":
        return {"inside": {slot: chain(slot) for slot, _ in layer.inside}}
    return {"inner": chain("*")}


def inspect_spec(spec: ModelSpec, *, code: Codebook | None = None) -> tuple[LayerFacts, ...]:
    """Check a spec without allocating a weight.

    Returns:
        one `LayerFacts` per layer.

    Raises:
        ModuleError: a layer breaks its promise of channels or stride (YG207), cannot be built, or fails
            on a forward pass (YG208).
    """
    return sketch(spec, code=code).facts


def sketch(spec: ModelSpec, *, code: Codebook | None = None) -> Detector:
    """The detector on the meta device: shapes and counts without memory or arithmetic.

    Raises:
        ModuleError: as `inspect_spec`.
    """
    with torch.device("meta"):
        modules, facts = _assemble(spec, code or {}, seed=None)
    modules = {name: module.to("meta") for name, module in modules.items()}
    return Detector(spec, modules, FAMILIES[spec.family], facts)


def build(spec: ModelSpec, *, seed: int = 0, code: Codebook | None = None) -> Detector:
    """Build a detector with freshly initialised weights.

    The weights of a layer depend on (seed, layer name) alone, so that a graft leaves the initial weights
    of all stock layers as they are in the base detector.

    Raises:
        ModuleError: as `inspect_spec`.
    """
    facts = inspect_spec(spec, code=code)
    modules, _ = _assemble(spec, code or {}, seed=seed)
    for fact in facts:
        if fact.contiguous:
            give_contiguous_maps(modules[fact.name], classes_of(code or {}))
    return Detector(spec, modules, FAMILIES[spec.family], facts)


def _assemble(
    spec: ModelSpec, code: Codebook, seed: int | None, *, widest: int = STRIDE
) -> tuple[dict[str, nn.Module], tuple[LayerFacts, ...]]:
    """Instantiate all layers; with ``seed`` None also run them (on the ambient meta device).

    Args:
        widest: stride that divides the images they are run on.
    """
    facts: dict[str, LayerFacts] = {}
    modules: dict[str, nn.Module] = {}
    outputs = probe_images(widest)
    for layer in spec.layers:
        # A stranger's class may compute with values, which the meta device has none of.
        real = seed is not None or is_foreign(layer)
        with _own_draws(seed or 0, layer.name), torch.device("cpu" if real else "meta"):
            module, note = _construct(layer, spec, facts, code, seed or 0)
            note = "; ".join(filter(None, (note, *advice(layer, module))))
            facts[layer.name] = facts_of(layer, module, facts, note)
            modules[layer.name] = module
            stride = facts[layer.name].stride
            if seed is None and (stride <= widest or stride not in WIDER):
                verify(layer, module, facts[layer.name], outputs, many=_takes_list(layer, spec))
                if is_foreign(layer) and not _takes_list(layer, spec):
                    facts[layer.name] = with_trial(layer, module, facts[layer.name], outputs[0], code)
        if seed is None and stride > widest and stride in WIDER:
            return _assemble(spec, code, None, widest=stride)
    return modules, tuple(facts.values())


def _takes_list(layer: LayerSpec, spec: ModelSpec) -> bool:
    return len(layer.inputs) > 1 or layer is spec.head
