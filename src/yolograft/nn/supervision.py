"""What modules share whose map is supervised after the forward pass that made it."""

from __future__ import annotations

from torch import Tensor

from yolograft.errors import ModuleError


def waiting_map(module: str, kept: Tensor | None) -> Tensor:
    """The map a module kept in its last forward pass in training mode (YG250 where there is none)."""
    if kept is None:
        raise ModuleError(
            "YG250",
            f"{module} has no map to supervise: its loss is asked for once after each training forward pass",
            fix="call the detector in training mode first",
        )
    return kept
