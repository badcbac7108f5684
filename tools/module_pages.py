"""Write the documentation of every module from its page in ``src/yolograft/models/module_pages``.

    python tools/module_pages.py            docs/modules/*.md, *.zh.md and docs/images/modules/*.svg
    python tools/module_pages.py --check    say which of them are out of date; 1 if any

Defaults come from the constructors and costs from a count, so a change of the code shows here as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from generated import command_line, differing
from module_figure import draw

from yolograft.metrics.module_cost import ModuleCost, module_costs
from yolograft.models.catalog import ENTRIES, Entry
from yolograft.models.page_words import claim, word
from yolograft.models.pages import Lang, ModulePage, option_defaults, option_text, read_pages

SUFFIX: dict[Lang, str] = {"en": ".md", "zh": ".zh.md"}


def table(heads: list[str], rows: list[list[str]], align: str) -> str:
    """A Markdown table; ``align`` has one letter a column, l or r."""
    marks = ["---:" if letter == "r" else "---" for letter in align]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (heads, marks, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def option_table(entry: Entry, page: ModulePage, lang: Lang) -> str:
    """Every option with its default and meaning."""
    rows = []
    for name, value in option_defaults(entry.cls).items():
        default = f"`{text}`" if (text := option_text(value)) else word("worked out", lang)
        rows.append([f"`{name}`", default, page.options[name].of(lang)])
    heads = [word(key, lang) for key in ("option", "default", "meaning")]
    return table(heads, rows, "lll") if rows else word("no options", lang)


def kept(cost: ModuleCost) -> str:
    """What training keeps, in multiples of the input map."""
    return f"{cost.kept:.2f} ×"


def cost_table(costs: dict[str, ModuleCost], lang: Lang) -> str:
    """Parameters, FLOPs and memory at each level."""
    rows = []
    for level, cost in costs.items():
        size = f"{cost.channels} × {cost.height} × {cost.width}"
        rows.append([level, size, f"{cost.parameters:,}", f"{cost.flops:,}", kept(cost)])
    heads = [word(key, lang) for key in ("level", "map", "parameters", "flops", "kept")]
    return table(heads, rows, "lrrrr")


def module_page(entry: Entry, page: ModulePage, costs: dict[str, ModuleCost], lang: Lang) -> str:
    """The Markdown page of one module in one language."""
    title, stop = page.title.of(lang), "。" if lang == "zh" else ". "
    names = ", ".join(f"`{alias}`" for alias in entry.aliases)
    aliases = word("aliases", lang) + names if names else ""
    picture = f"![{word('figure', lang).format(name=title)}](../images/modules/{entry.name}.svg)"
    formulas = [f"$$\n{line}\n$$" for line in page.equation.latex]
    claims = [f"- {claim(evidence, lang)}" for evidence in page.evidence]
    sections = {
        "principle": [page.principle.of(lang), picture],
        "equation": [*formulas, page.equation.symbols.of(lang)],
        "options": [option_table(entry, page, lang)],
        "cost": [cost_table(costs, lang), word("cost note", lang)],
        "evidence": ["\n".join(claims), word("evidence note", lang)],
        "pitfalls": ["\n".join(f"- {pitfall.of(lang)}" for pitfall in page.pitfalls)],
        "use": [f'```bash\nyolograft compare yolov8n --data DATA --graft "{entry.name}@neck.p3"\n```'],
        "code": [f"{page.code.of(lang)} ({entry.licence})"],
        "citation": [f"```bibtex\n{page.citation.strip()}\n```"],
    }
    head = [
        f"# {entry.name}: {title}",
        word("other language", lang).format(name=entry.name),
        page.summary.of(lang) + stop.rstrip(),
        (entry.paper + stop + aliases).rstrip(),
    ]
    body = [part for key, parts in sections.items() for part in (f"## {word(key, lang)}", *parts)]
    return "\n\n".join([*head, *body]) + "\n"


def index_page(rows: list[tuple[Entry, ModulePage, dict[str, ModuleCost]]], lang: Lang) -> str:
    """The table of all modules, with their cost at P3."""
    lines = []
    for entry, page, costs in rows:
        link, p3 = f"[{entry.name}]({entry.name}{SUFFIX[lang]})", costs["P3"]
        lines.append([link, page.summary.of(lang), f"{p3.parameters:,}", kept(p3), entry.paper])
    heads = [word("module", lang), word("what", lang)]
    heads += [f"{word(key, lang)} (P3)" for key in ("parameters", "kept")]
    listing = table([*heads, word("paper column", lang)], lines, "llrrl")
    other = word("other language", lang).format(name="index")
    title = f"# {word('index title', lang)}"
    return "\n\n".join([title, other, word("index note", lang), listing, word("cost note", lang)]) + "\n"


def documents() -> Iterator[tuple[Path, str]]:
    """Every file this tool writes, relative to the root, with its text."""
    pages = dict(read_pages())
    ordered = [entry for entry in ENTRIES if entry.name in pages]
    rows = [(entry, pages[entry.name], module_costs(entry.cls)) for entry in ordered]
    for entry, page, costs in rows:
        yield Path("docs/images/modules", f"{entry.name}.svg"), draw(page.figure, page.title.en)
        for lang, suffix in SUFFIX.items():
            yield Path("docs/modules", entry.name + suffix), module_page(entry, page, costs, lang)
    for lang, suffix in SUFFIX.items():
        yield Path("docs/modules", "index" + suffix), index_page(rows, lang)


def out_of_date(root: Path, wanted: Mapping[Path, str]) -> list[str]:
    """The files below ``root`` that differ from ``wanted``, are missing, or have no source any more."""
    stale = differing(root, wanted)
    present = [*(root / "docs/modules").glob("*.md"), *(root / "docs/images/modules").glob("*.svg")]
    orphans = {file.relative_to(root) for file in present} - wanted.keys()
    return stale + sorted(f"{file.as_posix()} (no source)" for file in orphans)


def main() -> int:
    """Reads the command line; 1 when ``--check`` finds a difference."""
    return command_line(
        "module pages",
        lambda: dict(documents()),
        out_of_date=lambda root: out_of_date(root, dict(documents())),
    )


if __name__ == "__main__":
    raise SystemExit(main())
