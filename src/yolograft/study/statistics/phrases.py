"""What a verdict says, in English and Chinese: templates for `verdict`, which knows when to say what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from yolograft.study.statistics.evidence import NEW_IMAGES, THIS_SPLIT, Verdict


@dataclass(frozen=True, slots=True)
class Phrases:
    """Templates for `str.format`; what stands in braces is named alike in every language.

    units: what images are called where there are ``units`` of them, by whether they are grouped; counted:
    where a number of them is asked for. sides: baseline and arm.
    """

    words: Mapping[Verdict, str]
    scopes: Mapping[str, str]
    placebo: Mapping[str, str]
    silence: Mapping[str, str]
    units: tuple[str, str]
    counted: tuple[str, str]
    sides: tuple[str, str]
    comma: str
    withheld: str
    beside: str
    all_zero: str
    no_estimate: str
    all_still: str
    gains: str
    any_gain: str
    losses: str
    any_loss: str
    ruled_out: str
    images_too_few: str
    seeds_would_see: str
    hours: str
    minutes: str
    failures: str
    no_difference: str
    more_seeds: str
    more_images: str
    small: str
    placebo_failures: str
    tried: str
    paired: str
    bank_refused: str
    runs: str
    no_delta: str
    no_interval: str
    interval: str


ENGLISH = Phrases(
    words={
        "helps": "helps",
        "hurts": "hurts",
        "no detectable difference": "no detectable difference",
        "not enough seeds": "not enough seeds",
        "not enough images": "not enough images",
    },
    scopes={},
    placebo={
        "not better": "but not shown better than a plain convolution",
        "worse": "but less than a plain convolution",
    },
    silence={
        "zero": "nothing yet: every run of both arms scored AP 0, so there is nothing to compare; "
        "train longer",
        "still": "nothing yet: no two runs of either arm differ, so the noise between seeds is unknown",
    },
    units=("images", "groups of images"),
    counted=("images", "groups of images"),
    sides=("the baseline", "this arm"),
    comma=", ",
    withheld='; "{word}" is withheld: {failures}',
    beside="; {failures}",
    all_zero="; every run scored AP 0",
    no_estimate="nothing yet: these runs hold no estimate of the noise between seeds",
    all_still="nothing yet: no two runs of any arm differ, so the noise between seeds is unknown",
    gains="gains above {bound:+.1f} AP",
    any_gain="any gain",
    losses="losses beyond {bound:+.1f} AP",
    any_loss="any loss",
    ruled_out="{gains} and {losses} ruled out at {level}",
    images_too_few="; on these {units} {what} no number of seeds would see {margin:g} AP",
    seeds_would_see="; {seeds} seeds per arm{time} would see {wide:g} AP",
    hours=" ({hours} h {minutes} min here)",
    minutes=" ({minutes} min here)",
    failures="{failed} of {ended} runs of {side} diverged",
    no_difference="{word} (|Delta| < {margin:g})",
    more_seeds="{word} (needs >= {needed})",
    more_images="{word} (needs >= {needed} {what})",
    small="smaller than your margin",
    placebo_failures=" ({failed} of {ended} runs of {placebo} diverged)",
    tried=", tried {tried}",
    paired=" paired",
    bank_refused=", without the noise bank, whose noise differs",
    runs="{base}+{arm}{paired} seeds, {scope}{tried}{bank}",
    no_delta="{label}: no difference to show ({runs})",
    no_interval="{label}: {delta:+.2f} AP ({runs})",
    interval="{label}: {delta:+.2f} AP [{low:+.2f}, {high:+.2f}] {level} ({runs})",
)

CHINESE = Phrases(
    words={
        "helps": "有效",
        "hurts": "有害",
        "no detectable difference": "无可检测差异",
        "not enough seeds": "种子数不足",
        "not enough images": "图像数不足",
    },
    scopes={THIS_SPLIT: "仅限本评估划分", NEW_IMAGES: "适用于同类新图像"},
    placebo={"not better": "但未显示优于普通卷积", "worse": "但不如普通卷积"},
    silence={
        "zero": "尚无：两组每次训练的 AP 都是 0，无从比较，请先延长训练",
        "still": "尚无：两组内各次训练的结果完全相同，种子间的噪声未知",
    },
    units=("张图像", "组图像"),
    counted=("张", "组"),
    sides=("基线", "本组"),
    comma="，",
    withheld="；因{failures}，不作“{word}”的结论",
    beside="；{failures}",
    all_zero="；每次训练的 AP 都是 0",
    no_estimate="尚无：这些训练不足以估计种子间的噪声",
    all_still="尚无：每一组内各次训练的结果完全相同，种子间的噪声未知",
    gains="高于 {bound:+.1f} AP 的提升",
    any_gain="任何提升",
    losses="超过 {bound:+.1f} AP 的下降",
    any_loss="任何下降",
    ruled_out="在 {level} 水平上可排除{gains}和{losses}",
    images_too_few="；在这 {units} {what}上，再多种子也看不出 {margin:g} AP 的差异",
    seeds_would_see="；每组 {seeds} 个种子{time}可看出 {wide:g} AP 的差异",
    hours="（本机约需 {hours} 小时 {minutes} 分钟）",
    minutes="（本机约需 {minutes} 分钟）",
    failures="{side} {ended} 次训练中有 {failed} 次发散",
    no_difference="{word}（|Δ| < {margin:g}）",
    more_seeds="{word}（每组至少需要 {needed} 个）",
    more_images="{word}（至少需要 {needed} {what}）",
    small="但小于设定阈值",
    placebo_failures="（{placebo} {ended} 次训练中有 {failed} 次发散）",
    tried="，共尝试 {tried} 个改动",
    paired="（配对）",
    bank_refused="，噪声库与基线的噪声不一致，未采用",
    runs="种子 {base}+{arm} 个{paired}，{scope}{tried}{bank}",
    no_delta="{label}：没有可比较的差值（{runs}）",
    no_interval="{label}：{delta:+.2f} AP（{runs}）",
    interval="{label}：{delta:+.2f} AP，{level} 区间 [{low:+.2f}, {high:+.2f}]（{runs}）",
)
