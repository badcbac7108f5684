"""``yolograft licence RUN``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from yolograft.cli.options import Output
from yolograft.cli.terminal import plain_table, print_json, say

# Enough of a hash to tell files apart by eye; the whole one stands in --json.
SHOWN = 12


def licence_(run: Path, /, *, output: Output | None = None) -> None:
    """Say where a trained model comes from: code, weights and data, with the licences they state.

    Parameters
    ----------
    run
        Run folder, the model folder inside one, or a file from elsewhere.
    """
    from yolograft.study.provenance import provenance

    output = output or Output()
    found = provenance(run, lang=output.lang)
    if output.json:
        print_json(found)
        return
    if found["code"]:
        _code_table(found, output.lang)
    _weights_table(found, output.lang)
    if found["data"]:
        _data_table(found, output.lang)
    for line in found["says"]:
        say(line)


def _code_table(found: Mapping[str, Any], lang: Literal["en", "zh"]) -> None:
    from yolograft.study.provenance_words import word

    rows = []
    for row in found["code"]:
        unstated = "yours" if row["origin"] == "own" else "not stated"
        source = row["paper"] or row["sha256"][:SHOWN]
        name = f"{row['name']} {row['version']}".strip()
        rows.append((name, row["licence"] or word(unstated, lang), source))
    plain_table([word(key, lang) for key in ("code", "licence", "source")], rows)
    say("")


def _weights_table(found: Mapping[str, Any], lang: Literal["en", "zh"]) -> None:
    from yolograft.study.provenance_words import word

    heads = [word("started", lang), word("licence", lang), "sha256"]
    rows = []
    for link in found["weights"]:
        place = {"fresh": word("fresh", lang), "lost": word("lost", lang)}.get(link["kind"])
        name = place or link.get("file") or link["path"]
        name = f"{word('teacher', lang)}: {name}" if "role" in link else name
        unstated = {"file": "not stated", "lost": "not known"}.get(link["kind"])
        licence = link.get("licence") or (word(unstated, lang) if unstated else "")
        rows.append((name, licence, link.get("sha256", "")[:SHOWN]))
    plain_table(heads, rows)
    say("")


def _data_table(found: Mapping[str, Any], lang: Literal["en", "zh"]) -> None:
    from yolograft.study.provenance_words import word

    rows = []
    for row in found["data"]:
        name = row["name"] or word("not known", lang)
        fingerprint = row["fingerprints"].get("train", "")[:SHOWN]
        stated = row["licences"] or [
            {"text": word("not stated" if row["found"] else "not known", lang), "file": ""}
        ]
        rows += [(name, item["text"], item["file"], fingerprint) for item in stated]
    plain_table([word(key, lang) for key in ("dataset", "licence", "stated in", "fingerprint")], rows)
    say("")
