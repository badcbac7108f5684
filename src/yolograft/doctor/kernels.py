"""Does a torch build hold kernels for a GPU?

Names of architectures as in the CUDA documentation: ``sm_86`` is machine code, which runs on every device of
the same major and an equal or higher minor capability; ``sm_90a`` runs on that capability alone, ``sm_100f``
on its family; ``compute_90`` is an intermediate text that the driver compiles for any newer device.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")


def missing_kernels(capability: tuple[int, int], arch_list: Iterable[str]) -> str:
    """Why a device cannot run this torch build, in one line; empty when it can.

    Args:
        capability: compute capability (major, minor), ``torch.cuda.get_device_capability()``.
        arch_list: what the build was made for, ``torch.cuda.get_arch_list()``. Without CUDA names (a build
            for the CPU, or for ROCm) nothing is judged.
    """
    built = [match.groups() for name in arch_list if (match := _ARCHITECTURE.fullmatch(name))]
    if not built:
        return ""
    for kind, major, minor, suffix in built:
        target = (int(major), int(minor))
        if suffix == "a":
            fits = capability == target
        elif kind == "sm" or suffix == "f":
            fits = capability[0] == target[0] and capability >= target
        else:
            fits = capability >= target
        if fits:
            return ""
    known = sorted({(int(major), int(minor)) for _, major, minor, _ in built})
    have = ", ".join(f"{major}.{minor}" for major, minor in known)
    return f"compute capability {capability[0]}.{capability[1]}, this torch build has kernels for {have}"
