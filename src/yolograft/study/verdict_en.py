"""The sentences of a verdict in English."""

from __future__ import annotations

import math

from yolograft.study.evidence import Evidence, Said, outward, percent


def sentence(evidence: Evidence, said: Said) -> str:
    """The numbers, the verdict with what qualifies it, and which runs diverged."""
    tail, failures = "", _failures(evidence)
    if said.withheld:
        tail = f'; "{said.withheld}" is withheld: {failures}'
    elif failures:
        tail = f"; {failures}"
    return f"{_numbers(evidence)} -> {_words(evidence, said)}{tail}"


def known(evidence: Evidence) -> str:
    """What a study without a verdict rules out, and how many seeds would see more."""
    if not math.isfinite(evidence.low):
        if min(evidence.seeds) < 2:
            return "nothing yet: these runs hold no estimate of the noise between seeds"
        return "nothing yet: no two runs of any arm differ, so the noise between seeds is unknown"
    gains = f"gains above {outward(evidence.high):+.1f} AP" if evidence.high > 0 else "any gain"
    losses = f"losses beyond {outward(evidence.low):+.1f} AP" if evidence.low < 0 else "any loss"
    ruled_out = f"{gains} and {losses} ruled out at {percent(evidence.level)}"
    if not evidence.wide_needed:
        return ruled_out
    return f"{ruled_out}; {evidence.wide_needed} seeds per arm would see {evidence.wide:g} AP"


def _failures(evidence: Evidence) -> str:
    sides = zip(("the baseline", "this arm"), evidence.seeds, evidence.failed, strict=True)
    return ", ".join(
        f"{failed} of {done + failed} runs of {side} diverged" for side, done, failed in sides if failed
    )


def _words(evidence: Evidence, said: Said) -> str:
    if said.word == "no detectable difference":
        return f"no detectable difference (|Delta| < {evidence.margin:g})"
    if said.word == "not enough seeds":
        return f"not enough seeds (needs >= {said.needed(evidence)})"
    return f"{said.word}, smaller than your margin" if abs(evidence.delta) < evidence.margin else said.word


def _numbers(evidence: Evidence) -> str:
    base, arm = evidence.seeds
    tried = f", tried {evidence.tried}" if evidence.tried > 1 else ""
    runs = f"{base}+{arm} seeds, {evidence.scope}{tried}"
    if not math.isfinite(evidence.delta):
        return f"{evidence.label}: no difference to show ({runs})"
    if not math.isfinite(evidence.low):
        return f"{evidence.label}: {evidence.delta:+.2f} AP ({runs})"
    interval = f"[{evidence.low:+.2f}, {evidence.high:+.2f}]"
    return f"{evidence.label}: {evidence.delta:+.2f} AP {interval} {percent(evidence.level)} ({runs})"
