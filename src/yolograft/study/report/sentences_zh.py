"""English sentences that a study stores, and how the Chinese report says them.

Stored sentences stay English, so that a results file reads alike everywhere; old studies have them too.
"""

from __future__ import annotations

from yolograft.study.statistics.phrases import CHINESE, ENGLISH

# The words of a verdict, as the sentences around it have them.
_VERDICTS = (
    *((rf"\b{said}\b", CHINESE.words[word]) for word, said in ENGLISH.words.items()),
    *((said, CHINESE.placebo[how]) for how, said in ENGLISH.placebo.items()),
)
# In order: pattern, replacement.
SENTENCES_ZH: tuple[tuple[str, str], ...] = (
    (
        r"([\d,]+) seeds per arm find a true difference of ([\d.]+) AP four times out of five, if runs "
        r"differ by an sd of ([\d.e+-]+) AP \((.*)\)",
        r"每组 \1 个种子，有五分之四的机会看出 \2 AP 的真实差异（设各次训练的标准差为 \3 AP：\4）",
    ),
    (r"small sets, from scratch", "小数据集、从头训练"),
    (r"measured in ([\d,]+) earlier runs", r"由此前 \1 次训练测得"),
    (
        r"(\d+) seed\(s\) cannot carry a verdict: three per arm is the least",
        r"\1 个种子不足以下结论：每组至少三个",
    ),
    (
        r".*: the study is not finished, (\d+) runs are missing -> not enough seeds",
        r"实验尚未完成，还缺 \1 次训练",
    ),
    (r"no look is planned before the last run is in", "计划在最后一次训练完成后才作判断"),
    *_VERDICTS,
    (rf", {ENGLISH.small}", f"，{CHINESE.small}"),
    (r"smaller than your margin", "小于设定阈值"),
    (r"needs >= ([\d,]+) groups of images", r"至少需要 \1 组图像"),
    (r"needs >= ([\d,]+) images", r"至少需要 \1 张图"),
    (r"needs >= ([\d,]+)", r"至少需要 \1 个"),
    (r"this evaluation split( only)?", "仅限本评估划分"),
    (r"new images like these", "同类新图像"),
    # What `study.planning.warnings` says of the data.
    (
        r"(\d+) of (\d+) (\S+) images ha(?:s|ve) a near-duplicate in (\S+): the AP flatters every arm\. "
        r"First: ",
        r"\3 的 \2 张图中有 \1 张在 \4 中有近似重复：各组的 AP 都偏高。首例：",
    ),
    (r" of (\S+) is byte for byte (.+?) of (\S+)", r"（\1）与 \2（\3）逐字节相同"),
    (r" of (\S+) is nearly the picture (.+?) of (\S+)", r"（\1）与 \2（\3）几乎相同"),
    (r" of (\S+) is nearly the mirrored picture (.+?) of (\S+)", r"（\1）与 \2（\3）的镜像几乎相同"),
    (r" \(and (\d+) more there\)", r"（另有 \1 张）"),
    (
        r"(\d+) (?:row or image is|rows or images are) not used \((.*?)\): see `yolograft data check`",
        r"\1 行标注或图像未使用（\2）：见 `yolograft data check`",
    ),
    # What `study.records.sound` holds against runs.
    (
        r" is not in the manifest: a study is never extended beyond its plan",
        " 不在清单中：实验不得超出计划追加",
    ),
    (r" ended as '(.*?)'", r" 以“\1”结束"),
    (r" is there twice", " 出现两次"),
    (r" is missing", " 缺失"),
    (r"another model than the manifest's", "模型与清单不符"),
    (r"another recipe than the manifest's", "配方与清单不符"),
    (r"trained on other images than the manifest's", "训练图像与清单不符"),
    (r"measured on other images than the manifest's", "评估图像与清单不符"),
    (r"\((\w+), planned (\w+)\)", r"（\1，计划为 \2）"),
    (r" and (.+?) are one and the same checkpoint", r" 与 \1 是同一个检查点"),
    (r"(\S+) seed (-?\d+)(?=[ :]|$)", r"\1 的种子 \2"),
    (r"-> no verdict", "→ 不下结论"),
    (r": (?=[\u4e00-\u9fff])", "："),
    (r"(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])", ""),
    (r", ", "，"),
)
