"""The words of curves, confusion matrices, ablations and paper tables in English and Chinese."""

from __future__ import annotations

DETAIL_WORDS: dict[str, tuple[str, str]] = {
    # Warnings and the best epoch
    "warnings": ("Before you rely on this", "使用结果之前请注意"),
    "best_epoch": ("best epoch", "最佳轮"),
    "best_note": (
        "Grey: AP of the best evaluated epoch and the epoch, counted from 1; chosen on the evaluation split, "
        "not for verdicts.",
        "灰色：最佳评估轮的 AP 与轮次（从 1 数起）；在评估划分上选出，不用于结论。",
    ),
    # Curves over confidence
    "rates": ("Precision, recall and confidence", "精确率、召回率与置信度"),
    "rates_caption": (
        "Line: mean over seeds; band: lowest to highest seed. Means over classes at IoU 0.5. Precision over "
        "recall is COCO's interpolated one, so that the mean height of its line is AP50. The line of "
        "precision "
        "over confidence ends where a class has no detection left. Dots: the highest F1 of each mean "
        "line; the "
        "table gives the mean of the seeds' own best F1.",
        "线为种子均值，色带为最低至最高种子。各类别平均，IoU 0.5。精确率-召回率曲线为 COCO 插值曲线，"
        "其平均高度即 AP50。"
        "精确率-置信度曲线止于某类别不再有检测框之处。圆点为各均值曲线的 F1 最高处；表中为各种子自身最佳 "
        "F1 的均值。",
    ),
    "recall_panel": ("Precision over recall (points)", "精确率-召回率曲线（点）"),
    "f1_panel": ("F1 over confidence (points)", "F1-置信度曲线（点）"),
    "p_panel": ("Precision over confidence (points)", "精确率-置信度曲线（点）"),
    "r_panel": ("Recall over confidence (points)", "召回率-置信度曲线（点）"),
    "recall_axis": ("recall (points)", "召回率（点）"),
    "confidence_axis": ("confidence", "置信度"),
    # Confusion
    "confusion": ("Confusion matrix", "混淆矩阵"),
    "confusion_caption": (
        "Row: truth, column: prediction; last column: missed, last row: false alarms. Counts summed over "
        "{seeds} finished seed(s) per arm, shaded and in percent by their share of the row. Each run at its "
        "own confidence of best F1 ({confidence}); every detection, best score first, takes the free box it "
        "overlaps most, whatever its class, at IoU {iou} or more. Detections in ignore regions are left out.",
        "行为真实类别，列为预测类别；末列为漏检，末行为误检。计数为每组 {seeds} 个已完成种子之和，"
        "底色与百分数为其在该行中的占比。"
        "每次训练取其自身最佳 F1 处的置信度（{confidence}）；检测框按得分从高到低，不论类别，"
        "各取重叠最大且未被占用的真实框，"
        "IoU 不低于 {iou}。忽略区域内的检测不计。",
    ),
    "folded_caption": (
        " The {shown} classes with most boxes; the other {folded} are one row and one column.",
        "仅示框数最多的 {shown} 类，其余 {folded} 类合为一行一列。",
    ),
    "predicted": ("predicted", "预测"),
    "background": ("background", "背景"),
    "other_classes": ("other classes", "其他类别"),
    # Ablation
    "ablation": ("Do the grafts add up?", "各改动能否叠加？"),
    "steps": ("What each step adds", "逐步累加的增益"),
    "ablation_caption": (
        "Found: AP of the combination minus AP of the baseline. Sum: what its parts gain alone, added. "
        "Beyond "
        "the sum: found minus sum, with its {level} interval (Bonferroni over the {tests} rows, df {df}); "
        "below 0 the grafts do part of the same work. Joint: the interaction of all parts of the combination "
        "beyond that of its smaller ones.",
        "实测：组合的 AP 减去基线 AP。相加：各部分单独增益之和。超出相加：实测减相加及其 {level} 区间（按 "
        "{tests} 行作 Bonferroni "
        "校正，自由度 {df}）；小于 0 表示各改动的作用有重叠。联合：组合中全部改动之间、"
        "超出其较小组合的交互作用。",
    ),
    "steps_caption": (
        "AP of each step minus AP of the one before it, with its {level} interval (Bonferroni over the "
        "{tests} steps, df {df}). A staircase depends on its order: it cannot tell a graft's own gain from "
        "its interplay with the ones before.",
        "每一步的 AP 减去上一步的 AP 及其 {level} 区间（按 {tests} 步作 Bonferroni 校正，自由度 {df}）。"
        "逐步累加依赖次序：无法区分改动自身的增益与它和之前改动的交互作用。",
    ),
    "combination": ("Combination", "组合"),
    "step": ("Step", "步骤"),
    "found_delta": ("Found", "实测"),
    "sum_of_parts": ("Sum of its parts", "各部分相加"),
    "beyond_sum": ("Beyond the sum", "超出相加"),
    "joint": ("{label}: joint interaction", "{label}：联合交互"),
    "step_gain": ("Gain of the step", "该步增益"),
    "reading": ("Reading", "判读"),
    "beyond_axis": ("AP beyond the sum of the parts (points)", "超出各部分相加的 AP（点）"),
    "step_axis": ("AP gained by the step (points)", "该步带来的 AP（点）"),
    "word_more than the sum": ("more than the sum", "大于相加"),
    "word_less than the sum": ("less than the sum", "小于相加"),
    "word_positive": ("positive", "正交互"),
    "word_negative": ("negative", "负交互"),
    "word_gains": ("gains", "提升"),
    "word_loses": ("loses", "下降"),
    "word_not shown": ("not shown", "未显示"),
    "word_not enough seeds": ("not enough seeds", "种子数不足"),
    "word_not enough images": ("not enough images", "图像数不足"),
    # Sample detections
    "at_confidence": ("conf. ≥ {score}", "置信度 ≥ {score}"),
    "sample_win": (
        "{image}. Chosen for disagreement: the largest win, {arm} makes {count} errors fewer than the "
        "baseline "
        "(missed and false together).",
        "{image}。因分歧最大而选：最大的改善，{arm} 的错误（漏检与误检之和）比基线少 {count} 个。",
    ),
    "sample_gain": (
        "{image}. Chosen by result, over all seeds: where {arm} gains most against {against}, {gain} AP of "
        "the whole difference; {agree} of the pairs of runs agree on the sign.",
        "{image}。按全部种子的结果选出：{arm} 相对 {against} 增益最大之处，占总体差值中的 {gain} AP；"
        "{agree} 的训练两两比较符号一致。",
    ),
    "sample_lost": (
        "{image}. Chosen by result, over all seeds: where {arm} loses most against {against}, {gain} AP of "
        "the whole difference; {agree} of the pairs of runs agree on the sign.",
        "{image}。按全部种子的结果选出：{arm} 相对 {against} 损失最大之处，占总体差值中的 {gain} AP；"
        "{agree} 的训练两两比较符号一致。",
    ),
    "sample_loss": (
        "{image}. Chosen for disagreement: the largest loss, {arm} makes {count} errors more than the "
        "baseline "
        "(missed and false together).",
        "{image}。因分歧最大而选：最大的退步，{arm} 的错误（漏检与误检之和）比基线多 {count} 个。",
    ),
    # What the numbers are of
    "on_levels": ("levels {levels}", "检测层 {levels}"),
    "from_weights": ("from trained weights", "从已训练的权重开始"),
    "with_marks": ("{model} ({marks})", "{model}（{marks}）"),
    # Several models
    "not_judged": ("not judged: another model", "不作判断：另一个模型"),
    "models_apart": (
        "Every graft is judged against the baseline of its own model. Rows of different models stand side "
        "by side without a verdict: a recipe may suit one of them better, and the difference of two models "
        "is not what this study was planned to find. A study with --recipe common judges it.",
        "每个嫁接只与自己模型的基线比较。不同模型的行并列而不作结论：同一配方可能更适合其中一个，"
        "而模型之间的差异也不是本实验计划要找的。用 --recipe common 的实验会对此作出判断。",
    ),
    "models_across": (
        "Every graft is judged against the baseline of its own model, and every other model against the "
        "first, all on one recipe and the same batches; all verdicts share one chance of error. Such a "
        "verdict holds for this recipe and budget: it says nothing of the models as each was published.",
        "每个嫁接与自己模型的基线比较，其余模型与第一个模型比较；全部使用同一配方和相同批次，"
        "所有结论共用一个出错概率。"
        "模型之间的结论只对此配方和预算成立，不代表各模型按原论文方式训练时的高低。",
    ),
    "list_comma": (", ", "、"),
    "list_semicolon": ("; ", "；"),
    "diverged_of": (
        "{label}: {count} of {planned} runs diverged.",
        "{label}：{planned} 次训练中有 {count} 次发散。",
    ),
    # Tables for a paper
    "paper_accuracy": (
        "{model} on {data}, {images} evaluation images: accuracy in points, mean over {seeds} finished "
        "seed(s). Bold: best of the column, not a verdict.",
        "{model} 在 {data} 上的精度（评估图 {images} 张，单位为点，{seeds} 个已完成种子的均值）。"
        "粗体为该列最优，不代表结论。",
    ),
    "paper_cost": (
        "{model} on {data}: cost at {imgsz} pixels. Bold: cheapest of the column.",
        "{model} 在 {data} 上的代价（输入 {imgsz} 像素）。粗体为该列最优。",
    ),
    "paper_note": (
        "P, R, F1 at the best F1; AP: COCO 50:95, last averaged weights; ± standard deviation over seeds; "
        "ΔAP with its {level} interval for {scope}.",
        "P、R、F1 取自最佳 F1 处；AP 为 COCO 50:95，取最后的 EMA 权重；± 为种子间标准差；ΔAP 附 {level} "
        "区间，{scope}。",
    ),
    "paper_note_none": (
        "P, R, F1 at the best F1; AP: COCO 50:95, last averaged weights; ± standard deviation over seeds; "
        "ΔAP without an interval, for {scope}.",
        "P、R、F1 取自最佳 F1 处；AP 为 COCO 50:95，取最后的 EMA 权重；± 为种子间标准差；ΔAP 无区间，{s"
        "cope}。",
    ),
    "paper_cost_note": (
        "FLOPs: convolutions and matrix products, 2 per multiply-accumulate; beside it the count in the "
        "ultralytics convention. Latency (p50) and FPS: batch 1, {device}.",
        "FLOPs：卷积与矩阵乘，每次乘加计 2；旁列为 ultralytics 口径。延迟（p50）与 FPS：批量 1，{device}。",
    ),
    "latency_p50": ("Latency (ms)", "延迟 (ms)"),
    "baseline_word": ("baseline", "基线"),
}
