"""A user's model file: the index dialect with the catalog's words and classes of the user's own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolograft.errors import ModuleError, SpecError
from yolograft.graph.dialect.indexfile import IndexFile
from yolograft.graph.dialect.indexspec import Reading, read_spec
from yolograft.graph.dialect.read import read_index_file
from yolograft.graph.dialect.stock import Stock, read_stock
from yolograft.graph.dialect.words import Form, Slot, Word, Words, by_name
from yolograft.graph.dialect.write import FAMILIES as DIALECT_FAMILIES
from yolograft.graph.spec import ModelSpec
from yolograft.models.catalog import FAMILIES, model_names
from yolograft.models.codebook import Codebook
from yolograft.models.dialect_words import WORDS
from yolograft.models.usercode import CHANNEL_NAMES, OUTPUT_NAMES, UserClass, load_user_class

_MODEL_FILE = re.compile(r"(?P<path>.+\.ya?ml)(:(?P<scale>\w+))?", re.IGNORECASE | re.DOTALL)
_COMPARED = Path(__file__).parent / "compared"
# A larger number in a row is a count of channels, whatever the first option is called.
_LARGEST_OPTION = 64


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file read. file: its rows. reading: the detector they mean."""

    file: IndexFile
    reading: Reading

    @property
    def spec(self) -> ModelSpec:
        """The detector.

        Raises:
            SpecError: a row is not what its module takes, though it could be read.
        """
        for note in self.reading.notes:
            if note.wrong:
                raise note.error(self.file.name)
        return self.reading.spec


def is_model_file(model: str) -> bool:
    """Whether a model is given as ``my.yaml`` or ``my.yaml:s`` rather than by name."""
    return _MODEL_FILE.fullmatch(model) is not None


def read_model(model: str, *, num_classes: int | None = None, code: Codebook | None = None) -> ModelFile:
    """Read ``my.yaml`` or ``my.yaml:s``.

    Args:
        num_classes: of the head; that of the file when left out.
        code: classes of the user's own that rows may name; see `from_model`.

    Raises:
        SpecError: the file is missing, is no model file or says what cannot be (YG130, YG140-YG147).
    """
    file, scale = _open(model)
    words = words_with((code or {}).values())
    reading = read_spec(file, stocks=stocks(), words=words, scale=scale, num_classes=num_classes)
    return ModelFile(file, reading)


def _open(model: str) -> tuple[IndexFile, str]:
    """The rows of a file, and the scale asked for; empty where none is."""
    path, scale = split_model(model)
    if not path.is_file():
        stock = path.stem in model_names()
        fix = f"the stock model is {path.stem}, without .yaml" if stock else "give the path of a YAML file"
        raise SpecError("YG140", "no such file", where=str(path), fix=fix)
    return read_index_file(path), scale


def split_model(model: str) -> tuple[Path, str]:
    """``my.yaml:s`` as a path and a scale; the scale is empty where none is asked for."""
    match = _MODEL_FILE.fullmatch(model)
    return Path(match["path"] if match else model).expanduser(), (match and match["scale"]) or ""


def from_model(model: str, files: Sequence[str | Path]) -> dict[str, UserClass]:
    """The classes of the user's own that a model given as a file names; none for a model's name.

    Args:
        files: where to look for them; they run because they are named here.

    Raises:
        SpecError: as `read_model`.
        ModuleError: a file is missing or does not import (YG22x).
    """
    if not files or not is_model_file(model):
        return {}
    return classes_for(_open(model)[0], files)


def stocks() -> tuple[Stock, ...]:
    """The stock graphs files are compared with: those of the families the dialect has a head for.

    Behind the models of the catalog come graphs that users start from and that are no models of ours.
    """
    known = [family for family in FAMILIES.values() if family.name in DIALECT_FAMILIES]
    files = [file for family in known for file in (family.model_file, family.p2_file)]
    files += sorted(_COMPARED.glob("*.yaml"))
    return tuple(read_stock(file) for file in files if file is not None)


def classes_for(file: IndexFile, files: Sequence[str | Path]) -> dict[str, UserClass]:
    """The classes of the user's own that rows name, by reference.

    Raises:
        ModuleError: a file is missing or does not import (YG22x).
    """
    book: dict[str, UserClass] = {}
    for name in dict.fromkeys(row.module for row in file.rows):
        if not name.isidentifier():
            continue
        for source in files:
            try:
                user = load_user_class(source, name)
            except ModuleError as error:
                # Not every file defines every name; what nobody defines is a row's mistake.
                if error.code not in ("YG222", "YG223"):
                    raise
                continue
            book[user.reference] = user
            break
    return book


def words_with(classes: Iterable[UserClass] = ()) -> Words:
    """The table of words; the user's own classes take their names."""
    own = [_word_of(user) for user in classes]
    return {**WORDS, **by_name(*own)}


def _word_of(user: UserClass) -> Word:
    """Argument orders of a class, from its signature."""
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    inherits = "__init__" not in vars(user.cls) and not inspect.signature(user.cls).parameters
    given = {} if inherits else inspect.signature(user.cls).parameters
    names = [name for name, parameter in given.items() if parameter.kind in plain]
    first = names[0] if names else ""
    if first not in CHANNEL_NAMES:
        form = Form(_options(names), least=_required(names, given))
        return Word(user.reference, (user.class_name,), (form,), keeps=True)
    channels, rest = Slot(first, "in"), names[1:]
    needed = _required(rest, given)
    forms = [Form((channels, *_options(rest)), least=needed and 1 + needed)]
    if rest and rest[0] == OUTPUT_NAMES.get(first):
        same, out = Slot(rest[0], "in"), Slot(rest[0], "out", rest[0])
        after, needed = _options(rest[1:]), _required(rest[1:], given)
        forms = [
            Form((channels, same, *after), least=needed and 2 + needed),
            Form((channels, *after), least=needed and 1 + needed),
            Form((out, *after), least=1 + needed, out=rest[0]),
        ]
    elif rest:
        forms.append(Form((_option(rest[0], _LARGEST_OPTION), *_options(rest[1:])), least=max(needed, 1)))
    return Word(user.reference, (user.class_name,), tuple(forms), keeps=True)


def _required(names: Sequence[str], given: Mapping[str, inspect.Parameter]) -> int:
    """How many of them a row has to give: up to the last without a default."""
    bare = [i for i, name in enumerate(names) if given[name].default is inspect.Parameter.empty]
    return bare[-1] + 1 if bare else 0


def _options(names: Sequence[str]) -> tuple[Slot, ...]:
    return tuple(_option(name) for name in names)


def _option(name: str, most: int = 1 << 20) -> Slot:
    return Slot(name, "any", name, most=most)
