"""Which device, which precision, how many threads; and what must be equal for bitwise promises to hold."""

from __future__ import annotations

import logging
import platform
from importlib.metadata import version
from typing import Any

import torch
from lightning_fabric import Fabric

from yolograft.engine.recipe import Recipe
from yolograft.errors import MachineError

_FABRIC_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def resolve_precision(recipe: Recipe, device: str) -> str:
    """``auto`` as fp32, bf16 or fp16 for this device."""
    if recipe.precision != "auto":
        return recipe.precision
    if device == "cpu":
        return "bf16" if _cpu_computes_bf16() else "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def _cpu_computes_bf16() -> bool:
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool((supported and supported()) or (amx and amx()))


def _quiet() -> None:
    """Fabric announces its precision once per arm; the manifest says it already."""
    for name in ("lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


def open_fabric(device: str, precision: str) -> Fabric:
    """A launched Fabric for ``cpu``, ``0`` or ``0,1``.

    Raises:
        MachineError: a GPU is asked for and there is none, or fewer than asked for (YG701).
    """
    _quiet()
    if device == "cpu":
        fabric = Fabric(accelerator="cpu", devices=1, precision=_FABRIC_PRECISION[precision])  # type: ignore[arg-type]
        fabric.launch()
        return fabric
    try:
        indices = [int(part) for part in device.split(",")]
    except ValueError:
        raise MachineError("YG701", f"device '{device}'", fix="use cpu, 0 or 0,1") from None
    if max(indices) >= torch.cuda.device_count():
        raise MachineError(
            "YG701",
            f"device {device}: this torch sees {torch.cuda.device_count()} GPU(s)",
            fix="use --device cpu",
        )
    strategy = "ddp" if len(indices) > 1 else "auto"
    fabric = Fabric(
        accelerator="cuda",
        devices=indices,
        strategy=strategy,
        precision=_FABRIC_PRECISION[precision],  # type: ignore[arg-type]
    )
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
        "device": device if device == "cpu" else torch.cuda.get_device_name(int(device.split(",")[0])),
        "precision": precision,
    }
