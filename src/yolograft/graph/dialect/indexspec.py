"""What the rows of a file mean: `IndexFile` -> `ModelSpec`, a layer named as the stock layer it is."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolograft.errors import SpecError
from yolograft.graph.anchors import ANCHORS
from yolograft.graph.dialect.align import Nearest, nearest
from yolograft.graph.dialect.indexfile import IMAGE_INDEX, IndexFile, Row, Scale
from yolograft.graph.dialect.naming import Piece, name_pieces, replacements, without_defaults
from yolograft.graph.dialect.rowargs import Note, Width, read_arguments
from yolograft.graph.dialect.stock import STOCK_ANCHORS, Stock, StockLayer
from yolograft.graph.dialect.words import Word, Words
from yolograft.graph.spec import IMAGE, LayerSpec, ModelSpec, Value, frozen_args

_LETTER = re.compile(r"yolov?\d+([a-z])")
IMAGE_WIDTH = Width(3, 3)
MOST_LAYERS, MOST_CHANNELS = 2_000, 1 << 16


@dataclass(frozen=True, slots=True)
class Reading:
    """A file understood.

    spec: the detector it describes, wired as written. notes: what a reader ought to hear of the rows.
    rows: layer name -> its row. nearest: the stock graph it was compared with. widths: channels of each row.
    """

    spec: ModelSpec
    notes: tuple[Note, ...]
    rows: Mapping[str, Row]
    nearest: Nearest
    widths: tuple[Width, ...]


def choose_scale(file: IndexFile, asked: str = "") -> str:
    """The scale that is meant: asked for, else the letter in the file's name, else the file's first.

    Raises:
        SpecError: the file has no such scale (YG130).
    """
    if asked:
        if asked not in file.scales:
            has = ", ".join(filter(None, file.scales)) or "one only: leave the scale out"
            raise SpecError("YG130", f"no scale '{asked}'", where=file.name, fix=f"scales: {has}")
        return asked
    letter = _LETTER.search(Path(file.name).stem.lower())
    return letter[1] if letter and letter[1] in file.scales else next(iter(file.scales))


def read_spec(
    file: IndexFile,
    *,
    stocks: Iterable[Stock],
    words: Words,
    scale: str = "",
    num_classes: int | None = None,
) -> Reading:
    """The detector a file describes.

    Args:
        stocks: the stock graphs to compare with; those of the file's family count.
        words: what module names mean.
        scale: which scale of the file; see `choose_scale`.
        num_classes: of the head; that of the file when left out.

    Raises:
        SpecError: no such scale (YG130), an unknown module (YG144), arguments of no known order (YG145), no
            head at the end, or anchors by number that the stock has not (YG147), absurd sizes (YG141, YG145).
    """
    name = choose_scale(file, scale)
    factors = file.scales[name]
    check_size(file, factors)
    _check_modules(file, words)
    _check_head(file, words)
    found = nearest(file.rows, [stock for stock in stocks if stock.family == file.family], words=words)
    build = _Build(file, factors, words, found)
    for row in file.rows:
        build.add(row)
    classes = file.num_classes if num_classes is None else num_classes
    spec = build.spec(name or _scale_name(found, factors), classes)
    rows = dict(zip((layer.name for layer in spec.layers), build.row_of, strict=True))
    return Reading(spec, tuple(build.notes), rows, found, tuple(build.widths))


def _scale_name(found: Nearest, factors: Scale) -> str:
    """The family's name for the multiples of a file that gives them no name."""
    for name, scale in found.stock.scales.items():
        if (scale.depth, scale.width) == (factors.depth, factors.width) and not found.scale:
            return name
    return found.scale


def check_size(file: IndexFile, factors: Scale) -> None:
    """Refuse what no machine builds in a lifetime, before anything is made of it.

    Raises:
        SpecError: the rows scaled by depth are thousands of layers (YG141).
    """
    layers = 0
    for row in file.rows:
        layers += scaled_repeats(row, factors)
        if layers > MOST_LAYERS:
            cause = f"rows to here make {layers} layers at depth {factors.depth:g}, more than {MOST_LAYERS}"
            where = f"{file.name}:{row.line}"
            raise SpecError("YG141", cause, where=where, fix="lower the numbers or the depth multiple")


