"""Does it live with mixed precision, other devices, and the memory layout that convolutions like?"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from yolograft.doctor.report import Finding, failed, passed, skipped, warned
from yolograft.doctor.specimen import Specimen, line_of, relative_error, run, said, sow
from yolograft.models.layout import give_contiguous_maps, to_channels_last

PLAIN = (16, 16)
# bf16 rounds at 0.4 %, fp16 at 0.05 %; a module that loses 5 % cancels or overflows.
FAR = 0.05
LAYOUT_ERROR = 1e-4
# Words of a CPU without such a kernel; a GPU has it.
OTHER_DEVICE = re.compile(r"not on the expected device|[Ee]xpected all tensors to be on the same device")
NO_KERNEL = re.compile(
    r"not implemented for|[Uu]nsupported dtype|is not supported on|not support.*(Half|BFloat16)"
)


def bf16(specimen: Specimen) -> Finding:
    """Under bf16 autocast the output stays near fp32 and the gradients finite."""
    return _autocast(specimen, torch.bfloat16)


def fp16(specimen: Specimen) -> Finding:
    """The same in fp16, whose largest number is 65504."""
    return _autocast(specimen, torch.float16)


def _autocast(specimen: Specimen, dtype: torch.dtype) -> Finding:
    module = specimen.stirred()
    # Inside a network under autocast the map comes out of a convolution in half precision.
    x = specimen.maps(PLAIN).to(dtype)
    try:
        with torch.no_grad():
            exact = run(module, x.float())
            with torch.autocast("cpu", dtype=dtype):
                y = run(module, x.clone())
        if not bool(y.isfinite().all()):
            return failed("half_not_finite")
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=dtype):
            loss = run(module.train(), leaf * 1).float().square().mean()
        loss.backward()
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if NO_KERNEL.search(str(error)):
            return skipped("no_cpu_kernel", error=said(error, specimen))
        raise
    gradients = [leaf.grad, *(p.grad for p in module.parameters())]
    if any(gradient is not None and not bool(gradient.isfinite().all()) for gradient in gradients):
        return failed("half_gradient")
    error = relative_error(y.float(), exact)
    if error > FAR:
        return failed("half_far", change=f"{100 * error:.2g} %", most=f"{100 * FAR:g} %")
    return passed("half_near", change=f"{100 * error:.2g} %")


def device(specimen: Specimen) -> Finding:
    """What forward makes lies where its input lies.

    On the first GPU where there is one; else on the meta device, which has shapes and no values: what
    forward cannot do without values is left open there.
    """
    place = "cuda" if torch.cuda.is_available() else "meta"
    try:
        with torch.no_grad():
            y = run(specimen.fresh().eval().to(place), specimen.maps(PLAIN).to(place))
    except (RuntimeError, NotImplementedError) as error:
        words = {"place": place, "line": line_of(error, specimen) or specimen.name}
        if OTHER_DEVICE.search(str(error)):
            # Code that asks ``x.is_cuda`` may be right on a GPU and wrong on every other device.
            return failed("devices_mixed", **words) if place == "cuda" else warned("devices_mixed", **words)
        return skipped("device_open", error=said(error, specimen), **words)
    return (
        passed("device_kept", place=place) if y.device.type == place else failed("leaves_device", place=place)
    )


def channels_last(specimen: Specimen) -> Finding:
    """In the layout of a run, the channels next to each other in memory, the values are the same.

    A class that fails on such maps in evaluation gets contiguous copies in a run, and is judged with them.
    """
    layout, copied = torch.channels_last, ""
    for training in (False, True):
        y = _in_layout(specimen, layout, training=training)
        if isinstance(y, Exception) and not training:
            layout, copied = torch.contiguous_format, line_of(y, specimen) or specimen.name
            y = _in_layout(specimen, layout, training=training)
        if isinstance(y, Exception):
            return failed("layout_fails", error=said(y, specimen))
        exact, again = (_contiguous(specimen, seed, training=training) for seed in (0, 1))
        error = relative_error(y, exact)
        # Dropout draws along memory: another layout, other places. Such values cannot be compared.
        if error > LAYOUT_ERROR and torch.equal(exact, again):
            return failed("layout_changes", change=f"{100 * error:.2g} %")
    return warned("contiguous_copy", place=copied) if copied else passed("layout_same")


def _contiguous(specimen: Specimen, seed: int, *, training: bool) -> Tensor:
    module = specimen.stirred().train(training)
    sow(seed, "doctor", "dropout")
    with torch.no_grad():
        return run(module, specimen.maps(PLAIN))


def _in_layout(specimen: Specimen, layout: torch.memory_format, *, training: bool) -> Tensor | Exception:
    """The output for a map in this layout, with the weights laid out as in a run, or what it raises."""
    module = specimen.stirred().train(training)
    if layout == torch.contiguous_format:
        give_contiguous_maps(module, (type(module),))
    to_channels_last(module, torch.device("cpu"))
    x = specimen.maps(PLAIN).contiguous(memory_format=layout)
    sow(0, "doctor", "dropout")
    try:
        with torch.no_grad():
            return run(module, x)
    except Exception as error:
        return error
