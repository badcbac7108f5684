"""The figures of a report as files for a paper, SVG and PDF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolograft.graph.expr import folder_name
from yolograft.study.holes import number, table
from yolograft.study.paper.files import write_whole
from yolograft.study.paper.vector_pdf import pdf_of
from yolograft.study.report import charts
from yolograft.study.report.ablation_figure import ablation_chart
from yolograft.study.report.curves import curve_chart
from yolograft.study.report.placement_figure import placement_figure
from yolograft.study.report.rate_curves import rate_panels
from yolograft.study.report.reading import compared, read_arms
from yolograft.study.report.where_figure import where_charts
from yolograft.study.report.wording import LANGUAGES, Wording

FIGURES = "figures"


def write_figures(results: Mapping[str, Any], folder: Path, *, pdf: bool = False) -> list[Path]:
    """Write ``figures/NAME.{en,zh}.svg`` into ``folder``, with ``pdf`` a PDF beside each; the files written.

    Raises:
        MachineError: ``pdf``, and matplotlib is missing (YG713).
    """
    out = folder / FIGURES
    written = []
    for lang in LANGUAGES:
        for name, svg in paper_figures(results, lang=lang).items():
            written.append(write_whole(out / f"{name}.{lang}.svg", svg.encode("utf-8")))
            if pdf:
                written.append(write_whole(out / f"{name}.{lang}.pdf", pdf_of(svg)))
    return written


def paper_figures(results: Mapping[str, Any], *, lang: str = "en") -> dict[str, str]:
    """Every figure of numbers that the results can fill: name -> SVG.

    Raises:
        StudyError: YG620, a language that the report does not speak.
    """
    words, arms = Wording(lang), read_arms(results)
    found = {
        "intervals": charts.interval_chart(
            compared(results, arms), margin=number(results.get("margin")), words=words
        ),
        "seeds": charts.seed_chart(arms, words=words),
        "classes": charts.class_chart(arms, words=words),
        "cost": charts.cost_chart(arms, words=words),
        "ablation": ablation_chart(table(results.get("ablation")), arms, words=words),
        "loss": curve_chart(arms, "loss", words=words),
        "curve": curve_chart(arms, "ap", words=words),
    }
    found |= {f"rates-{i}": svg for i, svg in enumerate(rate_panels(arms, words=words), start=1)}
    found |= {f"where-{name}": svg for name, svg in where_charts(results, arms, words=words).items()}
    for arm in arms:
        if arm.layers and not arm.baseline:
            placed = placement_figure(arm.layers, colour=arm.colour, words=words)
            found[f"placement-{folder_name(arm.label)}"] = placed
    return {name: svg for name, svg in found.items() if svg}
