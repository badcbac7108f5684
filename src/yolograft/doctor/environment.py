"""Is this machine fit to train on? Judgements are functions of stated facts; each problem has its command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from yolograft.doctor.kernels import missing_kernels
from yolograft.doctor.machine import Facts, TorchFacts
from yolograft.doctor.machine import facts as look
from yolograft.doctor.report import Finding, Report, Row, failed, passed, skipped, warned

GIB = 1 << 30
# A run folder of five seeds takes some hundred MB; memory: one arm of yolov8n at 640 px and its batch.
DISK_LOW, DISK_FULL = 5 * GIB, GIB // 2
MEMORY_LOW = 3 * GIB
# torch's words, and those of the CUDA runtime, for a driver older than the build.
OLD_DRIVER = re.compile(r"driver.* is too old|driver version is insufficient", re.DOTALL)


def check_environment(folder: Path | None = None) -> Report:
    """Look at Python, torch, GPU, torchvision, OpenCV, fonts, disk, memory, cores and extras.

    Args:
        folder: where run folders will be made; the current folder when left out.
    """
    return judge(look(folder or Path.cwd()))


def judge(facts: Facts) -> Report:
    """The report over facts, however they were come by."""
    rows = [
        Row("python", python(facts.python, facts.requires_python)),
        Row("torch", torch_build(facts.torch)),
    ]
    rows += [Row("gpu", finding) for finding in gpus(facts.torch)]
    rows.append(Row("torchvision", torchvision(facts.torch)))
    rows.append(Row("opencv", opencv(facts.opencv)))
    rows.append(Row("font", font(facts.chinese_font)))
    rows += [Row("disk", disk(place, free)) for place, free in facts.free.items()]
    rows.append(Row("writable", writable(facts.unwritable)))
    rows.append(Row("memory", memory(facts.memory)))
    rows.append(Row("threads", threads(facts.cores, facts.torch)))
    rows += [Row("extra", extra(name, missing)) for name, missing in facts.missing_extras.items()]
    return Report("yolograft", tuple(rows))


def python(version: tuple[int, int, int], requires: str) -> Finding:
    """The interpreter against ``Requires-Python`` (clauses ``>=`` and ``<``)."""
    have = ".".join(map(str, version))
    for sign, major, minor in re.findall(r"(>=|<)\s*(\d+)\.(\d+)", requires):
        bound = (int(major), int(minor))
        if (version[:2] < bound) if sign == ">=" else (version[:2] >= bound):
            return failed("python_unfit", version=have, requires=requires)
    return passed("version", version=have)


def torch_build(torch: TorchFacts) -> Finding:
    """torch imports, and its build and the driver fit together.

    A driver without a GPU to be seen is an ordinary thing: a login node, a container without GPUs, a
    ``CUDA_VISIBLE_DEVICES`` that is empty.
    """
    if torch.error:
        return failed("torch_broken", error=torch.error)
    values = {"version": torch.version, "cuda": torch.cuda_build}
    if torch.gpus:
        return passed("torch_gpu", **values)
    if not torch.driver:
        return passed("torch_cpu", **values)
    if not torch.cuda_build:
        return warned("cpu_build", **values)
    if OLD_DRIVER.search(torch.cuda_error):
        return failed("driver_old", **values)
    return warned("gpu_hidden", error=torch.cuda_error or "is_available() is False", **values)


def gpus(torch: TorchFacts) -> Iterator[Finding]:
    """One finding a GPU: the build holds kernels for it."""
    for name, capability in torch.gpus:
        reason = missing_kernels(capability, torch.arch_list)
        if reason:
            yield failed("no_kernels", name=name, reason=reason)
        else:
            yield passed("kernels", name=name, capability=f"{capability[0]}.{capability[1]}")


def torchvision(torch: TorchFacts) -> Finding:
    """Its operators run, and it was made for the torch that is installed."""
    if torch.error:
        return skipped("after_torch")
    values = {"version": torch.torchvision, "wants": torch.wants, "torch": torch.version}
    if torch.wants and torch.version.partition("+")[0] != torch.wants:
        return failed("torchvision_other", **values)
    if torch.torchvision_error:
        return failed("torchvision_broken", error=torch.torchvision_error, **values)
    return passed("version", **values)


def opencv(distributions: tuple[str, ...]) -> Finding:
    """Exactly one distribution writes into the folder ``cv2``."""
    names = ", ".join(distributions)
    if len(distributions) > 1:
        surplus = " ".join(name for name in distributions if name != "opencv-python-headless")
        return failed("two_opencv", names=names, surplus=surplus)
    return passed("version", version=names) if distributions else failed("no_opencv")


def font(file: str) -> Finding:
    """Figures with Chinese class names need one."""
    return passed("font_found", file=Path(file).name) if file else warned("no_font")


def disk(place: str, free: int) -> Finding:
    """Room for run folders and for temporary files."""
    values = {"place": place, "free": f"{free / GIB:.1f}"}
    if free < DISK_FULL:
        return failed("disk_full", **values)
    return warned("disk_low", **values) if free < DISK_LOW else passed("disk_free", **values)


def writable(refused: tuple[str, ...]) -> Finding:
    """Run folders and temporary files can be made."""
    return failed("read_only", places=", ".join(refused)) if refused else passed("can_write")


def memory(available: int | None) -> Finding:
    """Memory that is free now."""
    if available is None:
        return skipped("memory_unknown")
    values = {"free": f"{available / GIB:.1f}"}
    return warned("memory_low", **values) if available < MEMORY_LOW else passed("memory_free", **values)


def threads(cores: int, torch: TorchFacts) -> Finding:
    """torch computes on the cores there are: not on more, nor on less than half (it leaves out twins)."""
    if torch.error:
        return skipped("after_torch")
    values = {"cores": cores, "threads": torch.threads}
    fits = cores / 2 <= torch.threads <= cores
    return passed("threads_fit", **values) if fits else warned("threads_other", **values)


def extra(name: str, missing: tuple[str, ...]) -> Finding:
    """An optional part that is not installed is no defect."""
    return skipped("extra_missing", name=name, packages=", ".join(missing))
