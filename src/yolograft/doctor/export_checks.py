"""Does what a compiler or an exporter makes of it compute the same, at sizes it has not seen?"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from yolograft.doctor.report import Finding, failed, passed, skipped
from yolograft.doctor.specimen import Specimen, relative_error, run, said

TRACED, UNSEEN = (16, 12), ((13, 20), (8, 24))
ERROR = 1e-4
SECONDS, DEEP_SECONDS = 60, 300
EXPORT_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def compiled(specimen: Specimen) -> Finding:
    """``torch.compile`` gives the same values: its graph capture, with ``deep`` its code generation too."""
    backend = "inductor" if specimen.deep else "aot_eager"
    seconds = DEEP_SECONDS if specimen.deep else SECONDS
    answer = _within(seconds, lambda: _compile(specimen, backend))
    return answer or skipped("too_slow", seconds=seconds)


def _compile(specimen: Specimen, backend: str) -> Finding:
    module = specimen.stirred()
    torch.compiler.reset()
    try:
        fast = torch.compile(module, backend=backend)
        for size in (TRACED, *UNSEEN):
            x = specimen.maps(size)
            with torch.no_grad():
                error = relative_error(fast(x.clone()), run(module, x.clone()))
            if error > ERROR:
                values = {"backend": backend, "size": f"{size[0]}x{size[1]}"}
                return failed("compiled_differs", change=f"{100 * error:.2g} %", **values)
    except Exception as error:
        if "ompiler" in type(error).__name__ and "not found" in str(error):
            return skipped("no_compiler", error=said(error, specimen))
        return failed("compile_fails", backend=backend, error=said(_root(error), specimen))
    finally:
        torch.compiler.reset()
    return passed("compiled_same", backend=backend)


def onnx(specimen: Specimen) -> Finding:
    """One ONNX file for all sizes, run by ONNX Runtime at sizes other than the traced one."""
    missing = [name for name in EXPORT_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return skipped("no_extra", packages=", ".join(missing), extra="export")
    answer = _within(SECONDS, lambda: _onnx(specimen))
    return answer or skipped("too_slow", seconds=SECONDS)


def _onnx(specimen: Specimen) -> Finding:
    import onnxruntime

    module = specimen.stirred()
    try:
        session = onnxruntime.InferenceSession(
            _exported(specimen, module), providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        pools = _half_open_pools(module)
        text = said(_root(error), specimen)
        return failed("half_open_pool", names=pools) if pools else failed("export_fails", error=text)
    for size in UNSEEN:
        x = specimen.maps(size, batch=1)
        name = f"{size[0]}x{size[1]}"
        with torch.no_grad():
            exact = run(module, x.clone())
        try:
            (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        except Exception as error:
            return failed("onnx_fails", size=name, error=said(error, specimen))
        y = torch.from_numpy(y)
        if y.shape != exact.shape:
            return failed("onnx_shape", size=name, result=list(y.shape), expected=list(exact.shape))
        if (error := relative_error(y, exact)) > ERROR:
            pools = _half_open_pools(module)
            if pools:
                return failed("half_open_pool", names=pools)
            return failed("onnx_differs", size=name, change=f"{100 * error:.2g} %")
    return passed("onnx_same", sizes=", ".join(f"{h}x{w}" for h, w in UNSEEN))


def _exported(specimen: Specimen, module: nn.Module) -> bytes:
    anything = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        module,
        (specimen.maps(TRACED, batch=1),),
        dynamo=True,
        dynamic_shapes=({2: anything, 3: anything},),
        verbose=False,
    )
    assert program is not None
    return program.model_proto.SerializeToString()


def _half_open_pools(module: nn.Module) -> str:
    """Pools like ``AdaptiveAvgPool2d((None, 1))``: fine in torch, no form in ONNX that fits all sizes."""
    found = [
        f"{name or type(part).__name__} ({type(part).__name__}({part.output_size}))"
        for name, part in module.named_modules()
        if isinstance(part, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d)
        and isinstance(part.output_size, tuple)
        and None in part.output_size
    ]
    return ", ".join(found)


def _root(error: BaseException) -> BaseException:
    """The first cause: exporters wrap it several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _within(seconds: float, work: Callable[[], Finding]) -> Finding | None:
    """The answer of ``work``, or None when it takes longer; what it raises is raised here."""
    box: dict[str, Any] = {}

    def target() -> None:
        try:
            box["answer"] = work()
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(seconds)
    if "error" in box:
        raise box["error"]
    return box.get("answer")
