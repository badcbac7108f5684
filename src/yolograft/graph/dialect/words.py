"""What a module name of the index dialect means: our module, and the orders of its positional arguments.

The table itself is data of `models`; graph functions take it as an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from yolograft.graph.spec import Args, Value

Kind = Literal[
    "out", "in", "whole", "odd", "share", "number", "switch", "not", "text", "wholes", "padding",
    "only", "any",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slot:
    """One positional argument.

    title: the argument in messages. option: of ours that it fills; empty for one that fills none.
    kind: ``out`` channels of the output, scaled by width; ``in`` channels of the input, checked and left out;
    ``whole`` a whole number from 1 to ``most``, ``odd`` an odd one; ``share`` the same or its reciprocal;
    ``number``, ``switch``, ``not`` (a switch that means the opposite), ``text``; ``wholes`` one whole number
    or several; ``padding`` half the kernel or a number of its own; ``only`` one of ``allowed``; ``any``.
    default: of our option. absent: what the foreign class takes where nothing is written, if not that.
    """

    title: str
    kind: Kind
    option: str = ""
    default: Value | None = None
    absent: Value | None = None
    most: int = 1 << 16
    allowed: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """One order of arguments.

    least: how many must be written. usual: how many people write. fixed: options this form implies. out: the
    option that holds the channel count of the output, where it is not that of the input. doubt: why a row of
    this form, though it can be read, is not what the class takes.
    """

    slots: tuple[Slot, ...]
    least: int = 0
    usual: int = 0
    fixed: Args = ()
    out: str = ""
    doubt: str = ""

    def order(self) -> str:
        """The arguments as a message shows them."""
        titles = [slot.title for slot in self.slots]
        head, tail = titles[: self.least], titles[self.least :]
        return f"[{', '.join(head + [f'{title}?' for title in tail])}]"


@dataclass(frozen=True, slots=True)
class Word:
    """A module by the names it has in the wild.

    module: catalog name, or a reference to a class of the user's own. names: the first is written. forms: in
    the order they are tried. kind: ``module`` reads one map, ``join`` several; ``head`` ends the network.
    keeps: gives a map of the shape it gets, so that it can stand for the layer it follows. repeats: the
    number of a row is an option of it rather than a chain. probe: hands its map through, and has no start
    as the identity to lose. gcd_groups: a convolution whose groups are the
    greatest common divisor of both channel counts.
    """

    module: str
    names: tuple[str, ...]
    forms: tuple[Form, ...]
    kind: Literal["module", "join", "head"] = "module"
    keeps: bool = False
    repeats: bool = False
    probe: bool = False
    gcd_groups: bool = False

    def defaults(self) -> dict[str, Value]:
        """Our defaults of the options this word can write."""
        slots = (slot for form in self.forms for slot in form.slots)
        return {slot.option: slot.default for slot in slots if slot.option and slot.default is not None}


Words = Mapping[str, Word]


def by_name(*words: Word) -> dict[str, Word]:
    """Name -> word; catalog names are names too. A later word takes a name from an earlier one."""
    table = {word.module: word for word in reversed(words)}
    return table | {name: word for word in words for name in word.names}
