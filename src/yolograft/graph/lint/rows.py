"""Do the arguments of the user's rows say what their modules take, on the maps they get?"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence

from yolograft.errors import SpecError
from yolograft.graph.dialect.indexfile import IMAGE_INDEX, Row, Scale
from yolograft.graph.dialect.rowargs import Note, Width, read_arguments
from yolograft.graph.dialect.words import Form, Slot, Word, Words
from yolograft.graph.lint.finding import Finding, listed
from yolograft.graph.lint.mend_row import RowReading, corrected, row_example, shown
from yolograft.graph.spec import Value
from yolograft.graph.zoofile import scaled_channels

# Image sides people train at; a window has to divide the map of each.
IMAGES = (640, 320, 416)
UNKNOWN = Width(None, None)
# Classes that take the channel count twice, and that rows in the wild give it once.
NEEDS_BOTH = frozenset({"CoordAtt"})
KINDS = {
    "whole": "a whole number",
    "odd": "an odd number",
    "switch": "True or False",
    "in": "a channel count",
}


def read_rows(rows: Sequence[Row], words: Words, scale: Scale) -> tuple[RowReading, ...]:
    """Every row read as far as it can be; a row that cannot keeps the channels of its input."""
    out: dict[int, Width] = {IMAGE_INDEX: Width(3, 3)}
    readings = []
    for row in rows:
        word = words.get(row.module)
        read = [out.get(index, UNKNOWN) for index in row.inputs]
        width = _joined(read) if word is not None and word.kind == "join" else read[0]
        arguments = None
        if word is not None and word.forms and word.kind != "head":
            try:
                arguments = read_arguments(row, word, width=width, scale=scale, file="")
            except SpecError:
                arguments = None
        out[row.index] = arguments.out if arguments is not None else width
        readings.append(RowReading(row, word, arguments, width))
    return tuple(readings)


def _joined(read: Sequence[Width]) -> Width:
    real, written = [w.real for w in read], [w.written for w in read]
    return Width(
        None if None in real else sum(filter(None, real)),
        None if None in written else sum(filter(None, written)),
    )


def lint_rows(
    readings: Sequence[RowReading],
    strides: Sequence[float],
    words: Words,
    scale: Scale,
    *,
    foreign: Collection[str],
) -> Iterator[Finding]:
    """Names (YG154), arguments (YG155, YG156), channel numbers (YG157) and sizes (YG163 to YG166).

    Args:
        foreign: module names that mean a class of the user's own.
    """
    for reading in readings:
        row, word = reading.row, reading.word
        if word is None:
            if not row.module.startswith("timm:"):
                yield _unknown(row, words)
            continue
        if word.kind == "head" or not word.forms:
            continue
        wrong = list(_arguments(reading, word, words))
        yield from wrong
        if word.keeps and row.inputs[0] > IMAGE_INDEX:
            if not wrong:
                yield from _channel_number(reading, scale)
            if row.module not in foreign:  # those are tried at every size instead
                yield from _sizes(reading, word, strides[row.inputs[0]])


def _unknown(row: Row, words: Words) -> Finding:
    near = difflib.get_close_matches(row.module, words, n=1, cutoff=0.6)
    name = row.module.rpartition(".")[2][:40]
    values = {"module": row.module[:40], "name": name, "near": f" ({near[0]}?)" if near else ""}
    return Finding("YG154", "unknown", row.line, values)


def _arguments(reading: RowReading, word: Word, words: Words) -> Iterator[Finding]:
    row, found = reading.row, reading.arguments
    doubtful = found is not None and any(note.wrong for note in found.notes)
    twice = row.module in NEEDS_BOTH and len(row.args) == 1 and type(row.args[0]) is int
    if found is not None and not doubtful and not twice:
        return
    count = len(row.args) - (1 if row.args and isinstance(row.args[-1], dict) else 0)
    form = _meant_form(word, count, more=doubtful or twice)
    if found is None and _misfits(reading, word, form):
        # A channel count alone fits no option: what is behind it in a longer order is left out.
        longer = (f for f in word.forms if f.least > count and not f.doubt)
        form = next((f for f in longer if count and not _misfits(reading, word, f)), form)
    left_out = [slot.title for slot in form.slots[count : form.least]]
    values: dict[str, object] = {
        **{"module": row.module, "args": shown(row.args), "count": count, "names": listed(left_out)},
        **{"order": listed([slot.title for slot in form.slots[: max(form.least, 1)]])},
    }
    if left_out:
        better = corrected(reading, word, words) if not row.args else None
        values["example"] = row_example(*better) if better else f"[{values['order']}]"
        yield Finding("YG155", "missing_arguments" if row.args else "no_arguments", row.line, values)
    elif count > len(form.slots):
        most = {"order": form.order()[1:-1], "extra": shown(row.args[len(form.slots) : count])}
        yield Finding("YG156", "surplus", row.line, {**values, **most})
    elif found is None:
        yield _wrong_kind(reading, word, form, values)
    else:
        doubt = next(note for note in found.notes if note.wrong)
        yield Finding("YG156", "refused", row.line, {**values, "error": _cause(doubt)})


def _wrong_kind(reading: RowReading, word: Word, form: Form, values: Mapping[str, object]) -> Finding:
    """The first value that its slot refuses."""
    row = reading.row
    for slot, raw in zip(form.slots, row.args, strict=False):
        if _misfit(reading, word, slot, raw):
            even = slot.kind == "odd" and type(raw) is int and raw % 2 == 0
            named = {"name": slot.title, "value": raw, "wanted": KINDS.get(slot.kind, slot.kind)}
            return Finding(
                "YG165" if even else "YG156", "even_kernel" if even else "kind", row.line, {**values, **named}
            )
    return Finding(
        "YG156", "surplus", row.line, {**values, "order": form.order()[1:-1], "extra": shown(row.args)}
    )


def _cause(note: Note) -> str:
    return note.cause.partition(": ")[2] or note.cause


def _misfits(reading: RowReading, word: Word, form: Form) -> bool:
    pairs = zip(form.slots, reading.row.args, strict=False)
    return any(_misfit(reading, word, slot, raw) for slot, raw in pairs)


def _misfit(reading: RowReading, word: Word, slot: Slot, raw: object) -> bool:
    """A value that alone, under its slot alone, is refused."""
    alone = Word(word.module, word.names, (Form((slot,), least=1),))
    row = Row(0, (-1,), (-1,), 1, word.names[0], (raw,), 1)
    try:
        read_arguments(row, alone, width=reading.width, scale=Scale(1, 1), file="")
    except SpecError:
        return True
    return False


def _meant_form(word: Word, count: int, *, more: bool) -> Form:
    """The order of arguments that is meant: one without a doubt that takes so many, or needs more."""
    sound = [form for form in word.forms if not form.doubt] or list(word.forms)
    longer = sorted((form for form in sound if form.least > count), key=lambda form: form.least)
    fitting = [form for form in sound if form.least <= count <= len(form.slots)]
    longest = sorted(sound, key=lambda form: -len(form.slots))
    return ((longer if more else fitting) or longer or longest)[0]


def _channel_number(reading: RowReading, scale: Scale) -> Iterator[Finding]:
    row, width = reading.row, reading.width
    number = row.args[0] if row.args else None
    takes_one = any(form.slots[:1] and form.slots[0].kind == "in" for form in reading.word.forms)  # type: ignore[union-attr]
    if reading.arguments is None or not takes_one or type(number) is not int or width.real is None:
        return
    astray = any(note.code == "YG146" for note in reading.arguments.notes)
    values: dict[str, object] = {
        **{"module": row.module, "args": shown(row.args), "number": number, "width": f"{scale.width:g}"},
        **{"channels": width.real, "scaled": _scaled(number, scale)},
    }
    if astray or (number == width.real != width.written):
        yield Finding("YG157", "number_trap", row.line, values)
    elif number == width.written != width.real:
        yield Finding("YG157", "number_scaled", row.line, values, note=True)


def _scaled(number: int, scale: Scale) -> int:
    return scaled_channels(min(number, scale.max_channels), scale.width)


def _sizes(reading: RowReading, word: Word, stride: float) -> Iterator[Finding]:
    """Heads, kernels and windows by their options, before anything is built."""
    row, width = reading.row, reading.width
    options = written_options(reading, word)
    values: dict[str, object] = {"module": row.module, "channels": width.real}
    heads, split = options.get("heads"), options.get("group_split")
    if type(heads) is int and width.real and width.real % heads:
        yield Finding("YG164", "heads", row.line, {**values, "heads": heads})
    if isinstance(split, tuple) and type(heads) is int and sum(map(int, split)) != heads:
        shared = {"split": list(split), "sum": sum(map(int, split)), "heads": heads}
        yield Finding("YG156", "split", row.line, {**values, **shared})
    for name in ("kernels", "kernel"):
        sizes = options.get(name)
        numbers = sizes if isinstance(sizes, tuple) else (sizes,)
        if any(type(number) is int and number > 0 and number % 2 == 0 for number in numbers):
            shown_sizes = list(sizes) if isinstance(sizes, tuple) else sizes
            yield Finding("YG165", "even_kernel", row.line, {**values, "name": name, "value": shown_sizes})
    window = options.get("window")
    pooled = not (isinstance(split, tuple) and split and split[-1] == 0)
    if type(window) is int and pooled:
        yield from _window(row, window, stride, values)


def _window(row: Row, window: int, stride: float, values: Mapping[str, object]) -> Iterator[Finding]:
    sides = {image: int(image // stride) for image in IMAGES}
    if window == 1:
        tokens = sides[IMAGES[0]] ** 2
        yield Finding("YG166", "window_one", row.line, {**values, "tokens": tokens}, note=True)
        return
    bad = [image for image, side in sides.items() if side % window]
    if bad:
        more: dict[str, object] = {
            **{"window": window, "images": listed(bad)},
            **{"sizes": listed([sides[image] for image in bad])},
        }
        # Ours takes means over what is there of a window; the class the name comes from fails.
        yield Finding("YG163", "window", row.line, {**values, **more}, note=True)


def written_options(reading: RowReading, word: Word) -> dict[str, Value]:
    """The options a row gives, its class's own defaults for the rest."""
    options = dict(word.defaults())
    for form in word.forms[:1]:
        options |= {s.option: s.absent for s in form.slots if s.option and s.absent is not None}
    return options | (dict(reading.arguments.options) if reading.arguments is not None else {})
