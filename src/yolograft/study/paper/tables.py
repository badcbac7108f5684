"""The ablation table of a study as a paper prints it, in Markdown and LaTeX: one for accuracy, one for cost.

Two tables, because seventeen columns fit on no page: the first carries the claim, the second its price.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from yolograft.study.holes import rows, table, words_of
from yolograft.study.paper import latex, markdown
from yolograft.study.paper.files import write_whole
from yolograft.study.paper.table import Cell, Head, PaperTable
from yolograft.study.report.ablation_figure import combination_names
from yolograft.study.report.notation import decimal, interval, signed
from yolograft.study.report.reading import Arm, beside, levels_of, read_arms, with_interval
from yolograft.study.report.subject import (
    detector_line,
    failures,
    models_note,
    partial_notice,
    seeds_behind,
    stopped_note,
)
from yolograft.study.report.tables import image_size, timed_on
from yolograft.study.report.wording import LANGUAGES, Wording

FOLDER = "tables"
ACCURACY = (
    ("p", "P", ""),
    ("r", "R", ""),
    ("f1", "F1", ""),
    ("ap50", "AP", "50"),
    ("ap", "AP", ""),
    ("ap_s", "AP", "S"),
    ("ap_m", "AP", "M"),
    ("ap_l", "AP", "L"),
)
WITH_SD = ("ap50", "ap")


def write_tables(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``ablation.{en,zh}.{md,tex}`` into ``folder``, each whole or not at all; the files written."""
    written = []
    for lang in LANGUAGES:
        pair = paper_tables(results, lang=lang)
        for suffix, text in (("md", markdown.document(pair)), ("tex", latex.document(pair, lang=lang))):
            written.append(write_whole(folder / f"ablation.{lang}.{suffix}", text.encode("utf-8")))
    return written


def paper_tables(results: Mapping[str, Any], *, lang: str = "en") -> tuple[PaperTable, PaperTable]:
    """Accuracy and cost of every arm; where the study is an ablation, one column a part tells what is in it.

    An ablation beside which other grafts were tried names every arm too: their rows have no part to mark.

    Raises:
        StudyError: YG620, a language that the report does not speak.
    """
    words, arms = Wording(lang), read_arms(results)
    names, members, parts = _naming(results)
    named = not parts or any(not arm.baseline and arm.label not in members for arm in arms)
    lead = (Head(words("arm"), numeric=False),) if named else ()
    lead += tuple(Head(part, numeric=False) for part in parts)
    starts = []
    for arm in arms:
        name = (Cell(names.get(arm.label, arm.label)),) if named else ()
        marks = tuple(Cell(mark=i in members.get(arm.label, ())) for i in range(len(parts)))
        starts.append((*name, *marks))
    return (_accuracy(results, arms, (lead, starts), words), _cost(results, arms, (lead, starts), words))


_Lead = tuple[tuple[Head, ...], list[tuple[Cell, ...]]]


def _naming(results: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, list[int]], list[str]]:
    ablation = table(results.get("ablation"))
    parts = [words_of(table(part).get("label")) for part in rows(ablation.get("parts"))]
    members = {
        str(k): [i for i in rows(v) if isinstance(i, int)] for k, v in table(ablation.get("members")).items()
    }
    return combination_names(ablation), members, parts


