"""What this machine is: facts only, read without changing anything; `environment` judges them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# File names of fonts with Chinese glyphs, where no fontconfig answers (Windows, macOS, bare containers).
CHINESE_FONTS = ("msyh", "simsun", "simhei", "pingfang", "hiragino sans gb", "stheiti", "notosanscjk",
                 "notoserifcjk", "sourcehansans", "wqy")  # fmt: skip
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts",
                "/System/Library/Fonts", "/Library/Fonts", "C:/Windows/Fonts")  # fmt: skip
# Extras of our own benchmarks.
NOT_FOR_USERS = frozenset({"peers"})
OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


@dataclass(frozen=True)
class TorchFacts:
    """The torch build beside the driver. error: why torch does not import, else empty.

    cuda_build: CUDA version it was made for, empty for a CPU build. driver: an NVIDIA driver is loaded.
    cuda_error: what torch says where no GPU can be used. gpus: (name, compute capability) of each usable
    GPU. wants: the torch version torchvision was made for.
    """

    version: str = ""
    error: str = ""
    cuda_build: str = ""
    driver: bool = False
    cuda_error: str = ""
    arch_list: tuple[str, ...] = ()
    gpus: tuple[tuple[str, tuple[int, int]], ...] = ()
    threads: int = 1
    torchvision: str = ""
    torchvision_error: str = ""
    wants: str = ""


@dataclass(frozen=True)
class Facts:
    """Everything the environment check looks at. Sizes in bytes; unknown numbers are None."""

    python: tuple[int, int, int]
    requires_python: str
    torch: TorchFacts
    opencv: tuple[str, ...]
    chinese_font: str
    free: Mapping[str, int]
    unwritable: tuple[str, ...]
    memory: int | None
    cores: int
    missing_extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def torch_facts() -> TorchFacts:
    """torch, torchvision and the GPUs they see."""
    driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    try:
        import torch
    except Exception as error:
        return TorchFacts(error=f"{type(error).__name__}: {error}", driver=driver)
    usable = torch.cuda.is_available()
    devices = range(torch.cuda.device_count()) if usable else ()
    vision, vision_error, wants = _torchvision()
    return TorchFacts(
        version=torch.__version__,
        cuda_build=torch.version.cuda or "",
        driver=driver,
        cuda_error="" if usable or not (driver and torch.version.cuda) else _cuda_error(),
        arch_list=tuple(torch.cuda.get_arch_list()) if usable else (),
        gpus=tuple((torch.cuda.get_device_name(i), torch.cuda.get_device_capability(i)) for i in devices),
        threads=torch.get_num_threads(),
        torchvision=vision,
        torchvision_error=vision_error,
        wants=wants,
    )


def _cuda_error() -> str:
    """Why CUDA does not start, in torch's own words."""
    import torch

    try:
        torch.cuda.init()
    except Exception as error:
        return str(error)
    return ""


def _torchvision() -> tuple[str, str, str]:
    """(version, error, torch version it was made for); its compiled operators are tried."""
    import torch

    try:
        version = metadata.version("torchvision")
        wanted = [line for line in metadata.requires("torchvision") or () if line.startswith("torch==")]
        wants = wanted[0].partition("==")[2].partition(";")[0].strip() if wanted else ""
    except metadata.PackageNotFoundError:
        return "", "not installed", ""
    try:
        from torchvision.ops import nms

        nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    except Exception as error:
        return version, f"{type(error).__name__}: {error}", wants
    return version, "", wants


def installed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the distributions that are installed."""
    found = []
    for name in names:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(name)
    return tuple(found)


def missing_extras(package: str = "yolograft") -> dict[str, tuple[str, ...]]:
    """Per optional extra the distributions that are not installed."""
    missing: dict[str, tuple[str, ...]] = {}
    for line in metadata.requires(package) or ():
        requirement, _, marker = line.partition(";")
        if "extra ==" not in marker:
            continue
        extra = marker.partition("extra ==")[2].strip(" '\")")
        name = _NAME.match(requirement.strip())
        if name and extra not in NOT_FOR_USERS and not installed((name[0],)):
            missing[extra] = (*missing.get(extra, ()), name[0])
    return missing


def chinese_font() -> str:
    """A font file with Chinese glyphs, or empty: fontconfig answers, else known file names do."""
    if shutil.which("fc-list"):
        asked = ["fc-list", ":lang=zh-cn", "file"]
        listed = subprocess.run(asked, capture_output=True, encoding="utf-8", errors="replace", check=False)
        if listed.returncode == 0:
            return listed.stdout.partition("\n")[0].strip().rstrip(":")
    for folder in FONT_FOLDERS:
        for file in sorted(Path(folder).expanduser().rglob("*.tt[cf]")):
            if file.stem.lower().startswith(CHINESE_FONTS):
                return str(file)
    return ""


def _nearest_folder(folder: Path) -> Path:
    return next((place for place in (folder, *folder.parents) if place.exists()), Path.cwd())


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile("wb", dir=folder) as file:
            file.write(b"yolograft")
    except OSError:
        return False
    return True


def available_memory() -> int | None:
    """Bytes that can be allocated without swapping, container limits included; None where unknown."""
    known = [size for size in (_meminfo(), _container()) if size is not None]
    return min(known, default=None)


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration, IndexError):
        return None


def _container() -> int | None:
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((group / f"memory.{k}").read_text(encoding="utf-8")) for k in ("max", "current"))
    except (OSError, ValueError):
        return None
    return max(limit - used, 0)


def usable_cores() -> int:
    """Cores this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def facts(folder: Path) -> Facts:
    """Look at the machine; ``folder`` is where run folders would be made."""
    places = {"run folder": _nearest_folder(folder), "temp": Path(tempfile.gettempdir())}
    return Facts(
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        requires_python=metadata.metadata("yolograft")["Requires-Python"] or "",
        torch=torch_facts(),
        opencv=installed(OPENCV),
        chinese_font=chinese_font(),
        free={str(place): shutil.disk_usage(place).free for place in places.values()},
        unwritable=tuple(str(place) for place in places.values() if not _writable(place)),
        memory=available_memory(),
        cores=usable_cores(),
        missing_extras=missing_extras(),
    )
