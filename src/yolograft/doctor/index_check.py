"""A user's model file examined: its wiring, its arguments, and what its own modules do to their maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yolograft.doctor.row_checks import Place, examine_row
from yolograft.errors import SpecError
from yolograft.graph.dialect.align import Nearest, nearest
from yolograft.graph.dialect.indexfile import IMAGE_INDEX, IndexFile, Row
from yolograft.graph.dialect.indexspec import check_size, choose_scale
from yolograft.graph.dialect.nodes import parse_nodes, read_text
from yolograft.graph.dialect.read import parse_index_file
from yolograft.graph.dialect.words import Words
from yolograft.graph.lint.finding import Finding
from yolograft.graph.lint.lint import Lint, lint
from yolograft.graph.lint.mend import Mended, mend
from yolograft.graph.lint.mend_row import RowReading, corrected
from yolograft.graph.lint.mend_text import mended_text, row_text
from yolograft.graph.lint.wiring import HEADS, NEAR
from yolograft.graph.spec import ModuleRef, frozen_args
from yolograft.models.codebook import Codebook
from yolograft.models.modelfile import classes_for, split_model, stocks, words_with

# With these a module is not built: what is wrong is known already.
_NOT_BUILT = frozenset({"YG154", "YG155", "YG156", "YG164", "YG165"})
# Options that make a map constant, and what is put in their place.
_FLAT: dict[str, int] = {"c_n": 8}


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """A file and what was found in it.

    text: of the file. scale: the one it was read with. nearest: the stock graph it was compared with.
    """

    file: IndexFile
    text: str
    scale: str
    nearest: Nearest
    lint: Lint
    findings: tuple[Finding, ...]
    words: Words

    @property
    def clean(self) -> bool:
        """Nothing has to change; notes do not count against it."""
        return all(finding.note for finding in self.findings)

    @property
    def sites(self) -> dict[str, int]:
        """Site -> the row that plays it."""
        layers = [layer.name for layer in self.nearest.stock.layers]
        line = self.lint.line
        rows = {site: line.standing.get(layers.index(name)) for site, name in self.nearest.stock.sites}
        return {site: line.tail(row) for site, row in rows.items() if row is not None}


def check_file(path: str | Path, *, code: Sequence[str | Path] = (), scale: str = "") -> IndexCheck:
    """Examine a model file of the index dialect.

    Args:
        path: of the file, with a scale behind it where one is meant: ``my.yaml:s``.
        code: files with classes of the user's own; they run because they are named here.
        scale: which scale of the file; the one its name says, else its first.

    Raises:
        SpecError: it cannot be read as rows (YG130, YG140-YG143). ModuleError: ``code`` does not import.
    """
    path, named = split_model(str(path))
    return check_text(read_text(path), name=path.name, code=code, scale=scale or named)


def check_text(
    text: str, *, name: str = "text", code: Sequence[str | Path] = (), scale: str = ""
) -> IndexCheck:
    """The same from a text.

    Raises:
        SpecError, ModuleError: as `check_file`.
    """
    file = parse_index_file(text, name=name)
    book = classes_for(file, code)
    words = words_with(book.values())
    chosen = choose_scale(file, scale)
    check_size(file, file.scales[chosen])
    found = nearest(file.rows, [stock for stock in stocks() if stock.family == file.family], words=words)
    foreign = {user.class_name for user in book.values()}
    result = lint(
        file,
        found,
        words=words,
        scale=file.scales[chosen],
        top=parse_nodes(text, name=name).value,
        foreign=foreign,
    )
    findings = _once([*result.findings, *_probed(result, found, book)])
    return IndexCheck(file, text, chosen, found, result, findings, words)


def _probed(result: Lint, found: Nearest, code: Codebook) -> Iterator[Finding]:
    """Findings of the user's own rows that take a forward pass."""
    known_wrong = {finding.line for finding in result.findings if finding.code in _NOT_BUILT}
    for reading in result.readings:
        row, word = reading.row, reading.word
        graft = found.places[row.index] is None and word is not None and word.keeps
        if not graft or row.inputs[0] <= IMAGE_INDEX or reading.width.real is None:
            continue
        if row.line in known_wrong and not _still_built(reading):
            continue
        assert word is not None
        options = dict(reading.arguments.options) if reading.arguments is not None else {}
        stride = int(max(result.strides[row.inputs[0]], 1))
        place = Place(row.module, row.line, reading.width.real, stride)
        yield from examine_row(ModuleRef(word.module, frozen_args(options)), place, code)