def _accuracy(results: Mapping[str, Any], arms: Sequence[Arm], lead: _Lead, words: Wording) -> PaperTable:
    heads = [*lead[0], *(Head(text, below) for _, text, below in ACCURACY), Head("ΔAP")]
    heads.append(Head(words("verdict"), numeric=False))
    columns = [_column(arms, lambda arm, key=key: arm.mean.get(key), max, 1) for key, _, _ in ACCURACY]
    body = []
    for i, arm in enumerate(arms):
        cells = [_with_sd(arm, key, columns[c][i]) for c, (key, _, _) in enumerate(ACCURACY)]
        body.append((*lead[1][i], *cells, *_difference(arm, words, beside=beside(arm, arms))))
    data = table(results.get("data"))
    scope = words.verdict(words_of(results.get("scope")) or "this evaluation split")
    caption = words(
        "paper_accuracy",
        **_what(results, words),
        images=words_of(table(data.get("eval")).get("images")) or "?",
        seeds=seeds_behind([len(arm.done) for arm in arms]),
    )
    key = "paper_note" if with_interval(arms) else "paper_note_none"
    said = [_legend(results) + words(key, level=levels_of(arms), scope=scope)]
    said += [
        stopped_note(arms, words),
        models_note(results, words),
        *failures(arms, words),
        partial_notice(results, arms, words),
    ]
    # Chinese sentences follow each other without a space.
    note = ("" if words.lang == "zh" else " ").join(sentence for sentence in said if sentence)
    return PaperTable("accuracy", caption, note, tuple(heads), tuple(body))


def _cost(results: Mapping[str, Any], arms: Sequence[Arm], lead: _Lead, words: Wording) -> PaperTable:
    columns = [
        (words("params"), _column(arms, lambda arm: _scaled(arm, "params", 1e-6), min, 3)),
        (words("flops"), _column(arms, lambda arm: _scaled(arm, "flops", 1e-9), min, 3)),
        (words("gflops"), _column(arms, lambda arm: arm.cost.get("gflops"), min, 1)),
        (words("latency_p50"), _column(arms, lambda arm: arm.cost.get("p50"), min, 1)),
        (words("fps"), _column(arms, lambda arm: arm.cost.get("fps"), max, 1)),
    ]
    heads = [*lead[0], *(Head(title) for title, _ in columns)]
    body = [(*lead[1][i], *(cells[i] for _, cells in columns)) for i in range(len(arms))]
    size = image_size(results) or "?"
    caption = words("paper_cost", **_what(results, words), imgsz=size)
    note = words("paper_cost_note", device=timed_on(results, words))
    return PaperTable("cost", caption, note, tuple(heads), tuple(body))


def _legend(results: Mapping[str, Any]) -> str:
    """What the parts of an ablation are: `a: se@neck.p3; b: nam@neck.p4. `."""
    parts = [table(part) for part in rows(table(results.get("ablation")).get("parts"))]
    known = [f"{words_of(part.get('label'))}: {words_of(part.get('expression'))}" for part in parts]
    return f"{'; '.join(known)}. " if known else ""


def _what(results: Mapping[str, Any], words: Wording) -> dict[str, str]:
    data = table(results.get("data"))
    return {"model": detector_line(results, words) or "?", "data": words_of(data.get("name")) or "?"}


def _scaled(arm: Arm, key: str, unit: float) -> float | None:
    return arm.cost[key] * unit if key in arm.cost else None


def _column(
    arms: Sequence[Arm],
    value: Callable[[Arm], float | None],
    better: Callable[[list[float]], float],
    places: int,
) -> list[Cell]:
    """One cell an arm; best are all that print like the best one, none where all print alike."""
    shown = [decimal(value(arm), places) for arm in arms]
    known = [v for v in (value(arm) for arm in arms) if v is not None]
    best = decimal(better(known), places) if known else ""
    tied = len(set(shown)) == 1
    return [Cell(text, best=text == best and not tied) for text in shown]


def _with_sd(arm: Arm, key: str, cell: Cell) -> Cell:
    sd = arm.sd.get(key) if key in WITH_SD and key in arm.mean else None
    return cell if sd is None else Cell(f"{cell.text} ± {decimal(sd)}", best=cell.best)


def _difference(arm: Arm, words: Wording, *, beside: bool) -> tuple[Cell, Cell]:
    found = arm.difference
    if beside:
        return Cell("–"), Cell(words("not_judged"))
    if arm.baseline and found is None:
        return Cell("–"), Cell(words("baseline_word"))
    if found is None:
        return Cell("–"), Cell(words("no_verdict"))
    shown = f"{signed(found.delta)} {interval(found.low, found.high)}".strip()
    return Cell(shown), Cell(words.verdict(found.qualified) or words("no_verdict"))
