"""All a paper takes from a study, as files: tables, figures, a methods paragraph, citations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolograft.study.paper.citations import bibtex
from yolograft.study.paper.figures import write_figures
from yolograft.study.paper.files import write_whole
from yolograft.study.paper.latex import paragraph
from yolograft.study.paper.methods import methods_paragraph
from yolograft.study.paper.tables import write_tables
from yolograft.study.report.wording import LANGUAGES


def write_paper(results: Mapping[str, Any], folder: Path, *, pdf: bool = False) -> list[Path]:
    """Write everything into ``folder``, each file whole or not at all; the files written.

    ``ablation.*`` tables and ``methods.*`` in Markdown and LaTeX, ``citations.bib``, and ``figures/`` in SVG.

    Args:
        pdf: every figure in PDF too; it takes seconds, and is not for a study that is still going on.

    Raises:
        MachineError: ``pdf``, and matplotlib is missing (YG713).
    """
    written = [*write_tables(results, folder), *write_figures(results, folder, pdf=pdf)]
    for lang in LANGUAGES:
        plain = methods_paragraph(results, lang=lang, cite=True)
        texts = {"md": f"{plain}\n", "tex": paragraph(plain, lang=lang)}
        for suffix, text in texts.items():
            written.append(write_whole(folder / f"methods.{lang}.{suffix}", text.encode("utf-8")))
    return [*written, write_whole(folder / "citations.bib", bibtex(results).encode("utf-8"))]
