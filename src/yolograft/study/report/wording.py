"""The words of the report in English and Chinese; `words_detail` and its neighbours hold the details."""

from __future__ import annotations

import re
from dataclasses import dataclass

from yolograft.errors import StudyError
from yolograft.study.paper.words import METHOD_WORDS
from yolograft.study.report.sentences_zh import SENTENCES_ZH
from yolograft.study.report.words_detail import DETAIL_WORDS
from yolograft.study.report.words_evidence import EVIDENCE_WORDS

LANGUAGES = ("en", "zh")

_PAGE_WORDS: dict[str, tuple[str, str]] = {
    # Head of the page
    "title": ("yolograft report: {name}", "yolograft 报告：{name}"),
    "figure": ("Figure", "图"),
    "table": ("Table", "表"),
    "partial": (
        "Study in progress: {done} of {planned} runs are finished. Numbers below will change.",
        "实验进行中：{planned} 次训练已完成 {done} 次，下列数字还会变化。",
    ),
    "train_images": ("{images} training images", "训练 {images} 张图"),
    "eval_images": ("{images} images evaluated ({split})", "评估 {images} 张图（{split}）"),
    "seeds_count": ("{count} seeds per arm", "每组 {count} 个种子"),
    "one_seed": ("1 seed per arm", "每组 1 个种子"),
    "epochs": ("{epochs} epochs", "{epochs} 轮"),
    # Answer
    "answer": ("Answer", "结论"),
    "scope": ("scope: {scope}", "适用范围：{scope}"),
    "sees": ("What this budget can see", "此预算能看出多大差异"),
    "difference": ("Difference to baseline", "与基线之差"),
    "interval": ("{level} interval", "{level} 区间"),
    "with_df": (", df {df}", "，自由度 {df}"),
    "no_interval": ("no interval", "无区间"),
    "no_verdict": ("no verdict yet", "尚无结论"),
    "no_graft": ("No grafted arm in these results yet.", "结果中还没有嫁接组。"),
    "known": ("What is known", "已知"),
    "diverged_note": (
        "{count} of {planned} runs diverged (seed {seeds}); means are over the runs that ended.",
        "{planned} 次训练中有 {count} 次发散（种子 {seeds}）；均值只含完成的训练。",
    ),
    # Figures
    "intervals": ("Difference with interval, and AP per seed", "差值与区间，各种子的 AP"),
    "intervals_caption": (
        "AP of each arm minus AP of the baseline, with its {level} interval. Holds for {scope}.",
        "各组 AP 减去基线 AP 及其 {level} 区间。适用范围：{scope}。",
    ),
    "intervals_caption_none": (
        "AP of each arm minus AP of the baseline, without an interval. Holds for {scope}.",
        "各组 AP 减去基线 AP，无区间。适用范围：{scope}。",
    ),
    "margin_caption": (
        " Shaded: differences smaller than the margin of {margin} AP set before the first run.",
        "阴影：小于首次训练前设定的阈值 {margin} AP 的差异。",
    ),
    "contrasts_caption": (
        " A row “a vs b” is AP of a minus AP of b.",
        "“a vs b”一行为 a 的 AP 减去 b 的 AP。",
    ),
    "difference_axis": ("Difference in AP (points)", "AP 之差（点）"),
    "worse": ("worse", "变差"),
    "better": ("better", "变好"),
    "seeds": ("AP per seed", "各种子的 AP"),
    "seeds_caption": (
        "One dot per training run; a light line joins the runs of one seed, which saw the same batches in "
        "the same order. Vertical mark: mean; right: mean ± standard deviation over seeds. The axis does "
        "not start at zero.",
        "每点为一次训练；浅线连接同一种子的训练，它们以相同顺序看到相同批次。"
        "竖线为均值，右侧为均值 ± 种子间标准差。坐标轴不从零开始。",
    ),
    "ap_axis": ("AP, COCO 50:95 (points)", "AP，COCO 50:95（点）"),
    "seed": ("seed {seed}", "种子 {seed}"),
    "mean": ("mean", "均值"),
    "mean_sd": ("mean ± sd", "均值 ± 标准差"),
    "none_done": ("no finished run", "无已完成训练"),
    "diverged_short": ("{count} diverged", "{count} 次发散"),
    "diverged": ("diverged", "发散"),
    "missing": ("missing", "缺失"),
    "done": ("done", "完成"),
    "placement": ("Where the graft sits", "嫁接位置"),
    "placement_caption": (
        "{label}. Rows are strides, information flows along the arrows; strided convolutions, upsampling and "
        "concatenation are folded into them. Coloured: grafted; a coloured block below a layer follows that "
        "layer. Small numbers: output channels.",
        "{label}。行为步长，信息沿箭头流动；下采样卷积、上采样与拼接并入箭头。彩色为嫁接模块，"
        "紧贴某层下方者接在该层之后。"
        "小字为输出通道数。",
    ),
    "placement_plain": (
        "{label}. Rows are strides, information flows along the arrows; strided convolutions, upsampling and "
        "concatenation are folded into them. Small numbers: output channels.",
        "{label}。行为步长，信息沿箭头流动；下采样卷积、上采样与拼接并入箭头。小字为输出通道数。",
    ),
    "stride": ("stride {stride}", "步长 {stride}"),
    "backbone": ("Backbone", "主干"),
    "neck": ("Neck", "颈部"),
    "head": ("Head", "检测头"),
    "image": ("image", "图像"),
    "curves": ("Learning curves", "学习曲线"),
    "curves_caption": (
        "Thin: one run each; bold: mean over the runs that have a value at that epoch. A cross ends a "
        "diverged run.",
        "细线为单次训练，粗线为该轮有值的各训练之均值；叉号表示训练在此发散。",
    ),
    "fusion_caption": (
        "Fusion weights of {label}: the share of every map in each weighted join, mean over seeds.",
        "{label} 的融合权重：各特征图在每个加权汇合点所占的份额，各种子平均。",
    ),
    "loss_axis": ("Training loss", "训练损失"),
    "loss_log_axis": ("Training loss (log scale)", "训练损失（对数坐标）"),
    "ap_epoch_axis": ("AP on the evaluation split (points)", "评估划分上的 AP（点）"),
    "epoch_axis": ("epoch", "轮"),
    "classes": ("AP per class", "各类别 AP"),
    "classes_caption": (
        "Dot: mean over seeds; bar: ± one standard deviation over seeds; n: boxes in the evaluation split. "
        "No verdict is drawn per class.",
        "点为种子均值，横条为 ± 一个种子间标准差，n 为评估划分中的框数。不对单个类别下结论。",
    ),
    "classes_cut": (
        " The {shown} classes with the most boxes of {total}.",
        "共 {total} 类，仅示框数最多的 {shown} 类。",
    ),
    "cost": ("Cost", "代价"),
    "cost_caption": (
        "Bars start at zero. Latency: batch 1, {device}; bar p50, thin line to p90. Training time is that of "
        "one arm.",
        "条形从零起。延迟：批量 1，{device}；条为 p50，细线至 p90。训练时间为单组用时。",
    ),
    "samples": ("Sample detections", "检测样例"),
    "samples_lead": (
        "Each arm at the confidence of its own best F1, which stands above the picture. Solid: matches a "
        "ground-truth box of its class at IoU 0.5; dashed: false alarm; white dotted: missed. Images are "
        "spaced evenly over the split unless their caption says otherwise. Samples illustrate; the verdict "
        "does not rest on them.",
        "各组取其自身最佳 F1 处的置信度，见图上方。实线：与同类真实框 IoU 达 0.5；虚线：误检；白色点线："
        "漏检。"
        "除图注另有说明外，图像在划分中等间隔选取。样例仅作图示，结论不依赖于它们。",
    ),
    "truth": ("ground truth", "真实标注"),
    "boxes_count": ("{count} boxes", "{count} 个框"),
    "found": ("{found} found, {missed} missed, {false} false", "检出 {found}，漏检 {missed}，误检 {false}"),
    # Tables
    "results": ("Results", "结果"),
    "results_caption": (
        "Mean over finished seeds ± standard deviation over seeds, in points. P, R and F1 at the best F1. "
        "FLOPs: convolutions and matrix products, 2 per multiply-accumulate, {imgsz}; beside it the "
        "count in the ultralytics convention. Latency and FPS: batch 1, {device}.",
        "已完成种子的均值 ± 种子间标准差，单位为点。P、R、F1 取自最佳 F1 处。"
        "FLOPs：卷积与矩阵乘，每次乘加计 2，"
        "{imgsz}；旁列为 ultralytics 口径。延迟与 FPS：批量 1，{device}。",
    ),
    "arm": ("Arm", "组"),
    "verdict": ("Verdict", "结论"),
    "accuracy": ("Accuracy", "精度"),
    "params": ("Params (M)", "参数量 (M)"),
    "flops": ("FLOPs (G)", "FLOPs (G)"),
    "gflops": ("GFLOPs (ultralytics)", "GFLOPs (ultralytics)"),
    "latency": ("Latency p50 / p90 (ms)", "延迟 p50 / p90 (ms)"),
    "latency_short": ("Latency (ms)", "延迟 (ms)"),
    "fps": ("FPS", "FPS"),
    "train_time": ("Train time", "训练时间"),
    "train_seconds": ("Train time (s)", "训练时间 (s)"),
    "memory": ("Training memory (MB)", "训练峰值内存 (MB)"),
    "before_after": ("before → after", "嫁接前 → 后"),
    "cost_params": ("params", "参数量"),
    "cost_p50": ("latency p50", "延迟 p50"),
    "cost_seconds": ("train time", "训练时间"),
    "cost_memory": ("peak training memory", "训练峰值内存"),
    "seed_table_caption": ("AP of every run, in points.", "每次训练的 AP（点）。"),
    # Method
    "how": ("How it was run", "运行方式"),
    "command": ("Command", "命令"),
    "data": ("Data", "数据"),
    "budget": ("Budget", "预算"),
    "environment": ("Environment", "环境"),
    "hashes": ("Hashes", "哈希"),
    "field": ("Field", "项目"),
    "value": ("Value", "值"),
    "model": ("Model", "模型"),
    "created": ("Created", "时间"),
    "classes_field": ("Classes", "类别"),
    "train_split": ("Training split", "训练划分"),
    "eval_split": ("Evaluation split", "评估划分"),
    "images_boxes": ("{images} images, {boxes} boxes", "{images} 张图，{boxes} 个框"),
    "anchors_field": ("Anchors", "锚框"),
    "seeds_field": ("Seeds", "种子"),
    "epochs_field": ("Epochs", "轮数"),
    "imgsz_field": ("Image size (H × W)", "图像尺寸 (高 × 宽)"),
    "batch_field": ("Batch", "批量"),
    "precision_field": ("Training precision", "训练精度"),
    "device_field": ("Device", "设备"),
    "one_thread": ("1 thread", "1 线程"),
    "threads": ("{count} threads", "{count} 线程"),
    "threads_field": ("Threads", "线程数"),
    "margin_field": ("Margin", "阈值"),
    "limits": ("What this does not say", "本报告没有说明的"),
    "limit_split": (
        "The interval covers the randomness of training on this evaluation split. It does not cover new "
        "images: another split may move both arms.",
        "区间只涵盖在此评估划分上训练的随机性，不涵盖新图像：换一个划分，各组都可能变化。",
    ),
    "limit_scope": ("The answer holds for: {scope}.", "结论适用于：{scope}。"),
    "limit_budget": (
        "The answer holds for this budget. A longer schedule, another image size or other data can shrink, "
        "remove or reverse a difference.",
        "结论仅对此预算成立。更长的训练、其他图像尺寸或其他数据都可能缩小、消除或反转差异。",
    ),
    "limit_few": (
        "Fewer than three seeds per arm: no verdict is possible, whatever the numbers look like.",
        "每组种子少于三个：无论数字如何，都不能下结论。",
    ),
    "limit_none": (
        "No verdict is not the same as no effect: a difference smaller than the interval's half-width stays "
        "invisible here.",
        "没有结论不等于没有作用：小于区间半宽的差异在此看不出来。",
    ),
    "limit_last": (
        "AP is that of the last averaged weights, never of the best epoch.",
        "AP 取自最后的 EMA 权重，从不取最佳轮。",
    ),
    "limit_columns": (
        "Only the difference in AP is judged. Columns per size, per class and at IoU 0.5 are shown, not "
        "tested.",
        "只对 AP 之差下结论。各尺寸、各类别及 IoU 0.5 的数值仅供查看，未作检验。",
    ),
    "limit_speed": (
        "Latency, memory and training time belong to this machine and this load.",
        "延迟、内存与训练时间只属于这台机器和当时的负载。",
    ),
}

WORDS = _PAGE_WORDS | DETAIL_WORDS | EVIDENCE_WORDS | METHOD_WORDS


def split_verdict(verdict: str) -> tuple[str, str]:
    """The verdict word and what qualifies it: `helps, smaller than your margin` -> two parts."""
    word, _, qualifier = verdict.partition(" (" if " (" in verdict else ", ")
    return word, qualifier.removesuffix(")")


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one language; call it with a key of `WORDS` and the values its text names.

    Raises:
        StudyError: YG620, a language that the report does not speak.
    """

    lang: str = "en"

    def __post_init__(self) -> None:
        if self.lang not in LANGUAGES:
            fix = f"use {' or '.join(LANGUAGES)}"
            raise StudyError("YG620", f"no report language '{self.lang}'", fix=fix)

    def __call__(self, key: str, **values: object) -> str:
        return WORDS[key][LANGUAGES.index(self.lang)].format(**values)

    def verdict(self, words: str) -> str:
        """A verdict, scope or planning sentence, which `results.json` holds in English, in this language."""
        if self.lang == "zh":
            for pattern, chinese in SENTENCES_ZH:
                words = re.sub(pattern, chinese, words)
        return words
