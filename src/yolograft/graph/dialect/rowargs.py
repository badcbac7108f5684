"""The positional arguments of a row, read by the forms a module has in the wild, and written by them."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yolograft.errors import SpecError
from yolograft.graph.dialect.indexfile import Row, Scale
from yolograft.graph.dialect.words import Form, Slot, Word
from yolograft.graph.spec import Value
from yolograft.graph.zoofile import scaled_channels

MOST_KERNEL, MOST_REDUCTION = 63, 64


class _Misfit:
    """What a value is read as that a slot does not take."""


@dataclass(frozen=True, slots=True)
class Width:
    """Channels of a map. real: in the network. written: as the file counts them, before any scaling.

    None where a class of the user's own decides.
    """

    real: int | None
    written: int | None


@dataclass(frozen=True, slots=True)
class Note:
    """Something about a row that a reader ought to hear.

    wrong: the row is not what its module takes; it can be read, but nobody should train it unasked.
    """

    code: str
    line: int
    cause: str
    fix: str = ""
    wrong: bool = False

    def error(self, file: str) -> SpecError:
        """The note as an error with file and line."""
        return SpecError(self.code, self.cause, where=f"{file}:{self.line}", fix=self.fix)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a row's arguments say: options of ours that differ from our defaults, and the output channels."""

    options: Mapping[str, Value]
    out: Width
    notes: tuple[Note, ...] = ()


@dataclass(slots=True)
class _Attempt:
    """One form tried on one row. strict: a channel count must be the right one."""

    form: Form
    width: Width
    scale: Scale
    strict: bool
    options: dict[str, Value] = field(default_factory=dict)
    out: Width | None = None
    counts: list[int] = field(default_factory=list)  # channels of the input, as the row has them

    def fits(self, values: Sequence[Any], named: Container[str] = ()) -> bool:
        if len(values) > len(self.form.slots):
            return False
        left_out = self.form.slots[len(values) : self.form.least]
        if not all(slot.kind == "any" and slot.option in named for slot in left_out):
            return False
        self.options.update(self.form.fixed)
        for slot, raw in zip(self.form.slots, values, strict=False):
            value = self._value(slot, raw)
            if value is _Misfit:
                return False
            self._set(slot, value)
        for slot in self.form.slots[len(values) :]:
            self._set(slot, slot.absent)
        if self.form.out and self.out is None:
            number = self.options.get(self.form.out)
            self.out = Width(number, number) if type(number) is int else None
        return True

    def _set(self, slot: Slot, value: Any) -> None:
        value = tuple(value) if isinstance(value, list) else value
        if slot.option and value is not None and value != slot.default:
            self.options[slot.option] = value

    def _value(self, slot: Slot, raw: Any) -> Any:
        if slot.kind == "in":
            return self._input(raw)
        if slot.kind == "out":
            if not _whole(raw, slot.most):
                return _Misfit
            real = scaled_channels(min(raw, self.scale.max_channels), self.scale.width)
            self.out = Width(real, raw)
            return real
        if slot.kind == "padding":
            if raw is None or raw == self.options.get("kernel", 1) // 2:  # type: ignore[operator]
                return None
            return raw if raw == 0 or _whole(raw, MOST_KERNEL) else _Misfit
        return _plain_value(slot, raw)

    def _input(self, raw: Any) -> Any:
        if raw is None:
            return None
        if not _whole(raw, 1 << 20):
            return _Misfit
        self.counts.append(raw)
        right = self.width.real is None or raw in (self.width.real, self.width.written)
        # A wrong count may stand twice; two different ones are no input and output of one attention.
        return None if right or (not self.strict and raw == self.counts[0]) else _Misfit

    def astray(self) -> int | None:
        """A channel count that is neither written nor real."""
        known = (None, self.width.real, self.width.written)
        return next((n for n in self.counts if self.width.real and n not in known), None)


