"""What is said about a module, in English and Chinese: one file in ``module_pages`` for each.

A page holds the words, the equation, the evidence and the wiring of the figure. What the code knows
already is not repeated there: defaults come from the constructor, costs from a count, the paper's line
from the catalog.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FOLDER = Path(__file__).parent / "module_pages"
Lang = Literal["en", "zh"]
Line = Annotated[str, Field(min_length=1)]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Words(BaseModel):
    """One text in both languages."""

    model_config = _STRICT

    en: Line
    zh: Line

    def of(self, lang: Lang) -> str:
        """The text in one language, line ends and indentation of the file folded into spaces."""
        return fold(self.zh) if lang == "zh" else fold(self.en)


class Equation(BaseModel):
    """latex: one display formula an entry. plain: the same for a terminal. symbols: what the letters mean."""

    model_config = _STRICT

    latex: Annotated[tuple[Line, ...], Field(min_length=1)]
    plain: Annotated[tuple[Line, ...], Field(min_length=1)]
    symbols: Words


class Evidence(BaseModel):
    """One published claim and where it stands.

    kind: ``paper`` (its own claim), ``release`` (numbers in the authors' or a library's repository),
    ``report`` (somebody else measured) or ``blog`` (one run, no seeds).
    """

    model_config = _STRICT

    kind: Literal["paper", "release", "report", "blog"]
    says: Words
    source: Line


class Node(BaseModel):
    """A step of the figure.

    at: column and row. op: what it computes, ``//`` between two lines. out: shape of what leaves it.
    kind: ``map`` (input or output), ``fixed`` (no parameters), ``learned``, ``join`` (element by element,
    drawn as a circle).
    """

    model_config = _STRICT

    at: tuple[int, int]
    op: Line
    out: str = ""
    kind: Literal["map", "fixed", "learned", "join"] = "fixed"


class Figure(BaseModel):
    """Data flow: steps on a grid and chains of arrows, ``a > b > c``."""

    model_config = _STRICT

    nodes: Mapping[str, Node]
    flow: tuple[Line, ...]

    def edges(self) -> tuple[tuple[str, str], ...]:
        """Every arrow once, in the order of the file."""
        chains = ([name.strip() for name in chain.split(">")] for chain in self.flow)
        return tuple(dict.fromkeys(pair for chain in chains for pair in itertools.pairwise(chain)))

    @model_validator(mode="after")
    def _wired(self) -> Figure:
        named = {name for edge in self.edges() for name in edge}
        if named != set(self.nodes):
            raise ValueError(f"steps and arrows differ in {sorted(named ^ set(self.nodes))}")
        places = [node.at for node in self.nodes.values()]
        if len(set(places)) != len(places):
            raise ValueError("two steps share a place")
        return self


class ModulePage(BaseModel):
    """Everything said about one module; ``options`` has one entry for each option of its class."""

    model_config = _STRICT

    title: Words
    summary: Words
    principle: Words
    equation: Equation
    figure: Figure
    options: Mapping[str, Words]
    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1)]
    pitfalls: Annotated[tuple[Words, ...], Field(min_length=1)]
    code: Words
    citation: Line


def page_names() -> tuple[str, ...]:
    """The catalog names that have a page, in alphabetical order."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def read_page(name: str) -> ModulePage | None:
    """The page of a catalog name (not an alias); None where there is none, as for plain blocks."""
    from ruamel.yaml import YAML

    file = FOLDER / f"{name}.yaml"
    if name not in page_names():
        return None
    document: Any = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    return ModulePage.model_validate(document)


def read_pages() -> Iterator[tuple[str, ModulePage]]:
    """Every page with its catalog name."""
    for name in page_names():
        if page := read_page(name):
            yield name, page


def option_defaults(cls: type) -> dict[str, Any]:
    """The options of a module class and their defaults, from its constructor."""
    parameters = list(inspect.signature(cls).parameters.values())[1:]
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def option_text(value: Any) -> str:
    """A default as it is written in a graft expression; empty where the module works it out."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple | list):
        return "-".join(map(str, value))
    return "" if value is None else str(value)


_HAN, _STOPS = "\u4e00-\u9fff", "\u2018-\u201d\u2026\u3000-\u303f\uff00-\uffef"
WIDE = _HAN + _STOPS
# A line end between two Chinese characters, or beside a Chinese punctuation mark, is no space.
_NO_SPACE = re.compile(f"(?<=[{WIDE}]) (?=[{WIDE}])|(?<=[{_STOPS}]) | (?=[{_STOPS}])")


def fold(text: str) -> str:
    """A text of several lines as one; in Chinese a line end leaves no space behind."""
    line = " ".join(text.split())
    return _NO_SPACE.sub("", line) if re.search(f"[{_HAN}]", line) else line
