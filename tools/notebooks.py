"""Write notebooks/quickstart.ipynb and quickstart.zh.ipynb: one text a language, the same code.

    python tools/notebooks.py            both notebooks
    python tools/notebooks.py --check    say which of them is out of date; 1 if any

Outputs are never stored: a reader sees what his own machine answers, and the test runs both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from generated import command_line, differing

Lang = Literal["en", "zh"]
FILES: dict[Lang, Path] = {
    "en": Path("notebooks/quickstart.ipynb"),
    "zh": Path("notebooks/quickstart.zh.ipynb"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """A text in both languages and the code below it; code may be empty."""

    en: str
    zh: str
    code: str = ""

    def text(self, lang: Lang) -> str:
        """The text in one language."""
        return self.zh if lang == "zh" else self.en


STEPS = (
    Step(
        en="""# yolograft: did the module help, or was it luck?

You have read that some attention module "raises mAP". This notebook puts one onto a YOLOv8 detector, then
a class of your own, trains both beside the unchanged network on the same images, and reads the answer
with its interval.

It takes about half a minute on one CPU core, downloads nothing, and writes into a temporary folder only.
Run the cells from top to bottom.""",
        zh="""# yolograft：这个模块真的有用，还是碰巧？

你读到某个注意力模块“涨点”。这个笔记本先把一个这样的模块嫁接到 YOLOv8 检测器上，再换成你自己写的类，
让它和未改动的网络在同样的图像上并排训练，最后读出带置信区间的答案。

在一个 CPU 核上大约半分钟，不下载任何东西，只写入一个临时文件夹。请从上到下依次运行。""",
        code="""import os
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp(prefix="yolograft-"))
os.chdir(folder)""",
    ),
    Step(
        en="""## 1. A detector whose places have names

`model_spec` gives the network as plain data: layers with names, nothing computed yet. A *site* is a place
with the same name in every model: `backbone.p3` is the end of the backbone stage at stride 8, `neck.p3`
the map that the head receives from there.""",
        zh="""## 1. 位置有名字的检测器

`model_spec` 把网络表示为普通数据：一串有名字的层，还没有做任何计算。*位置*（site）在所有模型里名字相同：
`backbone.p3` 是骨干网络步长 8 那一级的末尾，`neck.p3` 是检测头在这一级收到的特征图。""",
        code="""from yolograft import inspect_spec, model_spec

base = model_spec("yolov8n", num_classes=5)
facts = {fact.name: fact for fact in inspect_spec(base)}
print(f"{len(facts)} layers, {sum(fact.params for fact in facts.values()):,} parameters")
for site, layer in base.sites:
    print(f"{site:14} {facts[layer].out_channels:4} channels, stride {facts[layer].stride}")""",
    ),
    Step(
        en="""## 2. A graft

A graft is one line of text: `MODULE:option=value@SITE,SITE`. The result is a new spec. Nothing is
renumbered, and layers that were there keep their names, hence their weights. `+` is a new layer, `~` one
that now reads it.""",
        zh="""## 2. 嫁接

一个嫁接就是一行文字：`模块:选项=值@位置,位置`。得到的是一个新的 spec。不需要重新编号，原有的层保持名字不变，
权重也就保持不变。`+` 是新增的层，`~` 是改为读取它的层。""",
        code="""from yolograft import graft, parse_graft
from yolograft.graph.graft import diff

grafted = graft(base, parse_graft("coord_att:reduction=16@neck.p3,neck.p5"))
print("\\n".join(diff(base, grafted)))
more = sum(fact.params for fact in inspect_spec(grafted)) - sum(fact.params for fact in facts.values())
print(f"{more:,} parameters more")""",
    ),
    Step(
        en="A wrong expression is answered in one line: a code to look up, the cause, and what to do.",
        zh="表达式写错时，用一行话回答：可查的代码、原因和处理办法。",
        code="""from yolograft import YolograftError

