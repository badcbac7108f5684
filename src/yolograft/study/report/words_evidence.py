"""The words of evidence beyond the verdict: variance parts, looks, controls, where it helped, maps."""

from __future__ import annotations

EVIDENCE_WORDS: dict[str, tuple[str, str]] = {
    "unsound": ("No verdict: {why}.", "不下结论：{why}。"),
    # What the interval rests on
    "evidence": ("What the interval rests on", "区间的依据"),
    "evidence_caption": (
        "AP points. s: standard deviation of AP over seeds that the arm is judged with. SE: standard "
        "error of the difference, in parts and in total; the interval is the difference ± critical value "
        "× total.",
        "单位：AP 点。s：判断该组所用的种子间 AP 标准差。SE：差值的标准误，分项与合计；区间为差值 ± 临界"
        "值 × 合计。",
    ),
    "evidence_images": (
        "The parts come from training randomness, from the choice of evaluation images, and from their "
        "interaction, which is in both and taken off once.",
        "各项来自训练随机性、评估图像的抽样以及二者的交互；前两项都含有交互，故扣除一次。",
    ),
    "noise_line": (
        "Over the whole study: s {sd} AP ({runs} runs); correlation ρ of an arm with its baseline over "
        "shared seeds {rho}; share of the variance that no number of seeds removes {share}.",
        "全实验：s 为 {sd} AP（{runs} 次训练）；各组与基线在相同种子上的相关系数 ρ 为 {rho}；再多种子也消"
        "除不了的方差占比 {share}。",
    ),
    "sd_base": ("s baseline", "s 基线"),
    "sd_arm": ("s arm", "s 本组"),
    "se_seed": ("SE seeds", "SE 种子"),
    "se_image": ("SE images", "SE 图像"),
    "se_both": ("SE interaction", "SE 交互"),
    "se_total": ("SE total", "SE 合计"),
    "critical": ("Critical value", "临界值"),
    "df_head": ("df", "自由度"),
    "look_fell": (
        "Judged at the look at {seeds} seeds per arm (level {alpha} of the planned {plan}).",
        "在每组 {seeds} 个种子时作出判断（水平 {alpha}，计划为 {plan}）。",
    ),
    "look_taken": (
        "Judged so far at the look at {seeds} seeds per arm (level {alpha} of the planned {plan}).",
        "目前判断到每组 {seeds} 个种子（水平 {alpha}，计划为 {plan}）。",
    ),
    "control_identity": (
        "control: A/A, the baseline once more, its initial weights moved by a thousandth",
        "对照：A/A，初始权重作千分之一扰动后再训练一次基线",
    ),
    "control_placebo": ("control: placebo of {of}", "对照：{of} 的安慰剂"),
    "control_next-scale": ("control: next larger model", "对照：更大一号的模型"),
    "placebo_line": (
        "Minus its placebo {label}: {delta} AP{ends}.",
        "减去其安慰剂 {label}：{delta} AP{ends}。",
    ),
    # Where did it help
    "where": ("Where did it help?", "在哪里有效？"),
    "where_lead": (
        "Exploratory: these rows say where to look next. The verdict rests on AP over everything, and a "
        "row whose interval leaves zero is a hint for a new study, not a finding of this one.",
        "探索性分析：下列各行只提示接下来该看哪里。结论只依据总体 AP；某行区间不含零，是下一个实验的线索，"
        "而不是本实验的结论。",
    ),
    "where_class": ("Difference in AP by class", "各类别 AP 之差"),
    "where_size": ("Difference in AP by box size", "各尺寸 AP 之差"),
    "where_crowding": ("Difference in AP by crowding", "按拥挤程度的 AP 之差"),
    "where_error": ("Errors that cost AP, by kind", "各类错误损失的 AP"),
    "where_caption": (
        "Arm minus baseline, AP points; intervals hold at {level} over all rows of an arm together ("
        "{rule}). For {scope}.",
        "本组减基线，单位 AP 点；区间水平 {level}，对每组的全部行同时成立（{rule}）。适用范围：{scope}。",
    ),
    "stopped_note": (
        "ΔAP of an arm that a look has stopped compares its seeds with the same seeds of the baseline; the "
        "AP columns are means over all finished seeds, so their difference may be another one.",
        "提前停止的组，其 ΔAP 只与基线的相同种子比较；AP 各列为全部已完成种子的均值，两者之差可能与 ΔAP"
        " 不同。",
    ),
    # The plan
    "plan": ("Plan", "计划"),
    "looks_field": ("Looks", "判断时点"),
    "look_at": ("{seeds} seeds (level {alpha})", "{seeds} 个种子（水平 {alpha}）"),
    "paired_field": ("Seeds", "种子"),
    "paired_value": ("compared in pairs, as declared", "按事先声明成对比较"),
    "group_field": ("Image groups", "图像分组"),
    "bank_field": ("Lent noise", "借用的噪声"),
    "bank_value": (
        "{runs} earlier baseline runs in {groups} group(s)",
        "同一基线此前的 {runs} 次训练（{groups} 批）",
    ),
    "follows_field": ("Follows", "接续的实验"),
    "tried_field": ("Verdicts given before", "此前已给出的结论数"),
    "contrasts_field": ("Contrasts", "组间对比"),
    "branch_field": ("Arms branch", "各组分叉"),
    "branch_value": ("after {epochs} epochs of the baseline", "基线训练 {epochs} 轮之后"),
    "where_caption_none": ("Arm minus baseline, AP points.", "本组减基线，单位 AP 点。"),
    "where_error_note": (
        " Each row: AP50 that would be gained if this kind of error were mended (TIDE, arXiv "
        "2008.08115), arm minus baseline. Below zero the arm loses less to it.",
        "每行：修正该类错误可得的 AP50（TIDE，arXiv 2008.08115），本组减基线；小于零表示本组因此损失更少。",
    ),
    "where_overlap": ("Difference in AP by how much boxes overlap", "按框重叠程度的 AP 之差"),
    "where_crowding_row": ("{range} boxes", "{range} 个框"),
    "where_overlap_row": ("IoU {range}", "IoU {range}"),
    "where_overlap_none": ("no overlap (IoU 0.00)", "无重叠（IoU 0.00）"),
    "where_overlap_upto": ("IoU up to {high}", "IoU 不超过 {high}"),
    "where_overlap_above": ("IoU above {low}", "IoU 大于 {low}"),
    "where_titled": ("{title}. {caption}", "{title}。{caption}"),
    "error_axis": ("Difference in AP50 lost (points); left: better", "损失 AP50 之差（点）；左侧更好"),
    "where_size_small": ("small (< 32² px)", "小（< 32² 像素）"),
    "where_size_medium": ("medium", "中"),
    "where_size_large": ("large (> 96² px)", "大（> 96² 像素）"),
    "where_error_cls": ("wrong class", "类别错误"),
    "where_error_loc": ("badly placed", "定位错误"),
    "where_error_both": ("wrong class and place", "类别与定位都错"),
    "where_error_dupe": ("duplicate", "重复检测"),
    "where_error_bkg": ("background", "背景误检"),
    "where_error_miss": ("missed", "漏检"),
    "where_error_fp": ("all false alarms", "全部误检"),
    "where_error_fn": ("all missed", "全部漏检"),
    # Maps
    "maps": ("Where the maps look", "特征图关注何处"),
    "maps_caption": (
        "{image}, first finished seed of every arm. Class activation (LayerCAM over the maps the head "
        "reads): where the arm's class scores come from, scaled to each picture's own extremes, so that "
        "places compare and heights do not. Gain of a graft: the factor by which it scales the map at a "
        "place; the bar gives its range, 1 changes nothing. Maps illustrate; the verdict does not rest "
        "on them.",
        "{image}，各组取第一个已完成的种子。类激活图（对检测头所读特征图的 LayerCAM）：该组的类别得分来自"
        "何处，按每幅图自身的最小最大值缩放，可比位置，不可比高低。嫁接的增益：该处特征被放大的倍数，色条"
        "给出范围，1 表示不变。这些图仅作图示，结论不依赖于它们。",
    ),
    "map_activation": ("class activation", "类激活图"),
    "map_gain": ("gain, {layer}", "增益，{layer}"),
    "map_low": ("low", "低"),
    "map_high": ("high", "高"),
}
