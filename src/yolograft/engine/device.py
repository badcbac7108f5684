"""Which device, which precision, how many threads; and what must be equal for bitwise promises to hold."""

from __future__ import annotations

import logging
import platform
from importlib.metadata import version
from typing import Any

import torch
from lightning_fabric import Fabric

from yolograft.doctor.kernels import missing_kernels
from yolograft.engine.recipe import Recipe
from yolograft.errors import MachineError

_FABRIC_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def resolve_precision(recipe: Recipe, device: str) -> str:
    """``auto`` as fp32, bf16 or fp16 for this device.

    Raises:
        MachineError: no such device (YG701).
    """
    places(device)
    if recipe.precision != "auto":
        return recipe.precision
    if device == "cpu":
        return "bf16" if _cpu_computes_bf16() else "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def places(device: str) -> list[torch.device]:
    """``cpu``, ``0`` or ``0,1`` as torch devices that are there.

    Raises:
        MachineError: the text is none of these, or a GPU is asked for that is not there (YG701); this torch
            has no kernels for it (YG706).
    """
    if device == "cpu":
        return [torch.device("cpu")]
    parts = device.split(",")
    if not all(part.isdecimal() for part in parts):
        raise MachineError("YG701", f"device '{device}'", fix="use cpu, 0 or 0,1")
    count = torch.cuda.device_count()
    if any(int(part) >= count for part in parts):
        raise MachineError(
            "YG701", f"device {device}: this torch sees {count} GPU(s)", fix="use --device cpu"
        )
    found = [torch.device("cuda", int(part)) for part in parts]
    for place in found:
        _check_kernels(place)
    return found


def _check_kernels(place: torch.device) -> None:
    """A GPU this torch was not compiled for fails at its first kernel with a message that names no cause."""
    capability = torch.cuda.get_device_capability(place)
    if gap := missing_kernels(capability, torch.cuda.get_arch_list()):
        fix = "install a torch build for this GPU (see pytorch.org), or use --device cpu"
        raise MachineError("YG706", gap, where=torch.cuda.get_device_name(place), fix=fix)


def _cpu_computes_bf16() -> bool:
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool((supported and supported()) or (amx and amx()))


def exact_arithmetic() -> None:
    """fp32 means fp32 on GPUs too, and their convolutions repeat: no TF32, deterministic kernels."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def open_fabric(device: str, precision: str) -> Fabric:
    """A launched Fabric for ``cpu`` or a GPU index.

    Raises:
        MachineError: the GPU is not there (YG701), several are asked for (YG704), or fp16 without a GPU
            (YG705).
    """
    # Fabric announces its precision once per arm; the manifest says it already.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    exact_arithmetic()
    if device == "cpu" and precision == "fp16":
        raise MachineError("YG705", "fp16 needs a GPU", fix="use --set precision=bf16 or fp32")
    if device == "cpu":
        fabric = Fabric(accelerator="cpu", devices=1, precision=_FABRIC_PRECISION[precision])  # type: ignore[arg-type]
        fabric.launch()
        return fabric
    indices = [index for place in places(device) if (index := place.index) is not None]
    if len(indices) > 1:
        # Ranks would have to agree on run folder, divergence, interrupts and loss scale first.
        raise MachineError("YG704", f"device {device}: one device a run", fix=f"use --device {indices[0]}")
    fabric = Fabric(accelerator="cuda", devices=indices, precision=_FABRIC_PRECISION[precision])  # type: ignore[arg-type]
    fabric.launch()
    return fabric


def default_device() -> str:
    """``0`` with a GPU, else ``cpu``."""
    return "0" if torch.cuda.is_available() else "cpu"


def environment(device: str, precision: str) -> dict[str, Any]:
    """What a manifest records: bitwise promises hold while these stay equal."""
    return {
        "yolograft": version("yolograft"),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device if device == "cpu" else torch.cuda.get_device_name(places(device)[0]),
        "precision": precision,
    }