def _still_built(reading: RowReading) -> bool:
    """A row whose class would refuse it, but that can be read: what it would do is looked at all the same."""
    return reading.arguments is not None and any(note.wrong for note in reading.arguments.notes)


def _once(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """One finding a code and line, what has to change before what is merely noted."""
    ordered = sorted(findings, key=lambda finding: (finding.line, finding.note, finding.code))
    seen: dict[tuple[int, str, object], Finding] = {}
    for finding in ordered:
        seen.setdefault((finding.line, finding.code, finding.values.get("position", 0)), finding)
    return tuple(seen.values())


def fixed_text(check: IndexCheck) -> str:
    """The file as it was meant: the nearest stock graph with the user's own rows, as far as that is known.

    The text as it is where `unfixable` has a reason.
    """
    line = check.lint.line
    if unfixable(check):
        return check.text
    layers = check.nearest.stock.layers
    neck = next((i for i, layer in enumerate(layers) if layer.name.startswith("neck.")), len(layers) - 1)
    mended = mend(line, neck=neck, arguments=_corrections(check))
    mended = Mended(tuple(_headed(check, row) for row in mended.rows), mended.backbone)
    return mended_text(check.text, mended.rows, backbone=mended.backbone, name=check.file.name)


def unfixable(check: IndexCheck) -> str:
    """Why the rows cannot be written anew; empty where they can.

    ``far``: too little of a stock graph is there. ``head``: it ends in a head of another task. ``style``: its
    rows do not stand in lines of their own, as in JSON.
    """
    if check.lint.line.share < NEAR:
        return "far"
    if any(row.module in HEADS and row.module != "Detect" for row in check.file.rows):
        return "head"
    try:
        back = parse_index_file(same_form(check), name=check.file.name)
    except SpecError:
        return "style"
    same = [row_text(row) for row in back.rows] == [row_text(row) for row in check.file.rows]
    return "" if same and replace(back, rows=check.file.rows) == check.file else "style"


def same_form(check: IndexCheck) -> str:
    """The file with its rows in the form that fixed ones are written in, for a diff of what has changed."""
    rows = check.file.rows
    return mended_text(check.text, rows, backbone=_backbone(check), name=check.file.name)


def _backbone(check: IndexCheck) -> int:
    """Number of rows under ``backbone``."""
    head = parse_nodes(check.text, name=check.file.name).value["head"]
    first = min((node.value[2].line for node in head.value), default=0)
    return sum(row.line < first for row in check.file.rows)


def _headed(check: IndexCheck, row: Row) -> Row:
    """The head as its row says, with the file's own classes and anchors where it leaves them out."""
    if row.module != "Detect":
        return row
    classes, *others = row.args or ("nc",)
    if type(classes) is int:
        classes = "nc"
    if not others and "anchors" in parse_nodes(check.text, name=check.file.name).value:
        others = ["anchors"] if check.file.family == "yolov5" else []
    return replace(row, args=(classes, *others))


def _corrections(check: IndexCheck) -> Callable[[Row], tuple[str, tuple[Any, ...]]]:
    """Name and arguments for a row: corrected where it has a finding about them that can be corrected."""
    codes: dict[int, set[str]] = {}
    for finding in check.findings:
        codes.setdefault(finding.line, set()).add(finding.code)

    def arguments(row: Row) -> tuple[str, tuple[Any, ...]]:
        reading = check.lint.readings[row.index]
        found = codes.get(row.line, set())
        if reading.word is None or not found & {"YG155", "YG156", "YG157", "YG161"}:
            return row.module, row.args
        changes = {}
        if "YG161" in found and reading.arguments is not None:
            changes = {key: value for key, value in _FLAT.items() if key in reading.arguments.options}
        return corrected(reading, reading.word, check.words, changes=changes) or (row.module, row.args)

    return arguments
