"""What a detector costs: parameters, FLOPs, latency, memory.

FLOPs are 2 per multiply-accumulate of convolutions and matrix products, as torch's FlopCounterMode
counts them: one integer that any torch program can reproduce. The other convention, printed by the
tools people compare with, adds normalisation and some pooling layers; see ``EXTRA_FLOPS``.
"""

from __future__ import annotations

import contextlib
import copy
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from yolograft.errors import MachineError

ImageSize = int | tuple[int, int]


class Measurable(Protocol):
    """A detector as this file needs it: an ``nn.Module`` with ``forward`` and ``decode``."""

    training: bool

    def __call__(self, x: Tensor) -> Any: ...

    def decode(self, raw: Any) -> Any: ...

    def modules(self) -> Iterator[nn.Module]: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall time of forward + decode for one image.

    p50_ms, p90_ms: quantiles over the timed runs. fps: 1000 / p50_ms.
    precision: dtype of the weights, or of autocast where it is on. threads: torch's CPU threads.
    """

    p50_ms: float
    p90_ms: float
    fps: float
    device: str
    precision: str
    threads: int


def count_parameters(module: nn.Module) -> int:
    """All parameters, trainable or not: the 16 fixed DFL weights and the identity scale count."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_flops(detector: Measurable, imgsz: ImageSize) -> int:
    """FLOPs of forward + decode on one image of ``imgsz`` (S or (H, W)) in eval mode.

    2 per multiply-accumulate, convolutions and matrix products only, bias excluded. The detector's
    weights, buffers and train flags are as before afterwards.
    """
    counter = FlopCounterMode(display=False)
    with _evaluating(detector), counter:
        detector.decode(detector(_zeros(detector, imgsz)))
    return int(counter.get_total_flops())


