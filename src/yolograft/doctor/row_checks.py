"""What a row of an index file does to the maps it will get: findings that need forward passes.

The module is examined at the sizes that its place in the network gives it, with the pieces of the public
examination where these fit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from yolograft.doctor.specimen import Size, Specimen, listed, quiet, relative_error, run, said, sow
from yolograft.graph.lint.finding import Finding
from yolograft.graph.spec import ModuleRef
from yolograft.models.build import instantiate
from yolograft.models.codebook import Codebook

# Image sides: three that people train at, the one parsers probe strides with, and two multiples of 7 * 32.
TRAINED, OTHERS = (640, 320, 416), (256, 224, 448)
FLAT, MIXED = 1e-6, 1e-4
# Twice the side is four times the positions; attention among all positions is sixteen times the products.
QUADRATIC = 8.0
LARGEST = 2**26  # values of one map
# Larger rows are not tried: no detector has them, and a check is no place to wait for hours.
MOST_CHANNELS, MOST_PARAMETERS, MOST_WORK = 4096, 2**26, 2**33
_PRODUCTS = frozenset({"matmul", "__matmul__", "bmm", "scaled_dot_product_attention"})


@dataclass(frozen=True, slots=True)
class Place:
    """A row where it stands. name: of its module as written. channels, stride: of the map it reads."""

    name: str
    line: int
    channels: int
    stride: int


@dataclass(slots=True)
class _Trials:
    """Sides of the map by whether the module runs on it; products of unlike head counts; the last error."""

    passed: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    images: dict[int, list[int]] = field(default_factory=dict)
    unlike: dict[int, tuple[int, int]] = field(default_factory=dict)
    alike: bool = False
    error: str = ""


class _Products(TorchFunctionMode):
    """Notes the head counts, dimension 1 of four, of every attention product."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: set[tuple[int, int]] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        maps = [a for a in args[:2] if isinstance(a, Tensor) and a.ndim == 4]
        if getattr(func, "__name__", "") in _PRODUCTS and len(maps) == 2:
            self.heads.add((maps[0].shape[1], maps[1].shape[1]))
        return func(*args, **(kwargs or {}))


def examine_row(ref: ModuleRef, place: Place, code: Codebook) -> tuple[Finding, ...]:
    """Build the module of a row and try it on the maps it will get.

    Returns:
        findings YG156 (it refuses its arguments), YG161 (constant over the map), YG162 (mixes images), YG163
        (fails at some image size), YG164 (heads broadcast), YG166 (quadratic cost), YG167 (dead parameters),
        YG169 (other channel count), or YG174 alone: it is too large to be tried.
    """
    specimen = Specimen(ref, place.channels, code)
    with quiet():
        weights = _parameters(specimen)
        if place.channels > MOST_CHANNELS or weights > MOST_PARAMETERS:
            return (_too_large(place, weights),)
        try:
            specimen.fresh()
        except (Exception, SystemExit) as error:
            values = {"module": place.name, "args": ref.text(), "error": said(error, specimen)}
            return (Finding("YG156", "refused", place.line, values),)
        return tuple(_findings(specimen, place, weights))


def _too_large(place: Place, weights: int) -> Finding:
    size = {"channels": place.channels, "parameters": weights, "stride": place.stride}
    return _finding("YG174", "too_large", place, note=True, **size)


def _parameters(specimen: Specimen) -> int:
    """Counted without memory for them; 0 for a class that computes with their values while it is built."""
    try:
        with torch.device("meta"):
            module, _ = instantiate(specimen.ref, specimen.channels, specimen.code)
        return sum(parameter.numel() for parameter in module.parameters())
    except (Exception, SystemExit):
        return 0


def _findings(specimen: Specimen, place: Place, weights: int) -> Iterator[Finding]:
    growth = _growth(specimen)
    quadratic = growth > QUADRATIC
    most = 40 if quadratic else _widest_map(specimen, weights)
    trials = _try_sizes(specimen, place, most=most)
    if not trials.passed and not trials.failed:
        yield _too_large(place, weights)
    if trials.failed:
        yield _sizes(trials, place)
    if trials.unlike and trials.alike:
        side, (left, right) = next(iter(trials.unlike.items()))
        images = listed([str(image) for image in trials.images[side]])
        yield _finding("YG164", "broadcast", place, left=left, right=right, images=images)
    if quadratic:
        yield _finding("YG166", "quadratic", place, note=True, ratio=f"{growth:.0f}")
    # Values take batches and gradients, several times the work of one trial.
    most = most if quadratic else most // 2
    small = [(side, side) for side in sorted(trials.passed) if 1 < side <= most][:2]
    if small:
        yield from _values(specimen, place, small)
        yield from _dead(specimen, place, small)


def _finding(code: str, key: str, place: Place, *, note: bool = False, **values: object) -> Finding:
    return Finding(code, key, place.line, {"module": place.name, **values}, note)


def _growth(specimen: Specimen) -> float:
    """How much more arithmetic a map of twice the side takes; 0 where no pair of sizes runs."""
    for side in (8, 7):
        small, large = _work(specimen, side), _work(specimen, 2 * side)
        if small and large:
            return large / small
    return 0.0