try:
    graft(base, parse_graft("coord_att@neck.p6"))
except YolograftError as error:
    print(error.line())""",
    ),
    Step(
        en="""## 3. Your own class

Paste it into a file and leave it there; nothing is registered. The first parameter receives the number of
channels at the site, the others are options. This one is the spatial half of CBAM.""",
        zh="""## 3. 你自己的类

把它粘贴进一个文件就行，不需要注册。第一个参数会收到该位置的通道数，其余参数都是选项。
这里用的是 CBAM 的空间注意力那一半。""",
        code="""%%writefile my_att.py
import torch
from torch import nn


class MyAtt(nn.Module):
    def __init__(self, channels: int, k: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, k, padding=k // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.conv(summary))""",
    ),
    Step(
        en="""## 4. Is it sound?

`check_module` runs the class on odd sizes, on a batch of one, in half precision, backwards, compiled and
exported. Each row that fails says why. A module that mixes the images of a batch, for instance, would be
caught here and not after a week of training.""",
        zh="""## 4. 它可靠吗？

`check_module` 会用奇数尺寸、单张图、半精度、反向传播、编译和导出逐一试这个类，失败的每一行都写明原因。
例如，把同一批里的不同图像混在一起的模块，在这里就会被发现，而不是训练一周之后。""",
        code="""from yolograft.doctor import check_module

print(check_module("my_att.py::MyAtt:k=5").text())""",
    ),
    Step(
        en="""## 5. The data

`shapes` is built in and drawn on the spot. For your own data give a folder instead: Pascal VOC, COCO,
YOLO, labelme or VisDrone. Whatever is odd is listed with file and line. `run([...])` is the command line
inside Python; in a terminal the same is `yolograft data check shapes`.""",
        zh="""## 5. 数据

`shapes` 是内置的，当场画出来。换成你自己的数据时，给出文件夹即可：
Pascal VOC、COCO、YOLO、labelme 或 VisDrone。所有可疑之处都会列出文件和行号。
`run([...])` 就是 Python 里的命令行；在终端里写作 `yolograft data check shapes`。""",
        code="""from yolograft.cli.app import run

exit_code = run(["data", "check", "shapes"])""",
    ),
    Step(
        en="""## 6. The question

Baseline and graft, three seeds each, in lockstep: within a seed both see the same batches. The settings
are tiny (64 pixels, one epoch) so that this takes seconds; a detector learns next to nothing from that,
so expect AP near 0 and an answer that says so. For a real one leave out `--imgsz`, `--epochs`, `--batch`
and `--set`, or give your own.""",
        zh="""## 6. 提问

基线和嫁接各用三个种子，同步训练：同一个种子下，两者看到的批次完全相同。为了几秒钟跑完，这里的设置极小
（64 像素、一轮），检测器几乎什么也学不到，所以 AP 会接近 0，答案也会如实说明。
真正做实验时，去掉 `--imgsz`、`--epochs`、`--batch` 和 `--set`，或换成你自己的值。""",
        code="""tiny = ["--data", "shapes", "--imgsz", "64", "--epochs", "1", "--batch", "8"]
tiny += ["--set", "eval_points=1"]
exit_code = run(["compare", "yolov8n", "--graft", "mine=my_att.py::MyAtt:k=5@neck.p3", *tiny])""",
    ),
    Step(
        en="""## 7. The answer

Everything is in `results.json`: every run, the mean over seeds, the difference with its interval, the
verdict and its sentence. The verdict is *helps*, *hurts*, *no detectable difference* or *not enough
seeds*.""",
        zh="""## 7. 答案

全部结果都在 `results.json` 里：每次训练、各种子的平均、带区间的差值、结论及其说明。
结论是 *helps*（有提升）、*hurts*（有损害）、*no detectable difference*（看不出差别）
或 *not enough seeds*（种子数不够）。""",
        code="""import json

study = folder / "runs" / "compare-001"
results = json.loads((study / "results.json").read_text(encoding="utf-8"))
for arm in results["arms"]:
    seeds = ", ".join(f"{one['ap']:.2f}" for one in arm["runs"])
    print(f"{arm['label']}: AP {seeds}")
    if arm["comparison"]:
        print(f"verdict: {arm['comparison']['verdict']}\\n{arm['comparison']['sentence']}")""",
    ),
    Step(
        en="""Six runs that learned nothing cannot differ. With numbers as a real study gives them, here made
up, the same function answers like this:""",
        zh="""什么都没学到的六次训练看不出差别。换成真实实验可能得到的数值（这里是编的），同一个函数的回答是这样：""",
        code="""from yolograft import compare
from yolograft.study.statistics.compare import ArmScores

baseline = ArmScores("baseline", (45.2, 44.1, 46.0, 44.9, 45.4))
candidates = [
    ArmScores("better", (48.9, 48.0, 49.6, 48.8, 48.3)),
    ArmScores("lucky", (45.9, 46.3, 44.8, 46.1, 45.0)),
]
for judged in compare(baseline, candidates):
    print(judged.sentence)""",
    ),
    Step(
        en="The report is one self-contained page: open the file in a browser, or look at it here.",
        zh="报告是一个独立的网页文件：可以用浏览器打开，也可以就在这里看。",
        code="""import html

from IPython.display import HTML

page = html.escape((study / "report.html").read_text(encoding="utf-8"))
HTML(f'<div><iframe srcdoc="{page}" width="100%" height="640"></iframe></div>')""",
    ),
    Step(
        en="""## What next

In a terminal, in the folder with your class and beside your data:

```
yolograft doctor "my_att.py::MyAtt"
yolograft data check "path/to/dataset"
yolograft compare yolov8n --data "path/to/dataset" --imgsz 320 --epochs 40 --graft "my_att.py::MyAtt@neck.p3"
```

Three seeds are the least that can carry a verdict; the first line of the output says which difference
they can see. `yolograft modules` lists the modules that come along. The documentation goes on from here:
`docs/quickstart.md`, `docs/recipes.md`, and `docs/errors.md` for every message code.""",
        zh="""## 接下来

在终端里，进入放着你的类和数据的文件夹：

```
yolograft doctor "my_att.py::MyAtt"
yolograft data check "path/to/dataset"
yolograft compare yolov8n --data "path/to/dataset" --imgsz 320 --epochs 40 --graft "my_att.py::MyAtt@neck.p3"
```

至少三个种子才能下结论；输出的开头一行会说明它们能看出多大的差别。`yolograft modules` 列出自带的模块。
更多内容见文档：`docs/quickstart.zh.md`、`docs/recipes.zh.md`，以及解释每个代码的 `docs/errors.zh.md`。""",
    ),
)


def _cell(kind: str, name: str, source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "id": name, "metadata": {}}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell | {"source": source.splitlines(keepends=True)}


def notebook(lang: Lang) -> str:
    """The notebook in one language as its file's text, without outputs."""
    cells = []
    for number, step in enumerate(STEPS, 1):
        cells.append(_cell("markdown", f"text-{number:02}", step.text(lang)))
        if step.code:
            cells.append(_cell("code", f"code-{number:02}", step.code))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    document = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def documents() -> dict[Path, str]:
    """Every file this tool writes, relative to the root, with its text."""
    return {file: notebook(lang) for lang, file in FILES.items()}


def out_of_date(root: Path) -> list[str]:
    """The notebooks below ``root`` that are missing, differ from their source, or hold outputs."""
    return differing(root, documents())


def main() -> int:
    """Reads the command line; 1 when ``--check`` finds a difference."""
    return command_line("notebooks", documents, out_of_date=out_of_date)


if __name__ == "__main__":
    raise SystemExit(main())
