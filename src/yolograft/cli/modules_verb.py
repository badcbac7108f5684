"""``yolograft modules [NAME]``."""

from __future__ import annotations

import inspect

from yolograft.cli.options import Output
from yolograft.cli.terminal import plain_table, print_json, say


def modules_(name: str | None = None, /, *, timm: bool = False, output: Output | None = None) -> None:
    """List the modules that can be grafted, or explain one.

    Parameters
    ----------
    name
        A module name or alias; all modules when left out.
    timm
        List the timm attention keys that pass the checks as well.
    """
    from yolograft.models.catalog import ENTRIES, Entry, find
    from yolograft.models.timm_bridge import probe, timm_keys

    def facts(entry: Entry) -> dict[str, object]:
        parameters = list(inspect.signature(entry.cls).parameters.values())[1:]
        options = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        return {
            "name": entry.name,
            "summary": entry.summary,
            "paper": entry.paper,
            "aliases": list(entry.aliases),
            "options": options,
            "licence": entry.licence,
        }

    if name is not None:
        if name.startswith("timm:"):
            reason = probe(name.removeprefix("timm:"))
            say(
                f"{name}: "
                + (f"cannot be grafted: {reason}" if reason else f'passes the checks; use: "{name}@neck.p3"')
            )
            return
        entry = find(name)
        if output and output.json:
            print_json(facts(entry))
            return
        say(f"{entry.name}: {entry.summary}\n{entry.paper}\n")
        say(inspect.getdoc(inspect.getmodule(entry.cls)) or "")
        say("\n" + (inspect.getdoc(entry.cls) or ""))
        options = ", ".join(f"{k}={v}" for k, v in facts(entry)["options"].items())  # type: ignore[union-attr]
        say(f"\noptions: {options}")
        if entry.kind == "attention":
            say(f'use: "{entry.name}@neck.p3"')
        return
    graftable = [entry for entry in ENTRIES if entry.kind == "attention"]
    keys = list(timm_keys()) if timm else []
    if output and output.json:
        print_json({"modules": [facts(entry) for entry in graftable], "timm": keys})
        return
    plain_table(("module", "what it does", "paper"), [(e.name, e.summary, e.paper) for e in graftable])
    say("also: timm:KEY for timm attention (--timm lists the keys), my_att.py::MyAtt for a class of your own")
    if keys:
        say("timm: " + ", ".join(keys))