def _work(specimen: Specimen, side: int) -> int:
    """Floating point operations on one square map; 0 where it does not run."""
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            specimen.fresh().eval()(specimen.maps((side, side), batch=1))
    except Exception:
        return 0
    return counter.get_total_flops()


def _widest_map(specimen: Specimen, weights: int) -> int:
    """The largest side that is worth waiting for: work has a part that grows with the positions, and one
    with their square, which a pooled attention shows on large maps only."""
    for side in (14, 16):
        small, large = _work(specimen, side), _work(specimen, 2 * side)
        if small and large:
            n = side * side
            square = max(large / (4 * n) - small / n, 0.0) / (3 * n)
            linear = max(small / n - square * n, 1.0)
            root = math.sqrt(linear * linear + 4 * square * MOST_WORK)
            return math.isqrt(int(2 * MOST_WORK / (linear + root)))
    return math.isqrt(MOST_WORK // max(weights, 1))


def _try_sizes(specimen: Specimen, place: Place, *, most: int) -> _Trials:
    trials = _Trials()
    for image in (*TRAINED, *OTHERS):
        trials.images.setdefault(image // place.stride, []).append(image)
    for side in trials.images:
        if side < 1 or side > most or side * side * place.channels > LARGEST:
            continue
        try:
            with torch.no_grad(), _Products() as products:
                y = run(specimen.fresh().eval(), specimen.maps((side, side), batch=1))
            if y.ndim != 4 or y.shape[2:] != (side, side):
                raise ValueError(f"{list(y.shape)} for a map of {side} x {side}")
        except Exception as error:
            trials.failed.append(side)
            trials.error = said(error, specimen)
            continue
        trials.passed.append(side)
        for left, right in products.heads:
            if left != right and 1 in (left, right):
                trials.unlike[side] = (left, right)
            trials.alike |= left == right > 1
    return trials


def _sizes(trials: _Trials, place: Place) -> Finding:
    fails, passes = (
        listed([str(image) for side in sides for image in trials.images[side]], most=6)
        for sides in (trials.failed, trials.passed)
    )
    key = "some_sizes" if trials.passed else "no_size"
    return _finding("YG163", key, place, fails=fails, passes=passes, error=trials.error)


def _values(specimen: Specimen, place: Place, sizes: Sequence[Size]) -> Iterator[Finding]:
    module = _moved(specimen, sizes[0])
    with torch.no_grad():
        maps = [run(module, specimen.maps(size)).double() for size in sizes]
        spreads = [float(y.std(dim=(2, 3)).max() / y.abs().max().clamp(min=1e-30)) for y in maps]
        if max(spreads) <= FLAT:
            advice = (
                "c_n of 8 or more, or add the input" if "c_n" in dict(specimen.ref.args) else "add the input"
            )
            zh = "c_n 取 8 以上，或加上输入" if "c_n" in dict(specimen.ref.args) else "加上输入"
            tried = listed([f"{h}x{w}" for h, w in sizes])
            yield _finding("YG161", "flat", place, sizes=tried, advice=advice, advice_zh=zh)
        if maps[0].shape[1] != place.channels:
            out = {"out": maps[0].shape[1], "channels": place.channels}
            yield _finding("YG169", "channels_change", place, note=True, **out)
        x = specimen.maps(sizes[0], batch=3)
        together = run(module, x.clone())
        try:
            alone = torch.cat([run(module, image[None].clone()) for image in x])
        except Exception:
            return  # `yolograft doctor` says what a batch of one does
        if alone.shape != together.shape or relative_error(together, alone) > MIXED:
            yield _finding("YG162", "batch_mixed", place)


def _moved(specimen: Specimen, size: Size) -> nn.Module:
    """In eval mode, with parameters and statistics away from their special initial values."""
    module = specimen.fresh()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.is_floating_point():
                spread = float(parameter.std()) if parameter.numel() > 1 else 0.0
                parameter.add_(torch.randn_like(parameter) * (0.5 * spread or 0.3))
        run(module, specimen.maps(size, batch=4))
    return module.eval()


def _dead(specimen: Specimen, place: Place, sizes: Sequence[Size]) -> Iterator[Finding]:
    """Parameters that two backward passes at two sizes leave without a gradient."""
    module = copy.deepcopy(_moved(specimen, sizes[0])).train()
    reached = {name: False for name, p in module.named_parameters() if p.requires_grad}
    for seed, size in enumerate(sizes):
        module.zero_grad(set_to_none=True)
        sow(seed, "doctor", "row")
        y = run(module, specimen.maps(size, batch=2, seed=seed))
        if y.requires_grad:
            (y * torch.randn(y.shape)).sum().backward()
        for name, parameter in module.named_parameters():
            if name in reached:
                reached[name] |= parameter.grad is not None and bool((parameter.grad != 0).any())
    missed = [name for name, hit in reached.items() if not hit]
    if missed:
        yield _finding("YG167", "dead", place, names=listed(missed, most=3))
