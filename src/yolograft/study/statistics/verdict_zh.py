"""The sentences of a verdict in Chinese; the numbers stand in them as in the English ones."""

from __future__ import annotations

import math

from yolograft.study.statistics.evidence import (
    NEW_IMAGES,
    THIS_SPLIT,
    Evidence,
    Said,
    beside_placebo,
    hours_and_minutes,
    outward,
    percent,
)

_WORDS = {
    "helps": "有效",
    "hurts": "有害",
    "no detectable difference": "无可检测差异",
    "not enough seeds": "种子数不足",
    "not enough images": "图像数不足",
}
_SCOPES = {THIS_SPLIT: "仅限本评估划分", NEW_IMAGES: "适用于同类新图像"}
_PLACEBO = {"not better": "但未显示优于普通卷积", "worse": "但不如普通卷积"}
_SILENCE = {
    "zero": "尚无：两组每次训练的 AP 都是 0，无从比较，请先延长训练",
    "still": "尚无：两组内各次训练的结果完全相同，种子间的噪声未知",
}


def sentence(evidence: Evidence, said: Said) -> str:
    """The numbers, the verdict with what qualifies it, and which runs diverged."""
    tail, failures = "", _failures(evidence)
    if said.withheld:
        tail = f"；因{failures}，不作“{_WORDS[said.withheld]}”的结论"
    elif failures:
        tail = f"；{failures}"
    if evidence.silence == "zero":
        tail += "；每次训练的 AP 都是 0"
    return f"{_numbers(evidence)} -> {_words(evidence, said)}{tail}"


def known(evidence: Evidence) -> str:
    """What a study without a verdict rules out, and what would see more."""
    if evidence.silence:
        return _SILENCE[evidence.silence]
    if not math.isfinite(evidence.low):
        if min(evidence.seeds) < 2:
            return "尚无：这些训练不足以估计种子间的噪声"
        return "尚无：每一组内各次训练的结果完全相同，种子间的噪声未知"
    gains = f"高于 {outward(evidence.high):+.1f} AP 的提升" if evidence.high > 0 else "任何提升"
    losses = f"超过 {outward(evidence.low):+.1f} AP 的下降" if evidence.low < 0 else "任何下降"
    said = f"在 {percent(evidence.level)} 水平上可排除{gains}和{losses}"
    if evidence.images_needed > evidence.units:
        what = "组图像" if evidence.grouped else "张图像"
        said += f"；在这 {evidence.units} {what}上，再多种子也看不出 {evidence.margin:g} AP 的差异"
    if not evidence.wide_needed:
        return said
    return f"{said}；每组 {evidence.wide_needed} 个种子{_time(evidence)}可看出 {evidence.wide:g} AP 的差异"


def _time(evidence: Evidence) -> str:
    time = hours_and_minutes(evidence, evidence.wide_needed)
    if time is None:
        return ""
    return f"（本机约需 {time[0]} 小时 {time[1]} 分钟）" if time[0] else f"（本机约需 {time[1]} 分钟）"


def _failures(evidence: Evidence) -> str:
    sides = zip(("基线", "本组"), evidence.ended, evidence.failed, strict=True)
    return "，".join(f"{side} {ended} 次训练中有 {failed} 次发散" for side, ended, failed in sides if failed)


def _words(evidence: Evidence, said: Said) -> str:
    word = _WORDS[said.word]
    if said.word == "no detectable difference":
        return f"{word}（|Δ| < {evidence.margin:g}）"
    if said.word == "not enough seeds":
        return f"{word}（每组至少需要 {said.needed(evidence)} 个）"
    if said.word == "not enough images":
        what = "组" if evidence.grouped else "张"
        return f"{word}（至少需要 {evidence.images_needed} {what}）"
    small = ["但小于设定阈值"] if abs(evidence.delta) < evidence.margin else []
    beside = beside_placebo(evidence) if said.word == "helps" else ""
    return "，".join([word, *small, *([_PLACEBO[beside] + _placebo_runs(evidence)] if beside else [])])


def _placebo_runs(evidence: Evidence) -> str:
    done, failed = evidence.placebo_finished, evidence.placebo_failed
    return f"（{evidence.placebo} {done + failed} 次训练中有 {failed} 次发散）" if failed else ""


def _numbers(evidence: Evidence) -> str:
    base, arm = evidence.seeds
    tried = f"，共尝试 {evidence.tried} 个改动" if evidence.tried > 1 else ""
    scope = _SCOPES.get(evidence.scope, evidence.scope)
    pairs = "（配对）" if evidence.paired else ""
    bank = "，噪声库与基线的噪声不一致，未采用" if evidence.bank_refused else ""
    runs = f"种子 {base}+{arm} 个{pairs}，{scope}{tried}{bank}"
    if not math.isfinite(evidence.delta):
        return f"{evidence.label}：没有可比较的差值（{runs}）"
    if not math.isfinite(evidence.low):
        return f"{evidence.label}：{evidence.delta:+.2f} AP（{runs}）"
    interval = f"[{evidence.low:+.2f}, {evidence.high:+.2f}]"
    return f"{evidence.label}：{evidence.delta:+.2f} AP，{percent(evidence.level)} 区间 {interval}（{runs}）"