def gflops_ultralytics_convention(detector: Measurable, imgsz: ImageSize = (640, 640)) -> float:
    """GFLOPs (1e9) as the ultralytics package prints them: ``count_flops`` plus ``EXTRA_FLOPS``.

    Only layers that are modules of the listed types count; functional calls do not. The package
    measures a 32-pixel tile and scales by area; this counts at the size asked for. The two agree
    for every layer whose cost is proportional to the area, which a gate on pooled features is not.
    """
    extra = 0

    def add(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal extra
        extra += EXTRA_FLOPS[type(module)](module, inputs[0], output)

    hooks = [m.register_forward_hook(add) for m in detector.modules() if type(m) in EXTRA_FLOPS]
    try:
        flops = count_flops(detector, imgsz)
    finally:
        for hook in hooks:
            hook.remove()
    return (flops + extra) / 1e9


def latencies(detectors: Sequence[Measurable], imgsz: ImageSize, *, runs: int, warmup: int) -> list[Latency]:
    """Time ``runs`` passes of forward + decode at batch 1 of each detector after ``warmup`` untimed ones.

    They take turns, pass by pass: what else the machine does meanwhile slows all of them alike, so that
    the ratios within one call hold. Alone, a net finds more of itself in the caches: figures of two calls do
    not compare as well. Image loading, letterbox and NMS are not included. The models stay where they are:
    device, dtype and threads are the caller's, and are part of the answer.

    Raises:
        MachineError: YG711 when ``runs`` is below 1 or ``warmup`` below 0.
    """
    if runs < 1 or warmup < 0:
        raise MachineError("YG711", f"latency needs runs >= 1 and warmup >= 0, got {runs} and {warmup}")
    images = [_zeros(detector, imgsz) for detector in detectors]
    times: list[list[float]] = [[] for _ in detectors]
    with contextlib.ExitStack() as stack:
        for detector in detectors:
            stack.enter_context(_evaluating(detector))
        for run in range(warmup + runs):
            for detector, image, mine in zip(detectors, images, times, strict=True):
                spent = _one_pass(detector, image)
                if run >= warmup:
                    mine.append(spent)
    return [_latency(mine, image) for mine, image in zip(times, images, strict=True)]


def _one_pass(detector: Measurable, image: Tensor) -> float:
    """Milliseconds of one forward + decode."""
    _wait_for(image.device)
    start = time.perf_counter()
    detector.decode(detector(image))
    _wait_for(image.device)
    return (time.perf_counter() - start) * 1e3


def _latency(times: Sequence[float], image: Tensor) -> Latency:
    p50, p90 = (float(v) for v in np.percentile(times, (50, 90)))
    return Latency(
        p50_ms=p50,
        p90_ms=p90,
        fps=1e3 / max(p50, 1e-9),
        device=_device_name(image.device),
        precision=_precision_name(image),
        threads=torch.get_num_threads(),
    )


def training_memory_mb(detector: Measurable, imgsz: ImageSize, *, batch: int) -> float:
    """Memory one arm needs in training, counted, in MiB.

    Weights, gradients, two optimiser moments and the EMA (5 x 4 bytes a parameter), and every distinct map
    kept for the backward pass, fp32: counted on two images (norm layers refuse one), halved, times
    ``batch``. Counted on the graph rather than read off the process, because arms in lockstep share one
    process. Model state is left untouched.
    """
    twin = copy.deepcopy(detector)
    for module in twin.modules():
        module.training = True
    for parameter in twin.parameters():
        parameter.requires_grad_(True)  # an EMA copy has them frozen
    own = {p.untyped_storage().data_ptr() for p in twin.parameters()}
    kept = saved_bytes(lambda: twin(_zeros(detector, imgsz).repeat(2, 1, 1, 1)), own)
    weights = 20 * sum(p.numel() for p in detector.parameters())
    return (weights + batch * kept / 2) / 2**20


def saved_bytes(forward: Callable[[], object], own: set[int]) -> int:
    """Bytes of the distinct storages autograd saves in a forward pass.

    Args:
        own: data pointers of storages that are there anyway, such as those of parameters.
    """
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    del result
    return sum(kept.values())


def peak_memory_mb(device: torch.device | None = None) -> float | None:
    """Highest memory so far in MiB, None where unknown.

    On a CUDA device: what torch allocated there. Otherwise: resident memory of this process.
    """
    if device is not None and device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, every other POSIX system KiB.
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _norm(module: Any, x: Tensor, _: Tensor) -> int:
    affine = getattr(module, "affine", getattr(module, "elementwise_affine", False))
    return x.numel() * (8 if affine else 4)


def _softmax(module: Any, x: Tensor, _: Tensor) -> int:
    # Per row of n: n exponentials, n - 1 additions, n divisions.
    n = x.shape[-1 if module.dim is None else module.dim]
    return 2 * (x.numel() // n) * (3 * n - 1)


def _average_pool(module: Any, _: Tensor, out: Tensor) -> int:
    size = module.kernel_size
    area = size * size if isinstance(size, int) else int(np.prod(size))
    return 2 * out.numel() * (area + 1)


def _adaptive_average_pool(_: Any, x: Tensor, out: Tensor) -> int:
    area = (x.shape[-2] // out.shape[-2]) * (x.shape[-1] // out.shape[-1])
    return 2 * out.numel() * (area + 1)


def _prelu(_: Any, x: Tensor, __: Tensor) -> int:
    return 2 * x.numel()


def _upsample(module: Any, _: Tensor, out: Tensor) -> int:
    return out.numel() * {"bilinear": 22, "bicubic": 518}.get(module.mode, 0)


#: Operations counted beside convolutions and matrix products, per layer type (exact type, no
#: subclasses): functions of (module, input, output). Found by measuring the package as a black box on
#: one layer at a time; the normalisation rule gives its printed figure for all five YOLOv8 scales.
EXTRA_FLOPS: Mapping[type[nn.Module], Callable[[Any, Tensor, Tensor], int]] = MappingProxyType(
    {
        nn.BatchNorm1d: _norm,
        nn.BatchNorm2d: _norm,
        nn.GroupNorm: _norm,
        nn.InstanceNorm2d: _norm,
        nn.LayerNorm: _norm,
        nn.Softmax: _softmax,
        nn.AvgPool2d: _average_pool,
        nn.AdaptiveAvgPool2d: _adaptive_average_pool,
        nn.PReLU: _prelu,
        nn.Upsample: _upsample,
    }
)


@contextlib.contextmanager
def _evaluating(detector: Measurable) -> Iterator[None]:
    """Eval mode without gradients; every module's own train flag comes back afterwards."""
    flags = [(module, module.training) for module in detector.modules()]
    for module, _ in flags:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for module, flag in flags:
            module.training = flag


def _zeros(detector: Measurable, imgsz: ImageSize) -> Tensor:
    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    like = next(iter(detector.parameters()), torch.zeros(()))
    return torch.zeros(1, 3, height, width, dtype=like.dtype, device=like.device)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _precision_name(image: Tensor) -> str:
    dtype, autocast = image.dtype, torch.is_autocast_enabled(image.device.type)
    if autocast:
        dtype = torch.get_autocast_dtype(image.device.type)
    short = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}.get(dtype, str(dtype))
    return f"{short} autocast" if autocast else short
