"""Checks of module options: the value back as asked for, or one line that names expected and actual.

Codes: YG210 (a number out of range), YG211 (not one of the choices), YG214 (does not divide the channels).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from yolograft.errors import ModuleError


def whole_number(module: str, name: str, value: Any, *, least: int = 1) -> int:
    """An int of at least ``least``; True and 2.0 are none (YG210)."""
    if type(value) is not int or value < least:
        raise ModuleError("YG210", f"{module}: {name} must be a whole number >= {least}, got {value!r}")
    return value


def odd_number(module: str, name: str, value: Any) -> int:
    """A kernel size that has a centre: 1, 3, 5 ... (YG210)."""
    if type(value) is not int or value < 1 or value % 2 == 0:
        raise ModuleError("YG210", f"{module}: {name} must be an odd whole number >= 1, got {value!r}")
    return value


def whole_numbers(module: str, name: str, value: Any, *, odd: bool = False) -> tuple[int, ...]:
    """Whole numbers >= 0, or odd ones: 5, (3, 5), or 3-5 as a graft expression writes it (YG210)."""
    items: Any = [value] if type(value) is int else value
    if isinstance(value, str):
        # isascii: isdigit alone takes superscripts, which int refuses.
        items = [int(item) if item.isascii() and item.isdigit() else item for item in value.split("-")]
    fits = isinstance(items, Sequence) and all(type(item) is int and item >= 0 for item in items)
    if not fits or not items or (odd and not all(item % 2 for item in items)):
        kind = "odd whole numbers >= 1" if odd else "whole numbers >= 0"
        raise ModuleError("YG210", f"{module}: {name} must be {kind} such as 3-5, got {value!r}")
    return tuple(items)


def number(module: str, name: str, value: Any, *, above: float | None = None) -> float:
    """A finite number >= 0, or > ``above`` where that is given (YG210)."""
    low = value if type(value) in (int, float) and math.isfinite(value) else -math.inf
    if low < 0 or (above is not None and low <= above):
        bound = ">= 0" if above is None else f"> {above:g}"
        raise ModuleError("YG210", f"{module}: {name} must be a finite number {bound}, got {value!r}")
    return float(value)


def share(module: str, name: str, value: Any) -> float:
    """A probability of dropping, 0 <= value < 1: at 1 nothing would be left (YG210)."""
    if type(value) not in (int, float) or not 0 <= value < 1:
        raise ModuleError("YG210", f"{module}: {name} must be >= 0 and < 1, got {value!r}")
    return float(value)


def choice(module: str, name: str, value: Any, choices: Collection[str]) -> str:
    """One of ``choices`` (YG211)."""
    if not isinstance(value, str) or value not in choices:
        raise ModuleError("YG211", f"{module}: {name} must be one of {', '.join(choices)}, got {value!r}")
    return value


def switch(module: str, name: str, value: Any) -> bool:
    """On or off (YG211)."""
    if type(value) is not bool:
        raise ModuleError("YG211", f"{module}: {name} must be on or off, got {value!r}")
    return value


def batch_norm(module: str, name: str, value: Any) -> bool:
    """Whether to normalise: ``batch`` (or on) or ``none`` (or off) (YG211)."""
    if type(value) is bool:
        return value
    if value not in ("batch", "none"):
        raise ModuleError("YG211", f"{module}: {name} must be batch or none, got {value!r}")
    return value == "batch"


def divisor(module: str, name: str, value: Any, channels: int, *, most: int | None = None) -> int:
    """A whole number <= ``most`` that divides ``channels``; the error names them (YG210, YG214)."""
    most = channels if most is None else most
    if channels % whole_number(module, name, value) or value > most:
        fitting = [str(n) for n in range(1, most + 1) if channels % n == 0]
        if len(fitting) > 16:
            fitting = [*fitting[:15], "..."]
        cause = f"{module}: {name}={value} does not divide {channels} channels"
        if value > most and channels % value == 0:
            cause = f"{module}: {name} must be at most {most} for {channels} channels, got {value}"
        raise ModuleError("YG214", cause, fix=f"{name}: {', '.join(fitting)}")
    return value
