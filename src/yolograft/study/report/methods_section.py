"""The methods paragraph and the citations of a study, to be copied out of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yolograft.study.paper.citations import bibtex
from yolograft.study.paper.methods import methods_paragraph
from yolograft.study.report.svg import esc
from yolograft.study.report.wording import Wording


def methods_section(results: Mapping[str, Any], words: Wording) -> str:
    """The paragraph as text, BibTeX folded away under it; an empty string where there is nothing to say."""
    said = methods_paragraph(results, lang=words.lang, cite=True)
    if not said:
        return ""
    shown = "".join(f"<p>{esc(part)}</p>" for part in said.split("\n\n"))
    entries = f"<pre><code>{esc(bibtex(results))}</code></pre>"
    return f"{shown}<details><summary>{esc(words('citations'))}</summary>{entries}</details>"
