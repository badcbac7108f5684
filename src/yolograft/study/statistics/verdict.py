"""The word of a verdict, the sentence around it, and what is known where there is none.

Sentences come in English, which `results.json` keeps, and Chinese; both say the same `Evidence`.
"""

from __future__ import annotations

import math

from yolograft.study.statistics.evidence import (
    Evidence,
    Said,
    Verdict,
    beside_placebo,
    hours_and_minutes,
    outward,
    percent,
    verdict_of,
)
from yolograft.study.statistics.phrases import CHINESE, ENGLISH, Phrases

LANGUAGES = {"en": ENGLISH, "zh": CHINESE}


def judge(evidence: Evidence, *, lang: str = "en") -> tuple[Verdict, str, str]:
    """The verdict word, the full sentence, and what is known (empty for ``helps`` and ``hurts``).

    The word is one of `Verdict` whatever the language of the sentence: ``en`` or ``zh``.
    """
    said, phrases = verdict_of(evidence), LANGUAGES[lang]
    known = "" if said.word in ("helps", "hurts") else _known(evidence, phrases)
    return said.word, _sentence(evidence, said, phrases), known


def _sentence(evidence: Evidence, said: Said, phrases: Phrases) -> str:
    """The numbers, the verdict with what qualifies it, and which runs diverged."""
    tail, failures = "", _failures(evidence, phrases)
    if said.withheld:
        tail = phrases.withheld.format(word=phrases.words[said.withheld], failures=failures)
    elif failures:
        tail = phrases.beside.format(failures=failures)
    if evidence.silence == "zero":
        tail += phrases.all_zero
    return f"{_numbers(evidence, phrases)} -> {_words(evidence, said, phrases)}{tail}"


def _known(evidence: Evidence, phrases: Phrases) -> str:
    """What a study without a verdict rules out, and what would see more."""
    if evidence.silence:
        return phrases.silence[evidence.silence]
    if not math.isfinite(evidence.low):
        return phrases.no_estimate if min(evidence.seeds) < 2 else phrases.all_still
    gains, losses = phrases.any_gain, phrases.any_loss
    if evidence.high > 0:
        gains = phrases.gains.format(bound=outward(evidence.high))
    if evidence.low < 0:
        losses = phrases.losses.format(bound=outward(evidence.low))
    known = phrases.ruled_out.format(gains=gains, losses=losses, level=percent(evidence.level))
    if evidence.images_needed > evidence.units:
        what = phrases.units[evidence.grouped]
        known += phrases.images_too_few.format(units=evidence.units, what=what, margin=evidence.margin)
    if evidence.wide_needed:
        time = _time(evidence, phrases)
        known += phrases.seeds_would_see.format(seeds=evidence.wide_needed, time=time, wide=evidence.wide)
    return known


def _time(evidence: Evidence, phrases: Phrases) -> str:
    time = hours_and_minutes(evidence, evidence.wide_needed)
    if time is None:
        return ""
    return (phrases.hours if time[0] else phrases.minutes).format(hours=time[0], minutes=time[1])


def _failures(evidence: Evidence, phrases: Phrases) -> str:
    sides = zip(phrases.sides, evidence.ended, evidence.failed, strict=True)
    return phrases.comma.join(
        phrases.failures.format(failed=failed, ended=ended, side=side)
        for side, ended, failed in sides
        if failed
    )


def _words(evidence: Evidence, said: Said, phrases: Phrases) -> str:
    """The word with what qualifies it."""
    word = phrases.words[said.word]
    if said.word == "no detectable difference":
        return phrases.no_difference.format(word=word, margin=evidence.margin)
    if said.word == "not enough seeds":
        return phrases.more_seeds.format(word=word, needed=said.needed(evidence))
    if said.word == "not enough images":
        what = phrases.counted[evidence.grouped]
        return phrases.more_images.format(word=word, needed=evidence.images_needed, what=what)
    parts = [word, phrases.small] if abs(evidence.delta) < evidence.margin else [word]
    if said.word == "helps" and (beside := beside_placebo(evidence)):
        parts.append(phrases.placebo[beside] + _placebo_failures(evidence, phrases))
    return phrases.comma.join(parts)


def _placebo_failures(evidence: Evidence, phrases: Phrases) -> str:
    failed = evidence.placebo_failed
    ended = evidence.placebo_finished + failed
    if not failed:
        return ""
    return phrases.placebo_failures.format(failed=failed, ended=ended, placebo=evidence.placebo)


def _numbers(evidence: Evidence, phrases: Phrases) -> str:
    runs = phrases.runs.format(
        base=evidence.seeds[0],
        arm=evidence.seeds[1],
        paired=phrases.paired if evidence.paired else "",
        scope=phrases.scopes.get(evidence.scope, evidence.scope),
        tried=phrases.tried.format(tried=evidence.tried) if evidence.tried > 1 else "",
        bank=phrases.bank_refused if evidence.bank_refused else "",
    )
    if not math.isfinite(evidence.delta):
        return phrases.no_delta.format(label=evidence.label, runs=runs)
    if not math.isfinite(evidence.low):
        return phrases.no_interval.format(label=evidence.label, delta=evidence.delta, runs=runs)
    ends = {"low": evidence.low, "high": evidence.high, "level": percent(evidence.level)}
    return phrases.interval.format(label=evidence.label, delta=evidence.delta, runs=runs, **ends)
