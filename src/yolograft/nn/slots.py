"""The branches of a decoupled head by name: ``p3.cls``, ``p3.box`` ...; modules can be grafted inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from yolograft.errors import ModuleError

BRANCHES = ("cls", "box")


def level_name(stride: int) -> str:
    """``p3`` for stride 8: the map there has a side of 1 / 2^3 of the image's."""
    return f"p{stride.bit_length() - 1}"


def branch_slots(strides: Sequence[int]) -> tuple[str, ...]:
    """Names of the branches of a head with these strides."""
    return tuple(f"{level_name(stride)}.{branch}" for stride in strides for branch in BRANCHES)


def check_slots(asked: Iterable[str], slots: Sequence[str]) -> None:
    """See that the head has every branch that is asked for.

    Raises:
        ModuleError: it has not (YG209).
    """
    for slot in asked:
        if slot not in slots:
            raise ModuleError(
                "YG209", f"the head has no branch '{slot}'", fix=f"branches: {', '.join(slots)}"
            )