def _whole(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _plain_value(slot: Slot, raw: Any) -> Any:
    """The value as our option takes it, or a misfit; what needs no map and no scale to be read."""
    kind, out = slot.kind, _Misfit
    if kind == "only":
        out = None if any(raw is item or raw == item for item in slot.allowed) else _Misfit
    elif kind in ("whole", "odd"):
        out = raw if _whole(raw, slot.most) and (kind == "whole" or raw % 2) else _Misfit
    elif kind == "share":
        if type(raw) is float and 0 < raw < 1:
            raw = round(1 / raw)
        out = raw if _whole(raw, MOST_REDUCTION) else _Misfit
    elif kind == "number":
        out = raw if type(raw) in (int, float) and math.isfinite(raw) else _Misfit
    elif kind in ("switch", "not"):
        if type(raw) is bool or (type(raw) is int and raw in (0, 1)):
            out = bool(raw) is (kind == "switch")
    elif kind == "text":
        out = raw if isinstance(raw, str) else _Misfit
    elif kind == "wholes":
        items = raw if isinstance(raw, list) else [raw]
        fits = 0 < len(items) <= 16 and all(type(n) is int and 0 <= n <= slot.most for n in items)
        out = raw if fits else _Misfit
    elif kind == "any":
        out = raw if type(raw) is not int or abs(raw) <= slot.most else _Misfit
    return out


def read_arguments(row: Row, word: Word, *, width: Width, scale: Scale, file: str) -> Arguments:
    """The options a row gives its module.

    Args:
        width: channels of the map it reads.
        file: its name, for messages.

    Raises:
        SpecError: no order of arguments of that module fits (YG145).
    """
    values, named = list(row.args), {}
    if values and isinstance(values[-1], dict):
        named = values.pop()
    for strict in (True, False):
        for form in word.forms:
            attempt = _Attempt(form, width, scale, strict)
            if attempt.fits(values, named):
                options = attempt.options | _named(row, named, file)
                notes = _notes(row, word, attempt)
                return Arguments(options, _out(attempt, options, width), notes)
    raise SpecError("YG145", _complaint(row, word, values), where=f"{file}:{row.line}", fix=_orders(word))


def _out(attempt: _Attempt, options: Mapping[str, Value], width: Width) -> Width:
    number = options.get(attempt.form.out) if attempt.form.out else None
    if attempt.out is not None:
        # An option given by name stands above the argument by position.
        return attempt.out if number == attempt.out.real or number is None else Width(None, None)
    return width


def _named(row: Row, named: Mapping[str, Any], file: str) -> dict[str, Value]:
    """Options by name at the end of a row, a form of ours for what no class in the wild takes."""
    out: dict[str, Value] = {}
    for key, value in named.items():
        items = value if isinstance(value, list) else [value]
        if not str(key).isidentifier() or not all(isinstance(v, bool | int | float | str) for v in items):
            cause = f"{row.module}: '{key}: {value}' is no option"
            raise SpecError("YG145", cause, where=f"{file}:{row.line}", fix="write {option: value}")
        out[str(key)] = tuple(value) if isinstance(value, list) else value
    return out


def _notes(row: Row, word: Word, attempt: _Attempt) -> tuple[Note, ...]:
    notes, width = [], attempt.width
    if attempt.form.doubt:
        cause = f"{row.module} {_shown(row.args)}: {attempt.form.doubt}"
        notes.append(Note("YG145", row.line, cause, _orders(word), wrong=True))
    if (astray := attempt.astray()) is not None:
        real = f"{width.real}, {width.written} before scaling" if width.written else str(width.real)
        cause = f"{row.module} says {astray} channels, its input has {real}"
        notes.append(Note("YG146", row.line, cause, "write that number, or leave it out"))
    return tuple(notes)


def _complaint(row: Row, word: Word, values: Sequence[Any]) -> str:
    most = max((len(form.slots) for form in word.forms), default=0)
    least = min((form.least for form in word.forms), default=0)
    if len(values) > most:
        why = f"{len(values)} arguments, it takes {f'at most {most}' if most else 'none'}"
    elif len(values) < least:
        why = f"{len(values)} arguments, it needs {least}"
    else:
        why = "an argument of the wrong kind or range"
    return f"{row.module} {_shown(row.args)}: {why}"


def _orders(word: Word) -> str:
    sound = [form.order() for form in word.forms if not form.doubt]
    return f"order: {' or '.join(dict.fromkeys(sound[:2]))}"


def _shown(args: Sequence[Any]) -> str:
    text = str(list(args)).replace("'", "")
    return text if len(text) <= 60 else text[:57] + "..."


def write_arguments(word: Word, options: Mapping[str, Value], width: Width) -> list[Any] | None:
    """Arguments that read back to the options, on a map of ``width``; None where no form gives them.

    The shortest that do, of a form with a usual length before others, with the channel count where it is
    known: most parsers leave it to the row. What has no place in the order stands by name at the end.
    """
    fitting: list[tuple[bool, bool, bool, int, list[Any]]] = []
    for form in word.forms:
        args = None if form.doubt else _by_form(form, word, options, width)
        if args is not None:
            by_name = bool(args) and isinstance(args[-1], dict)
            fitting.append((by_name, not _counts_input(form), not form.usual, len(args), args))
    return min(fitting, key=lambda item: item[:4])[4] if fitting else None


def _counts_input(form: Form) -> bool:
    return bool(form.slots) and form.slots[0].kind == "in"


def _by_form(form: Form, word: Word, options: Mapping[str, Value], width: Width) -> list[Any] | None:
    if any(options.get(key) != value for key, value in form.fixed):
        return None
    values = [_written(slot, options, width) for slot in form.slots]
    if any(slot.kind == "in" and value is None for slot, value in zip(form.slots, values, strict=True)):
        return None
    if any(slot.kind == "any" and slot.option not in options for slot in form.slots[: form.least]):
        return None
    by_place = {slot.option for slot in form.slots} | {key for key, _ in form.fixed}
    named = {key: value for key, value in options.items() if key not in by_place}
    for count in range(max(form.least, form.usual, _counts_input(form)), len(values) + 1):
        args = [*values[:count], *([_lists(named)] if named else [])]
        row = Row(0, (-1,), (-1,), 1, word.names[0], tuple(args), 1)
        try:
            back = read_arguments(row, word, width=width, scale=Scale(1.0, 1.0), file="")
        except SpecError:
            continue
        if back.options == dict(options) and not back.notes:
            return args
    return None


def _written(slot: Slot, options: Mapping[str, Value], width: Width) -> Any:
    if slot.kind == "in":
        return width.real
    if slot.kind == "only":
        return slot.allowed[0]
    value = options.get(slot.option, slot.default)
    if slot.kind == "not" and isinstance(value, bool):
        return not value
    return list(value) if isinstance(value, tuple) else value


def _lists(named: Mapping[str, Value]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in named.items()}
