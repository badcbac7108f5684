"""The public examination of anybody's module, and of the machine it is to run on.

``check_module`` is loaded on first use: the machine is examined without torch where torch is what fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yolograft.doctor.examine import check_module
    from yolograft.doctor.report import Report, Row

__all__ = ["Report", "Row", "check_module"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module 'yolograft.doctor' has no attribute '{name}'")
    place = "examine" if name == "check_module" else "report"
    return getattr(import_module(f"yolograft.doctor.{place}"), name)
