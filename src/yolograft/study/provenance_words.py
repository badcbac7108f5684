"""What a chain of origins means, a calm sentence each, in English and Chinese; no legal advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

Lang = Literal["en", "zh"]

# Layout of a file -> whose code writes it, and the licence that code is published under.
LAYOUTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "ultralytics": ("ultralytics", "AGPL-3.0"),
        "yolov5": ("YOLOv5", "AGPL-3.0"),
        "yolox": ("YOLOX", "Apache-2.0"),
    }
)
_EN_ZH: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "code": ("code", "代码"),
        "weights": ("weights", "权重"),
        "data": ("data", "数据"),
        "teacher": ("teacher", "教师"),
        "licence": ("licence", "许可证"),
        "source": ("paper or sha256", "论文或 sha256"),
        "started": ("started from", "起点"),
        "dataset": ("dataset", "数据集"),
        "stated in": ("stated in", "出处"),
        "fingerprint": ("fingerprint of train", "train 的指纹"),
        "yours": ("yours", "你自己的"),
        "not stated": ("not stated", "未注明"),
        "not known": ("not known", "未知"),
        "fresh": ("random numbers", "随机初始化"),
        "lost": ("the chain ends here", "链条到此为止"),
        "ours says": (
            "code: yolograft and its modules are {licence}; modules are written from the papers named",
            "代码：yolograft 及其模块采用 {licence}，模块依据所列论文编写",
        ),
        "timm says": ("code: {name} comes from timm ({licence})", "代码：{name} 来自 timm（{licence}）"),
        "own says": (
            "code: {name} is a file you gave; its licence is for whoever wrote it to choose",
            "代码：{name} 是你提供的文件，许可证由其作者决定",
        ),
        "package says": (
            "code: {name} comes from an installed package, licence {licence}",
            "代码：{name} 来自已安装的软件包，许可证：{licence}",
        ),
        "trained says": (
            "weights: on the way lies {model}, trained by yolograft in {path}",
            "权重：中间一环是 {model}，由 yolograft 训练，位于 {path}",
        ),
        "fresh says": (
            "weights: the chain begins with random numbers; no other weights are in it",
            "权重：链条始于随机初始化，不含任何他人的权重",
        ),
        "begin says": ("weights: the chain begins with random numbers", "权重：链条始于随机初始化"),
        "taught says": (
            "weights: beside the boxes they learned from a teacher; whether its licence reaches its pupils, "
            "no file says: what lies behind it follows",
            "权重：除标注框外还向教师学习；教师的许可证是否及于学生，文件中没有说明，其来源如下",
        ),
        "states says": (
            "weights: the chain goes back to {file}, which states {licence}; read it before passing them on",
            "权重：源自 {file}，该文件注明 {licence}；转交他人之前请先读其条款",
        ),
        "layout says": (
            "weights: the chain goes back to {file}, which states no licence; weights trained by {who} code, "
            "published under {licence}: ask its author",
            "权重：源自 {file}，文件未注明许可证；由 {who} 的代码训练，该代码采用 {licence}，请询问其作者",
        ),
        "file says": (
            "weights: the chain goes back to {file}, which states no licence: ask its author",
            "权重：源自 {file}，文件未注明许可证，请询问其作者",
        ),
        "alone says": (
            "weights: {path} stands alone, outside the run it was trained in; its start is not known",
            "权重：{path} 已脱离训练它的实验文件夹，它的起点未知",
        ),
        "gone says": (
            "weights: {path} is not there any more; what lies behind it is not known",
            "权重：{path} 已不存在，更早的来源未知",
        ),
        "changed says": (
            "weights: {path} holds other weights by now; what lies behind the old ones is not known",
            "权重：{path} 里已换成别的权重，原权重的来源未知",
        ),
        "circle says": (
            "weights: the chain comes back to {path}; a manifest was changed by hand",
            "权重：链条又回到 {path}，说明有清单被手工改动过",
        ),
        "shapes says": (
            "data: shapes is drawn by yolograft from a seed; there is nobody else's picture in it",
            "数据：shapes 由 yolograft 按种子绘制，不含他人的图片",
        ),
        "data says": (
            "data: of {name}, its folder states {licence}",
            "数据：{name} 的文件夹中注明 {licence}",
        ),
        "several": (
            "data: of {name}, its folder makes {count} statements ({licence}); read them all",
            "数据：{name} 的文件夹中有 {count} 处说明（{licence}），请逐一阅读",
        ),
        "silent says": (
            "data: the folder of {name} states no licence: ask where it was obtained",
            "数据：{name} 的文件夹未注明许可证，请查询其来源",
        ),
        "missing says": (
            "data: {name} is not at {path} any more, so nothing can be read about its licence",
            "数据：{name} 已不在 {path}，无法读到许可证信息",
        ),
        "nameless says": (
            "data: the model folder keeps fingerprints of its data, not their name",
            "数据：模型文件夹只记录了数据指纹，没有记录名称",
        ),
        "foreign data says": (
            "data: what {file} was trained on before is not written in it",
            "数据：{file} 此前用什么数据训练，文件中没有记录",
        ),
        "no advice": (
            "this is what the files say today; it is no legal advice",
            "以上均为文件当前所述，不构成法律意见",
        ),
    }
)


def word(key: str, lang: Lang) -> str:
    """One fixed word or sentence."""
    return _EN_ZH[key][1 if lang == "zh" else 0]


def sentences(document: Mapping[str, Any], *, lang: Lang) -> list[str]:
    """What the code, the weights and the data of a document of `provenance` mean, a line each."""
    # The first row, yolograft itself, speaks for all modules of ours.
    rows = [row for row in document["code"][1:] if row["origin"] != "yolograft"]
    lines = [_code(row, lang) for row in (*document["code"][:1], *rows)]
    lines += _chains(document["weights"], lang)
    lines += [_data(row, lang) for row in document["data"]]
    for link in document["weights"]:
        if link["kind"] == "file":
            lines.append(word("foreign data says", lang).format(**link))
    return [*dict.fromkeys(lines), word("no advice", lang)]


def _code(row: Mapping[str, Any], lang: Lang) -> str:
    key = "ours says" if row["origin"] == "yolograft" else f"{row['origin']} says"
    return word(key, lang).format(name=row["name"], licence=row["licence"] or word("not stated", lang))


def _chains(links: Sequence[Mapping[str, Any]], lang: Lang) -> list[str]:
    """The chain of the weights; behind it, under a head of their own, those of teachers."""
    own, taught = ([link for link in links if ("role" in link) is marked] for marked in (False, True))
    if not taught:
        return [_weights(link, lang) for link in own]
    begin = word("begin says", lang)
    mine, its = (
        [begin if k["kind"] == "fresh" else _weights(k, lang) for k in part] for part in (own, taught)
    )
    heads = word("weights", lang), word("teacher", lang)
    return [*mine, word("taught says", lang), *(heads[1] + line.removeprefix(heads[0]) for line in its)]


def _weights(link: Mapping[str, Any], lang: Lang) -> str:
    if link["kind"] in ("fresh", "trained"):
        return word(f"{link['kind']} says", lang).format(**link)
    if link["kind"] == "lost":
        return word(f"{link['why']} says", lang).format(**link)
    if link["licence"]:
        return word("states says", lang).format(**link)
    if link["layout"] not in LAYOUTS:
        return word("file says", lang).format(**link)
    who, licence = LAYOUTS[link["layout"]]
    return word("layout says", lang).format(file=link["file"], who=who, licence=licence)


def _data(row: Mapping[str, Any], lang: Lang) -> str:
    if row["path"] == "shapes":
        return word("shapes says", lang)
    if not row["name"]:
        return word("nameless says", lang)
    if not row["found"]:
        return word("missing says", lang).format(**row)
    texts = list(dict.fromkeys(item["text"] for item in row["licences"]))
    if not texts:
        return word("silent says", lang).format(**row)
    if len(texts) == 1:
        return word("data says", lang).format(name=row["name"], licence=texts[0])
    joined = "; ".join(texts)
    return word("several", lang).format(name=row["name"], count=len(texts), licence=joined)