def scaled_repeats(row: Row, factors: Scale) -> int:
    """How often a row's module stands there, by its number and the depth multiple."""
    return max(round(row.repeats * factors.depth), 1) if row.repeats > 1 else 1


def _check_modules(file: IndexFile, words: Words) -> None:
    for row in file.rows:
        if row.module not in words and not row.module.startswith("timm:"):
            near = difflib.get_close_matches(row.module, words, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}? " if near else ""
            fix = f"{hint}for a class of your own: --code FILE.py"
            cause = f"no module '{row.module[:60]}'"
            raise SpecError("YG144", cause, where=f"{file.name}:{row.line}", fix=fix)


def _check_head(file: IndexFile, words: Words) -> None:
    heads = [row for row in file.rows if row.module in words and words[row.module].kind == "head"]
    last = file.rows[-1]
    if not heads:
        cause = f"no Detect: the file ends with {last.module}, which finds nothing"
        fix = "add [[rows of P3, P4, P5], 1, Detect, [nc]] as the last row"
        raise SpecError("YG147", cause, where=f"{file.name}:{last.line}", fix=fix)
    if heads != [last]:
        where = f"{file.name}:{heads[0].line}"
        raise SpecError("YG147", "Detect comes last, and once", where=where, fix="move it to the end")


class _Build:
    """Layers of one file, row by row; a row may be a chain of several."""

    def __init__(self, file: IndexFile, factors: Scale, words: Words, found: Nearest) -> None:
        self.file, self.factors, self.words, self.found = file, factors, words, found
        self.notes: list[Note] = []
        self.widths: list[Width] = []
        self.pieces: list[Piece] = []
        self.options: list[dict[str, Value]] = []
        self.row_of: list[Row] = []
        self.last_piece: dict[int, int] = {IMAGE_INDEX: IMAGE_INDEX}  # row -> the piece that ends it
        keeps = [row.module not in words or words[row.module].keeps for row in file.rows]
        inputs = [row.inputs for row in file.rows]
        self.replaced = replacements(inputs, keeps, found.places, found.stock.layers)

    def add(self, row: Row) -> None:
        word = self.words.get(row.module) or Word(row.module, (row.module,), (), keeps=True)
        read = [IMAGE_WIDTH if i == IMAGE_INDEX else self.widths[i] for i in row.inputs]
        place = self.found.places[row.index]
        stock = self.found.stock.layers[place] if place is not None else None
        if word.kind == "head":
            options, width = self._head(row), Width(None, None)
            module = self.found.stock.layers[-1].module
        else:
            options, width = self._module(row, word, read)
            module = word.module
        if word.kind == "module" and len(row.inputs) != 1:
            self._refuse(row, f"{row.module} reads one map, this row names {len(row.inputs)}")
        if word.repeats:
            options["repeats"] = scaled_repeats(row, self.factors)
        if stock is not None:
            options = _as_stock(options, stock, word, self.factors)
        if width.real is not None and width.real > MOST_CHANNELS:
            self._refuse(row, f"{row.module} makes {width.real} channels, more than {MOST_CHANNELS}")
        self.widths.append(width)
        count = 1 if word.repeats or word.kind != "module" else scaled_repeats(row, self.factors)
        if word.kind != "module" and row.repeats != 1:
            self._refuse(row, f"{row.module} {row.repeats} times in a row", fix="number 1")
        for step in range(count):
            inputs = tuple(self.last_piece[i] for i in row.inputs) if step == 0 else (len(self.pieces) - 1,)
            own = stock.name if stock is not None and step == 0 else ""
            replaces = self.replaced.get(row.index, "") if step == 0 else ""
            self.pieces.append(Piece(own, replaces, module, inputs, word.keeps))
            self.options.append(options)
            self.row_of.append(row)
        self.last_piece[row.index] = len(self.pieces) - 1

    def _refuse(self, row: Row, cause: str, *, fix: str = "", code: str = "YG145") -> None:
        raise SpecError(code, cause, where=f"{self.file.name}:{row.line}", fix=fix)

    def _module(self, row: Row, word: Word, read: Sequence[Width]) -> tuple[dict[str, Value], Width]:
        width = read[0]
        if word.kind == "join":
            width = Width(_sum(w.real for w in read), _sum(w.written for w in read))
            if len(read) < 2:
                self._refuse(row, f"{row.module} joins maps, this row names one")
        if not word.forms:
            return _by_name(row), width
        found = read_arguments(row, word, width=width, scale=self.factors, file=self.file.name)
        options = dict(found.options)
        if word.gcd_groups and width.real and found.out.real:
            options["groups"] = math.gcd(width.real, found.out.real)
        self.notes += found.notes
        return options, found.out

    def _head(self, row: Row) -> dict[str, Value]:
        classes = row.args[0] if row.args else "nc"
        if classes not in ("nc", self.file.num_classes):
            cause = f"{row.module} says {classes} classes, nc is {self.file.num_classes}"
            self._refuse(row, cause, fix="write nc there")
        if self.file.family != "yolov5":
            if row.args[1:]:
                self._refuse(row, f"{row.module} takes [nc], this row has {len(row.args)} arguments")
            return {}
        if len(row.args) > 2 or (len(row.args) == 2 and row.args[1] != ANCHORS):
            self._refuse(row, f"{row.module} takes [nc, anchors] with anchors at the top of the file")
        levels = self.file.anchors
        stock = dict(self.found.stock.layers[-1].args)
        if not levels:
            self._check_stock_anchors(row)
            return stock
        if len(levels) != len(row.inputs):
            cause = f"{row.module} reads {len(row.inputs)} maps, anchors has {len(levels)} levels"
            self._refuse(row, cause, code="YG147")
        return {ANCHORS: tuple(_side(side) for level in levels for side in level)}

    def _check_stock_anchors(self, row: Row) -> None:
        """The stock anchors stand in where a file gives no sides: as many as it asks for, on every level."""
        each, known = self.file.anchors_each or STOCK_ANCHORS, self.found.stock.anchor_pairs
        if known != each * len(row.inputs):
            cause = f"the file asks for {each} anchors on {len(row.inputs)} levels without their sides; "
            cause += f"{self.found.stock.name} has {f'{known} in all' if known else 'none to stand in'}"
            fix = "anchors: one row [10,13, 16,30, 33,23] a level"
            self._refuse(row, cause, fix=fix, code="YG147")

    def spec(self, scale: str, num_classes: int) -> ModelSpec:
        """All layers, named."""
        named = name_pieces(self.pieces)
        layers = []
        for index, piece in enumerate(self.pieces):
            inputs = tuple(IMAGE if i == IMAGE_INDEX else named.names[i] for i in piece.inputs)
            args = frozen_args(self.options[index])
            layers.append(LayerSpec(named.names[index], piece.module, inputs, args))
        stands_for = {piece.replaces or piece.stock: i for i, piece in enumerate(self.pieces)}
        sites = []
        for role, layer in self.found.stock.sites:
            if layer in stands_for:
                name = named.names[stands_for[layer]]
                sites.append((role, named.tails.get(name, name)))
        family = self.found.stock.family
        return ModelSpec(family, scale, num_classes, tuple(layers), tuple(sites))


def _side(side: float) -> float:
    return int(side) if float(side).is_integer() else side


def _sum(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if any(count is None for count in known) else sum(c for c in known if c is not None)


def _by_name(row: Row) -> dict[str, Value]:
    """Arguments of a module that only our files name, such as ``timm:eca``: options by name."""
    named = row.args[-1] if row.args and isinstance(row.args[-1], dict) else {}
    return {str(key): tuple(v) if isinstance(v, list) else v for key, v in named.items()}


def _as_stock(options: dict[str, Value], stock: StockLayer, word: Word, factors: Scale) -> dict[str, Value]:
    """The options as the stock layer writes them, where they say the same."""
    defaults = word.defaults()
    theirs = stock.options(factors)
    shared = {"out_channels", "repeats"}
    mine = {key: value for key, value in options.items() if key not in shared}
    known = {key: value for key, value in theirs.items() if key not in shared}
    if without_defaults(mine, defaults) != without_defaults(known, defaults):
        return options
    return {key: value for key, value in options.items() if key in shared} | known
