"""What `judge` says beside the verdict, in English and Chinese; errors stand in the error itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WORDS: dict[str, tuple[str, str]] = {
    # Prediction files
    "images_ids": (
        "{label}: image ids are those of the ground truth",
        "{label}：图像编号即标注文件中的编号",
    ),
    "images_names": (
        "{label}: image ids are file names, as ultralytics and YOLOv5 write them",
        "{label}：图像编号是文件名（ultralytics 与 YOLOv5 的写法）",
    ),
    "categories_ids": (
        "{label}: category ids are those of the ground truth",
        "{label}：类别编号即标注文件中的编号",
    ),
    "categories_0": ("{label}: category ids count the classes from 0", "{label}：类别编号从 0 起"),
    "categories_1": ("{label}: category ids count the classes from 1", "{label}：类别编号从 1 起"),
    "compared": (
        "{label}: read so because the class agrees on {agreeing} of {compared} boxes that lie on a true one",
        "{label}：依据是落在真实框上的 {compared} 个框中有 {agreeing} 个类别一致",
    ),
    "empty": ("{label}: {runs} run(s) found nothing at all", "{label}：{runs} 次训练没有任何检测结果"),
    "coverage": (
        "{label}: a file has predictions on {share} % of the images with boxes only; the rest counts "
        "as missed",
        "{label}：有文件只覆盖 {share} % 的有目标图像，其余按漏检计",
    ),
    "cut": (
        "{label}: no score below {score}: the tail of the precision-recall curve is cut off and AP "
        "is too low; "
        "predict again at confidence 0.001",
        "{label}：没有低于 {score} 的得分，PR 曲线尾部被截断，AP 偏低；请用置信度 0.001 重新预测",
    ),
    "limit": (
        "{label}: several images stop at exactly {boxes} boxes: a limit of the tool; COCO takes 100 a class",
        "{label}：多张图像恰好止于 {boxes} 个框，应是工具的上限；COCO 每类取 100 个",
    ),
    "hundred": (
        "{label}: in {runs} run(s) an image has over 100 boxes of one class; COCO takes the best 100",
        "{label}：{runs} 次训练中有图像单类超过 100 个框，COCO 只取得分最高的 100 个",
    ),
    "no_area": (
        "{count} annotations state no area; that of the box is taken",
        "{count} 个标注没有 area，以框面积代替",
    ),
    "epochs_unknown": (
        "prediction files do not say from which epoch they are, nor from which seed: take the last "
        "weights and "
        "another seed for each run, or the verdict is about something else",
        "预测文件不含轮次与种子信息：各次训练应取最后一轮权重、不同种子，否则结论另有所指",
    ),
    "unequal": (
        "{label}: {new} runs against {base} of the baseline; the verdict allows for it",
        "{label}：{new} 次对基线 {base} 次，判断已计入",
    ),
    "off_look": (
        "{label}: {runs} runs are between the planned looks {looks}; no verdict is given there",
        "{label}：{runs} 次训练不在计划的查看点 {looks} 上，不下结论",
    ),
    # Run folders
    "skipped": ("{folder}: not used, {why}", "{folder}：未采用，{why}"),
    "early": (
        "{folder}: stopped early at epoch {last} of {planned}, as its patience asks",
        "{folder}：按 patience 在第 {last}/{planned} 轮提前停止",
    ),
    "same_seed": (
        "{label}: {runs} runs of seed {seed} count as one, their mean: repeats of one seed hide the "
        "noise between "
        "seeds (the default seed never changes by itself; give each run its own)",
        "{label}：种子 {seed} 的 {runs} 次训练按一次计（取均值）：同一种子重复看不出种子间波动"
        "（默认种子不会自行改变，请为每次训练指定）",
    ),
    "no_seed": (
        "{label}: {runs} run(s) state no seed; each counts as a seed of its own",
        "{label}：{runs} 次训练未写明种子，各按一个种子计",
    ),
    "best_epoch": (
        "{label}: the best epoch would have been {gain:+.2f} AP above the last on average; choosing "
        "it on the "
        "evaluation images is selection, so the last one is judged",
        "{label}：最佳轮次平均比最后一轮高 {gain:+.2f} AP；在评估图像上挑选属于选择偏差，因此按最后一轮判断",
    ),
    "best_predictions": (
        "{label}: predictions.json of a training folder is that of best.pt, chosen on these images "
        "(best above last: {gain:+.2f} AP); run val on last.pt with save_json for a verdict without "
        "selection",
        "{label}：训练目录中的 predictions.json 来自 best.pt，是在这些图像上选出的"
        "（比最后一轮高 {gain:+.2f} AP）；"
        "要排除选择偏差，请对 last.pt 运行 val 并开启 save_json",
    ),
    "from_csv": (
        "judged from the tool's own AP at the last epoch: noise between seeds only, this evaluation "
        "split only",
        "按工具自报的最后一轮 AP 判断：只含种子间波动，仅适用于本评估划分",
    ),
    "give_gt": (
        "predictions are there: --gt with the ground truth judges them image by image",
        "目录中有预测文件：加 --gt 指定标注即可逐图判断",
    ),
    "gt_unused": (
        "--gt is not used: not every finished run has predictions, or a run diverged or repeats a seed",
        "未使用 --gt：并非每次训练都有预测文件，或有训练发散、种子重复",
    ),
    "gt_alone": (
        "--gt is not used: with one recipe there is no difference to judge",
        "未使用 --gt：只有一种配方，没有差异可判断",
    ),
    "idle_options": (
        "{options}: without effect here, the tool's own AP is judged and not its predictions",
        "{options}：此处不起作用，判断依据是工具自报的 AP，而非预测文件",
    ),
    "baseline": (
        "baseline: {label} (the first run given; --base names another)",
        "基线：{label}（取给出的第一个，可用 --base 指定）",
    ),
    "one_group": (
        "one recipe only: nothing to compare it with",
        "只有一种配方，没有可比较的对象",
    ),
    "one_run": (
        "{label}: a single run says nothing about noise: another seed may well give another AP",
        "{label}：单次训练无法反映波动，换一个种子 AP 就可能不同",
    ),
    "sees": (
        "{label}: with sd {sd:.2f} AP between seeds, {runs} + {runs} runs would see a difference of "
        "{seen:.1f} AP",
        "{label}：种子间标准差 {sd:.2f} AP，每组 {runs} 次可检出 {seen:.1f} AP 的差异",
    ),
    "differs": ("{label} differs from {base} in {keys}", "{label} 与 {base} 的不同之处：{keys}"),
    "other_data": (
        "{label}: evaluated on other data than {base} ({ours} and {theirs}): their AP cannot be compared",
        "{label}：与 {base} 的评估数据不同（{ours} 与 {theirs}），AP 不可比",
    ),
    "other_tool": (
        "{label}: {ours} and {theirs} define AP each their own way; judge their predictions with --gt",
        "{label}：{ours} 与 {theirs} 的 AP 定义不同，请用 --gt 比较预测文件",
    ),
}
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to say. key: of `WORDS`; facts: what stands in it; warns: it bends the numbers."""

    key: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    warns: bool = False

    def text(self, lang: str = "en") -> str:
        """The note in English or Chinese."""
        return WORDS[self.key][LANGUAGES.index(lang)].format(**self.facts)

    def json(self, lang: str = "en") -> dict[str, Any]:
        """The note as JSON values."""
        return {"key": self.key, "warns": self.warns, "facts": dict(self.facts), "text": self.text(lang)}
