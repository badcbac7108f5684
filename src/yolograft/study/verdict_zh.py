"""The sentences of a verdict in Chinese; the numbers stand in them as in the English ones."""

from __future__ import annotations

import math

from yolograft.study.evidence import Evidence, Said, outward, percent

_WORDS = {
    "helps": "有效",
    "hurts": "有害",
    "no detectable difference": "无可检测差异",
    "not enough seeds": "种子数不足",
}
_SCOPES = {"this evaluation split": "仅限本评估划分"}


def sentence(evidence: Evidence, said: Said) -> str:
    """The numbers, the verdict with what qualifies it, and which runs diverged."""
    tail, failures = "", _failures(evidence)
    if said.withheld:
        tail = f"；因{failures}，不作“{_WORDS[said.withheld]}”的结论"
    elif failures:
        tail = f"；{failures}"
    return f"{_numbers(evidence)} -> {_words(evidence, said)}{tail}"


def known(evidence: Evidence) -> str:
    """What a study without a verdict rules out, and how many seeds would see more."""
    if not math.isfinite(evidence.low):
        if min(evidence.seeds) < 2:
            return "尚无：这些训练不足以估计种子间的噪声"
        return "尚无：每一组内各次训练的结果完全相同，种子间的噪声未知"
    gains = f"高于 {outward(evidence.high):+.1f} AP 的提升" if evidence.high > 0 else "任何提升"
    losses = f"超过 {outward(evidence.low):+.1f} AP 的下降" if evidence.low < 0 else "任何下降"
    ruled_out = f"在 {percent(evidence.level)} 水平上可排除{gains}和{losses}"
    if not evidence.wide_needed:
        return ruled_out
    return f"{ruled_out}；每组 {evidence.wide_needed} 个种子可看出 {evidence.wide:g} AP 的差异"


def _failures(evidence: Evidence) -> str:
    sides = zip(("基线", "本组"), evidence.seeds, evidence.failed, strict=True)
    return "，".join(
        f"{side} {done + failed} 次训练中有 {failed} 次发散" for side, done, failed in sides if failed
    )


def _words(evidence: Evidence, said: Said) -> str:
    word = _WORDS[said.word]
    if said.word == "no detectable difference":
        return f"{word}（|Δ| < {evidence.margin:g}）"
    if said.word == "not enough seeds":
        return f"{word}（每组至少需要 {said.needed(evidence)} 个）"
    return f"{word}，但小于设定阈值" if abs(evidence.delta) < evidence.margin else word


def _numbers(evidence: Evidence) -> str:
    base, arm = evidence.seeds
    tried = f"，共尝试 {evidence.tried} 个改动" if evidence.tried > 1 else ""
    scope = _SCOPES.get(evidence.scope, evidence.scope)
    runs = f"种子 {base}+{arm} 个，{scope}{tried}"
    if not math.isfinite(evidence.delta):
        return f"{evidence.label}：没有可比较的差值（{runs}）"
    if not math.isfinite(evidence.low):
        return f"{evidence.label}：{evidence.delta:+.2f} AP（{runs}）"
    interval = f"[{evidence.low:+.2f}, {evidence.high:+.2f}]"
    return f"{evidence.label}：{evidence.delta:+.2f} AP，{percent(evidence.level)} 区间 {interval}（{runs}）"
