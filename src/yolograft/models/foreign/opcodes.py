"""An inert machine for pickle streams: it follows every step and carries out none.

The standard library's ``pickletools`` takes the stream apart without running it. Where a pickle would import
a name, here is a `Name`; where it would call something, a `Call`, which nobody makes; where it would set the
state of an object, the state is laid beside the call. A file can describe whatever it likes: it stays a
description.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from yolograft.errors import CheckpointError
from yolograft.models.foreign.limits import Limits


@dataclass(frozen=True, slots=True)
class Name:
    """Something a pickle would import."""

    module: str
    qualname: str

    @property
    def text(self) -> str:
        """``module.qualname``."""
        return f"{self.module}.{self.qualname}"


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """Something a pickle would make by calling ``target``, and what it would do to it afterwards.

    pairs: what it would set by key. items: what it would append or add. states: what ``__setstate__`` or
    ``__dict__`` would receive, in order.
    """

    target: Any
    args: Any
    kwargs: Any = None
    pairs: dict[Any, Any] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True, repr=False)
class Storage:
    """A run of numbers beside the pickle. kind: the class torch would load it with; count: its elements."""

    kind: Name
    key: str
    count: int


@dataclass(slots=True, eq=False, repr=False)
class Bag:
    """A set whose members need no hash."""

    items: list[Any]


@dataclass(slots=True, eq=False, repr=False)
class _Unhashed:
    """Stands for a dictionary key that is no plain value."""

    value: Any


@dataclass(slots=True, repr=False)
class Machine:
    """What a pickle stream has built so far; ``named`` is all that it would have imported."""

    stack: list[Any] = field(default_factory=list)
    outer: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    named: set[Name] = field(default_factory=set)

    def to_mark(self) -> list[Any]:
        """The values since the last mark; the stack below it is the stack again."""
        values, self.stack = self.stack, self.outer.pop()
        return values

    def push(self, value: Any) -> None:
        """Lay a value on the stack."""
        self.stack.append(value)

    def pop(self, count: int) -> tuple[Any, ...]:
        """The topmost values, lowest first."""
        if len(self.stack) < count:
            raise IndexError("stack underflow")
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        return values

    def name(self, module: str, qualname: str) -> Name:
        """A name that is not imported."""
        name = Name(module, qualname)
        self.named.add(name)
        return name

    def call(self, target: Any, args: Any, kwargs: Any = None) -> None:
        """Lay down a call that is not made."""
        self.push(Call(target, args, kwargs))


Step = Callable[[Machine, Any], None]

# Steps that reach outside the stream in ways no checkpoint of torch needs.
_NOT_READ = frozenset({"EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER", "READONLY_BUFFER"})
_PUSHES_ITS_ARGUMENT = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
})  # fmt: skip
_DAMAGE = (ValueError, IndexError, KeyError, TypeError, AssertionError, OverflowError, struct.error)


def interpret(data: bytes, limits: Limits) -> tuple[Any, frozenset[Name]]:
    """Follow a pickle stream to its end.

    Returns:
        what it describes, made of plain values, `Name`, `Call`, `Storage` and `Bag`; containers may hold
        themselves. And every name in it.

    Raises:
        CheckpointError: no valid stream (YG433), a step that is not read (YG434) or too many steps
            (YG431).
    """
    machine = Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count >= limits.opcodes:
                raise CheckpointError("YG431", f"its pickle has over {limits.opcodes} steps")
            if isinstance(argument, str | bytes | bytearray) and len(argument) > limits.text:
                raise CheckpointError("YG431", f"its pickle has a text of {len(argument)} bytes")
            if opcode.name == "STOP":
                return machine.pop(1)[0], frozenset(machine.named)
            if opcode.name in _PUSHES_ITS_ARGUMENT:
                machine.stack.append(argument)
            elif opcode.name in _NOT_READ:
                raise CheckpointError("YG434", f"its pickle has the step {opcode.name}, which is not read")
            else:
                _STEPS[opcode.name](machine, argument)
    except _DAMAGE as error:
        raise CheckpointError(
            "YG433", f"its pickle breaks off or is damaged ({type(error).__name__})"
        ) from error
    raise CheckpointError("YG433", "its pickle has no end")


def _plain_key(key: Any) -> Any:
    """A key that hashes in constant time: numbers nested in numbers would recurse without end."""
    if key is None or isinstance(key, str | bytes | int | float | Name):
        return key
    return _Unhashed(key)


def _set(target: Any, keys: list[Any], values: list[Any]) -> None:
    if isinstance(target, Call):
        target = target.pairs
    if not isinstance(target, dict):
        raise TypeError("set items of what is no mapping")
    target.update(zip(map(_plain_key, keys), values, strict=True))


def _extend(target: Any, values: list[Any]) -> None:
    if isinstance(target, Call | Bag):
        target = target.items
    if not isinstance(target, list):
        raise TypeError("append to what is no list")
    target.extend(values)


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(map(_plain_key, values[::2]), values[1::2], strict=True))


def _mark(machine: Machine, _: Any) -> None:
    machine.outer.append(machine.stack)
    machine.stack = []


def _pop(machine: Machine, _: Any) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.to_mark()


def _set_item(machine: Machine, _: Any) -> None:
    key, value = machine.pop(2)
    _set(machine.stack[-1], [key], [value])


def _set_items(machine: Machine, _: Any) -> None:
    values = machine.to_mark()
    _set(machine.stack[-1], values[::2], values[1::2])


def _append(machine: Machine, _: Any) -> None:
    (value,) = machine.pop(1)
    _extend(machine.stack[-1], [value])


def _extend_by_mark(machine: Machine, _: Any) -> None:
    values = machine.to_mark()
    _extend(machine.stack[-1], values)


def _memoize(machine: Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _put(machine: Machine, index: int) -> None:
    machine.memo[index] = machine.stack[-1]


def _get(machine: Machine, index: int) -> None:
    machine.stack.append(machine.memo[index])


def _global(machine: Machine, text: str) -> None:
    module, _, qualname = text.partition(" ")
    machine.push(machine.name(module, qualname))


def _stack_global(machine: Machine, _: Any) -> None:
    module, qualname = machine.pop(2)
    if not (isinstance(module, str) and isinstance(qualname, str)):
        raise TypeError("a name that is no text")
    machine.push(machine.name(module, qualname))


def _new_obj_ex(machine: Machine, _: Any) -> None:
    machine.call(*machine.pop(3))


def _reduce(machine: Machine, _: Any) -> None:
    target, args = machine.pop(2)
    if not isinstance(args, tuple):
        raise TypeError("arguments that are no tuple")
    machine.call(target, args)


def _obj(machine: Machine, _: Any) -> None:
    target, *args = machine.to_mark()
    machine.call(target, tuple(args))


def _inst(machine: Machine, text: str) -> None:
    args = machine.to_mark()
    module, _, qualname = text.partition(" ")
    machine.call(machine.name(module, qualname), tuple(args))


def _build(machine: Machine, _: Any) -> None:
    (state,) = machine.pop(1)
    if not isinstance(machine.stack[-1], Call):
        raise TypeError("a state for what is no object")
    machine.stack[-1].states.append(state)


def _persistent(machine: Machine, _: Any) -> None:
    (given,) = machine.pop(1)
    match given:
        case ("storage", Name() as kind, str(key), _, int(count)) if count >= 0 and type(count) is int:
            machine.stack.append(Storage(kind, key, count))
        case _:
            raise CheckpointError(
                "YG434", "its pickle refers to something outside that is no storage of torch"
            )


def _nothing(machine: Machine, _: Any) -> None:
    """A step of the framing, or one whose work the other steps do."""


_STEPS: dict[str, Step] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_SET": lambda m, _: m.push(Bag([])),
    "LIST": lambda m, _: m.push(m.to_mark()),
    "TUPLE": lambda m, _: m.push(tuple(m.to_mark())),
    "TUPLE1": lambda m, _: m.push(m.pop(1)),
    "TUPLE2": lambda m, _: m.push(m.pop(2)),
    "TUPLE3": lambda m, _: m.push(m.pop(3)),
    "DICT": lambda m, _: m.push(_pairs(m.to_mark())),
    "FROZENSET": lambda m, _: m.push(Bag(m.to_mark())),
    "APPEND": _append,
    "APPENDS": _extend_by_mark,
    "ADDITEMS": _extend_by_mark,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": lambda m, _: m.to_mark().clear(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _memoize,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_obj_ex,
    "OBJ": _obj,
    "INST": _inst,
    "BUILD": _build,
    "BINPERSID": _persistent,
}
