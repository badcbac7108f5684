"""A study on disk as a Python object, and each of its verdicts: what a notebook shows and a script asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from yolograft.errors import StudyError
from yolograft.study.holes import number, words_of
from yolograft.study.paper.methods import methods_paragraph
from yolograft.study.report.charts import interval_chart, seed_chart
from yolograft.study.report.notation import interval, percent, signed
from yolograft.study.report.reading import Arm, compared, judged, read_arms
from yolograft.study.report.subject import detector_line, partial_notice
from yolograft.study.report.svg import esc
from yolograft.study.report.wording import Wording
from yolograft.study.statistics.verdict import judge

CARD = "border-left:5px solid {};padding:4px 14px;margin:8px 0;max-width:84ch"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a study says of one arm. AP differences in points.

    word: ``helps``, ``hurts``, ``no detectable difference`` or ``not enough seeds``, with what it must not
    stand without. low, high: the interval at ``level``; None where there is none. known: what is known
    besides, where there is no verdict. scope: what the answer holds for.
    """

    label: str
    expression: str
    word: str
    delta: float | None
    low: float | None
    high: float | None
    level: float | None
    sentence: str
    known: str
    scope: str
    colour: str = field(default="#7A7A7A", repr=False)
    lang: str = field(default="en", repr=False)

    def __str__(self) -> str:
        return self.sentence or f"{self.label}: {self.word}"

    def _repr_html_(self) -> str:
        words = Wording(self.lang)
        ends = interval(self.low, self.high)
        about = words("interval", level=percent(self.level)) if ends else words("no_interval")
        lines = [f"<b>{esc(self.label)}</b>: <b>{esc(words.verdict(self.word) or words('no_verdict'))}</b>"]
        if self.delta is not None:
            lines.append(f"{signed(self.delta)} AP {ends} <small>{esc(about)}</small>")
        lines += [esc(text) for text in (self.sentence, self.known) if text]
        return f'<div style="{CARD.format(esc(self.colour))}">{"<br>".join(lines)}</div>'


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it stands in its run folder: ``Study.open("runs/compare-001")``.

    results: the content of ``results.json``, read only. Iterating gives the verdicts; ``study["se-neck.p3"]``
    the one of an arm.
    """

    folder: Path
    results: Mapping[str, Any] = field(repr=False)
    lang: str = "en"

    @classmethod
    def open(cls, folder: str | Path, *, lang: str = "en") -> Study:
        """Read a run folder; every number is computed again from what its runs left.

        Args:
            lang: of sentences and displays, ``en`` or ``zh``.

        Raises:
            CheckpointError: no run folder (YG401), or one of another version (YG403).
            StudyError: YG620, another language.
        """
        from yolograft.study.results import collect

        Wording(lang)
        return cls(Path(folder), MappingProxyType(collect(Path(folder))), lang)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for every arm that is judged, in the order of the study."""
        return tuple(_verdict(arm, self.results, self.lang) for arm in judged(read_arms(self.results)))

    @property
    def methods(self) -> str:
        """The methods paragraph of a paper."""
        return methods_paragraph(self.results, lang=self.lang)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def __getitem__(self, label: str) -> Verdict:
        found = {verdict.label: verdict for verdict in self.verdicts}
        if label not in found:
            known = ", ".join(found) or "none"
            raise StudyError(
                "YG622", f"no verdict on '{label}'", where=str(self.folder), fix=f"arms: {known}"
            )
        return found[label]

    def _repr_html_(self) -> str:
        words, arms = Wording(self.lang), read_arms(self.results)
        name = words_of(self.results.get("name")) or self.folder.name
        scope = words_of(self.results.get("scope"))
        parts = [f"<h3>{esc(name)}</h3>", f"<p>{esc(detector_line(self.results, words))}</p>"]
        if notice := partial_notice(self.results, arms, words):
            parts.append(f"<p><b>{esc(notice)}</b></p>")
        parts += [verdict._repr_html_() for verdict in self.verdicts]
        if scope:
            parts.append(f"<p><small>{esc(words('scope', scope=words.verdict(scope)))}</small></p>")
        margin = number(self.results.get("margin"))
        parts.append(interval_chart(compared(self.results, arms), margin=margin, words=words))
        parts.append(seed_chart(arms, words=words))
        return "\n".join(part for part in parts if part)


def _verdict(arm: Arm, results: Mapping[str, Any], lang: str) -> Verdict:
    found, scope = arm.difference, words_of(results.get("scope"))
    if found is None:
        word = "no verdict yet"
        return Verdict(
            arm.label, arm.expression, word, None, None, None, None, "", "", scope, arm.colour, lang
        )
    sentence, known = found.sentence, found.known
    if lang != "en":
        words = Wording(lang)
        again = judge(found.evidence, lang=lang)[1:] if found.evidence else None
        sentence, known = again or (words.verdict(sentence), words.verdict(known))
    ends = (found.delta, found.low, found.high, found.level)
    return Verdict(
        arm.label, arm.expression, found.qualified, *ends, sentence, known, scope, arm.colour, lang
    )
