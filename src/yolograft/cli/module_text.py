"""A module's page for the terminal and as one JSON document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from yolograft.cli.terminal import plain_table, say
from yolograft.models.page_words import claim, word
from yolograft.models.pages import Lang, ModulePage, option_defaults, option_text

if TYPE_CHECKING:
    from yolograft.metrics.module_cost import ModuleCost
    from yolograft.models.catalog import Entry

WIDTH = 100
# Words, single wide characters (a line may break between any two), runs of spaces.
_PIECES = re.compile(
    r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]|[^\s\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+|\s+"
)
_NEVER_FIRST = frozenset("，。、；：！？）》〕”’,.;:!?)")


def wrapped(text: str, *, first: str = "  ", rest: str = "  ", width: int = WIDTH) -> Iterator[str]:
    """``text`` in lines of at most ``width`` terminal cells; wide characters count two."""
    line = first
    for piece in _PIECES.findall(text):
        full = cell_len(line) + cell_len(piece) > width and piece not in _NEVER_FIRST
        if full and line.strip():
            yield line.rstrip()
            line = rest + piece.lstrip()
        else:
            line += piece
    if line.strip():
        yield line.rstrip()


def module_document(
    entry: Entry, page: ModulePage, costs: dict[str, ModuleCost], lang: Lang
) -> dict[str, Any]:
    """Everything the page says in one language, defaults and costs included."""
    return {
        "name": entry.name,
        "title": page.title.of(lang),
        "principle": page.principle.of(lang),
        "equation": {
            "latex": list(page.equation.latex),
            "plain": list(page.equation.plain),
            "symbols": page.equation.symbols.of(lang),
        },
        "option_meanings": {name: meaning.of(lang) for name, meaning in page.options.items()},
        "cost": {level: asdict(cost) for level, cost in costs.items()},
        "evidence": [{"kind": e.kind, "says": e.says.of(lang), "source": e.source} for e in page.evidence],
        "pitfalls": [pitfall.of(lang) for pitfall in page.pitfalls],
        "code": page.code.of(lang),
        "citation": page.citation,
        "use": f"{entry.name}@neck.p3",
    }


def print_page(entry: Entry, page: ModulePage, costs: dict[str, ModuleCost], lang: Lang) -> None:
    """The page, section by section."""
    say(f"{entry.name}: {page.title.of(lang)}\n{page.summary.of(lang)}\n{entry.paper}")
    if entry.aliases:
        say(word("aliases", lang) + ", ".join(entry.aliases))
    _section("principle", lang, [page.principle.of(lang)])
    _heading("equation", lang)
    for formula in page.equation.plain:
        say(f"  {formula}")
    _say_wrapped(page.equation.symbols.of(lang))
    _print_options(entry, page, lang)
    _print_costs(costs, lang)
    _section("evidence", lang, [claim(evidence, lang) for evidence in page.evidence], bullet="- ")
    _section("pitfalls", lang, [pitfall.of(lang) for pitfall in page.pitfalls], bullet="- ")
    _section("code", lang, [f"{page.code.of(lang)} ({entry.licence})"])
    _heading("citation", lang)
    say("".join(f"  {line}\n" for line in page.citation.strip().splitlines()).rstrip("\n"))
    _heading("use", lang)
    say(f'  yolograft compare yolov8n --data DATA --graft "{entry.name}@neck.p3"')


def _heading(key: str, lang: Lang) -> None:
    say(f"\n{word(key, lang)}")


def _say_wrapped(text: str, bullet: str = "") -> None:
    for line in wrapped(text, first=f"  {bullet}", rest="  " + " " * len(bullet)):
        say(line)


def _section(key: str, lang: Lang, paragraphs: list[str], *, bullet: str = "") -> None:
    _heading(key, lang)
    for paragraph in paragraphs:
        _say_wrapped(paragraph, bullet)


def _print_options(entry: Entry, page: ModulePage, lang: Lang) -> None:
    _heading("options", lang)
    rows = [
        (f"  {name}", option_text(default) or word("worked out", lang), page.options[name].of(lang))
        for name, default in option_defaults(entry.cls).items()
    ]
    heads = (f"  {word('option', lang)}", word("default", lang), word("meaning", lang))
    if rows:
        plain_table(heads, rows)
    else:
        _say_wrapped(word("no options", lang))


def _print_costs(costs: dict[str, ModuleCost], lang: Lang) -> None:
    _heading("cost", lang)
    heads = ("level", "map", "parameters", "flops", "kept")
    rows = [
        (f"  {level}", f"{c.channels} x {c.height} x {c.width}", c.parameters, c.flops, f"{c.kept:.2f}x")
        for level, c in costs.items()
    ]
    plain_table(tuple(("  " if key == "level" else "") + word(key, lang) for key in heads), rows)
    _say_wrapped(word("cost note", lang))
