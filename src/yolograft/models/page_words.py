"""The fixed words of a module page, the same in the terminal and in the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from yolograft.models.pages import Evidence, Lang

_EN_ZH: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "principle": ("Principle", "原理"),
        "equation": ("Equation", "公式"),
        "options": ("Options", "选项"),
        "no options": ("This module has no options.", "该模块没有选项。"),
        "cost": ("Cost", "开销"),
        "evidence": ("Published evidence", "已发表的证据"),
        "pitfalls": ("Pitfalls", "陷阱"),
        "use": ("Use", "用法"),
        "code": ("Code and licence", "代码与许可证"),
        "citation": ("Citation", "引用"),
        "aliases": ("also called: ", "别名："),
        "option": ("option", "选项"),
        "default": ("default", "默认值"),
        "meaning": ("meaning", "含义"),
        "worked out": ("worked out", "自动推出"),
        "level": ("level", "层级"),
        "map": ("map C x H x W", "特征图 C x H x W"),
        "parameters": ("parameters", "参数量"),
        "flops": ("FLOPs", "FLOPs"),
        "kept": ("kept for backward", "为反向传播保留"),
        "module": ("module", "模块"),
        "what": ("what it does", "作用"),
        "paper column": ("paper", "论文"),
        "paper": ("paper", "论文"),
        "release": ("release", "公开代码库"),
        "report": ("report", "第三方"),
        "blog": ("blog", "博文"),
        "source": ("source", "来源"),
        "figure": ("Data flow of {name}", "{name}的数据流"),
        "cost note": (
            "Default options, counted on the maps yolov8n hands its head at 640 px. FLOPs: 2 per "
            "multiply-accumulate of convolutions and matrix products, one image. Kept for backward: what "
            "training holds besides the input map, in multiples of that map (fp32, CPU).",
            "默认选项，按 yolov8n 在 640 像素时送入检测头的特征图统计。FLOPs：每次乘加计 2，"
            "只计卷积与矩阵乘法，单张图。为反向传播保留：训练时除输入特征图外需要留住的量，以该特征图的倍数表示（fp32，CPU）。",
        ),
        "evidence note": (
            "What was claimed, by whom and on what. Whether it helps your detector on your data is what "
            "yolograft compare is for.",
            "谁在什么条件下声称了什么。对你的检测器和数据是否有用，请用 yolograft compare 判断。",
        ),
        "other language": ("[中文]({name}.zh.md)", "[English]({name}.md)"),
        "index title": ("Attention modules", "注意力模块"),
        "index note": (
            "Every module keeps the shape of the map it is given, works at any height and width, and goes to "
            "any site. Figures, equations, costs and options are written from the same source as "
            "`yolograft modules NAME`.",
            "每个模块都保持特征图的形状，适用于任意高宽，可以放在任何位置。图、公式、开销与选项同 "
            "`yolograft modules 名称` 出自同一来源。",
        ),
        "also": (
            "also: timm:KEY for timm attention (--timm lists the keys), my_att.py::MyAtt for your own class",
            "另有：timm:KEY 使用 timm 的注意力（--timm 列出），my_att.py::MyAtt 使用自己的类",
        ),
    }
)


def word(key: str, lang: Lang) -> str:
    """One fixed word or sentence."""
    return _EN_ZH[key][1 if lang == "zh" else 0]


def claim(evidence: Evidence, lang: Lang) -> str:
    """One piece of evidence with its kind and source."""
    kind, says = word(evidence.kind, lang), evidence.says.of(lang)
    return f"{says}〔{kind}：{evidence.source}〕" if lang == "zh" else f"{says} [{kind}: {evidence.source}]"
