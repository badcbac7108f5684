"""The sentences of a verdict in English."""

from __future__ import annotations

import math

from yolograft.study.statistics.evidence import (
    Evidence,
    Said,
    beside_placebo,
    hours_and_minutes,
    outward,
    percent,
)

_PLACEBO = {
    "not better": "but not shown better than a plain convolution",
    "worse": "but less than a plain convolution",
}
_SILENCE = {
    "zero": "nothing yet: every run of both arms scored AP 0, so there is nothing to compare; train longer",
    "still": "nothing yet: no two runs of either arm differ, so the noise between seeds is unknown",
}


def sentence(evidence: Evidence, said: Said) -> str:
    """The numbers, the verdict with what qualifies it, and which runs diverged."""
    tail, failures = "", _failures(evidence)
    if said.withheld:
        tail = f'; "{said.withheld}" is withheld: {failures}'
    elif failures:
        tail = f"; {failures}"
    if evidence.silence == "zero":
        tail += "; every run scored AP 0"
    return f"{_numbers(evidence)} -> {_words(evidence, said)}{tail}"


def known(evidence: Evidence) -> str:
    """What a study without a verdict rules out, and what would see more."""
    if evidence.silence:
        return _SILENCE[evidence.silence]
    if not math.isfinite(evidence.low):
        if min(evidence.seeds) < 2:
            return "nothing yet: these runs hold no estimate of the noise between seeds"
        return "nothing yet: no two runs of any arm differ, so the noise between seeds is unknown"
    gains = f"gains above {outward(evidence.high):+.1f} AP" if evidence.high > 0 else "any gain"
    losses = f"losses beyond {outward(evidence.low):+.1f} AP" if evidence.low < 0 else "any loss"
    said = f"{gains} and {losses} ruled out at {percent(evidence.level)}"
    if evidence.images_needed > evidence.units:
        what = "groups of images" if evidence.grouped else "images"
        said += f"; on these {evidence.units} {what} no number of seeds would see {evidence.margin:g} AP"
    if not evidence.wide_needed:
        return said
    return f"{said}; {evidence.wide_needed} seeds per arm{_time(evidence)} would see {evidence.wide:g} AP"


def _time(evidence: Evidence) -> str:
    time = hours_and_minutes(evidence, evidence.wide_needed)
    if time is None:
        return ""
    return f" ({time[0]} h {time[1]} min here)" if time[0] else f" ({time[1]} min here)"


def _failures(evidence: Evidence) -> str:
    sides = zip(("the baseline", "this arm"), evidence.ended, evidence.failed, strict=True)
    return ", ".join(
        f"{failed} of {ended} runs of {side} diverged" for side, ended, failed in sides if failed
    )


def _words(evidence: Evidence, said: Said) -> str:
    if said.word == "no detectable difference":
        return f"no detectable difference (|Delta| < {evidence.margin:g})"
    if said.word == "not enough seeds":
        return f"not enough seeds (needs >= {said.needed(evidence)})"
    if said.word == "not enough images":
        what = "groups of images" if evidence.grouped else "images"
        return f"not enough images (needs >= {evidence.images_needed} {what})"
    small = ["smaller than your margin"] if abs(evidence.delta) < evidence.margin else []
    beside = beside_placebo(evidence) if said.word == "helps" else ""
    return ", ".join([said.word, *small, *([_PLACEBO[beside] + _placebo_runs(evidence)] if beside else [])])


def _placebo_runs(evidence: Evidence) -> str:
    done, failed = evidence.placebo_finished, evidence.placebo_failed
    return f" ({failed} of {done + failed} runs of {evidence.placebo} diverged)" if failed else ""


def _numbers(evidence: Evidence) -> str:
    base, arm = evidence.seeds
    tried = f", tried {evidence.tried}" if evidence.tried > 1 else ""
    pairs = " paired" if evidence.paired else ""
    bank = ", without the noise bank, whose noise differs" if evidence.bank_refused else ""
    runs = f"{base}+{arm}{pairs} seeds, {evidence.scope}{tried}{bank}"
    if not math.isfinite(evidence.delta):
        return f"{evidence.label}: no difference to show ({runs})"
    if not math.isfinite(evidence.low):
        return f"{evidence.label}: {evidence.delta:+.2f} AP ({runs})"
    interval = f"[{evidence.low:+.2f}, {evidence.high:+.2f}]"
    return f"{evidence.label}: {evidence.delta:+.2f} AP {interval} {percent(evidence.level)} ({runs})"
