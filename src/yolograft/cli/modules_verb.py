"""``yolograft modules [NAME]``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from yolograft.cli.options import Output
from yolograft.cli.terminal import plain_table, print_json, say

if TYPE_CHECKING:
    from yolograft.models.catalog import Entry


def modules_(name: str | None = None, /, *, timm: bool = False, output: Output | None = None) -> None:
    """List the modules that can be grafted, or explain one.

    Parameters
    ----------
    name
        A module name or alias; all modules when left out.
    timm
        List the timm attention keys that pass the checks as well.
    """
    from yolograft.models.catalog import find

    output = output or Output()
    if name is None:
        _list(timm, output)
    elif name.startswith("timm:"):
        _say_timm(name)
    else:
        _explain(find(name), output)


def _facts(entry: Entry) -> dict[str, Any]:
    from yolograft.models.pages import option_defaults

    return {
        "name": entry.name,
        "summary": entry.summary,
        "paper": entry.paper,
        "aliases": list(entry.aliases),
        "options": option_defaults(entry.cls),
        "licence": entry.licence,
    }


def _list(timm: bool, output: Output) -> None:
    from yolograft.models.catalog import ENTRIES, LISTED
    from yolograft.models.page_words import word
    from yolograft.models.pages import read_page
    from yolograft.models.timm_bridge import timm_keys

    graftable = [entry for entry in ENTRIES if entry.kind in LISTED]
    keys = list(timm_keys()) if timm else []
    if output.json:
        print_json({"modules": [_facts(entry) for entry in graftable], "timm": keys})
        return
    rows = []
    for entry in graftable:
        page = read_page(entry.name) if output.lang == "zh" else None
        rows.append((entry.name, page.summary.of("zh") if page else entry.summary, entry.paper))
    plain_table(tuple(word(key, output.lang) for key in ("module", "what", "paper column")), rows)
    say(word("also", output.lang))
    if keys:
        say("timm: " + ", ".join(keys))


def _say_timm(name: str) -> None:
    from yolograft.models.timm_bridge import probe

    reason = probe(name.removeprefix("timm:"))
    answer = f"cannot be grafted: {reason}" if reason else f'passes the checks; use: "{name}@neck.p3"'
    say(f"{name}: {answer}")


def _explain(entry: Entry, output: Output) -> None:
    from yolograft.cli.module_text import module_document, print_page
    from yolograft.metrics.module_cost import module_costs
    from yolograft.models.pages import read_page

    page = read_page(entry.name)
    if page is None:
        _explain_block(entry, output)
        return
    costs = module_costs(entry.cls)
    if output.json:
        print_json(_facts(entry) | module_document(entry, page, costs, output.lang))
    else:
        print_page(entry, page, costs, output.lang)


def _explain_block(entry: Entry, output: Output) -> None:
    """A plain block, a neck's join or a head: what its own docstrings say."""
    if output.json:
        print_json(_facts(entry))
        return
    say(f"{entry.name}: {entry.summary}\n{entry.paper}\n")
    say(inspect.getdoc(inspect.getmodule(entry.cls)) or "")
    say("\n" + (inspect.getdoc(entry.cls) or ""))
    say("\noptions: " + ", ".join(f"{k}={v}" for k, v in _facts(entry)["options"].items()))
