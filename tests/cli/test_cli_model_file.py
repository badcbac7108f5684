"""Model files on the command line: shown, written, trained by the file's name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import model_spec


def test_show_prints_the_list_and_the_closing_line_people_know(command: Any) -> None:
    shown = command("show", "yolov8n").out.splitlines()
    assert shown[0].split() == ["from", "n", "params", "module", "arguments", "layer"]
    assert shown[1].split() == ["0", "-1", "1", "464", "Conv", "[3,", "16,", "3,", "2]", "stem"]
    assert shown[5].split() == ["4", "-1", "2", "49664", "C2f", "[64,", "64,", "True]", "backbone.p3"]
    assert shown[12].split() == ["11", "[-1,", "6]", "1", "0", "Concat", "[1]", "neck.td4.cat"]
    assert shown[23].split() == [
        *("22", "[15,", "18,", "21]", "1", "897664", "Detect", "[80,", "[64,", "128,", "256]]", "head"),
    ]
    assert shown[24] == "yolov8n summary: 129 layers, 3157200 parameters, 3157184 gradients, 8.9 GFLOPs"


@pytest.mark.parametrize("model", ["yolov8m", "yolov5n", "yolox-nano"])
def test_every_family_can_be_listed(command: Any, model: str) -> None:
    answer = command("show", model)
    lines = answer.out.splitlines()
    count = len(model_spec(model).layers)
    params = [int(re.search(r"\s(\d+)\s+[A-Za-z_.0-9]+\s", line[20:])[1]) for line in lines[1 : count + 1]]  # type: ignore[index]
    total = int(re.search(r"(\d+) parameters", lines[count + 1])[1])  # type: ignore[index]
    assert answer.code == 0 and sum(params) == total


def test_show_proves_the_identity_on_a_file_with_a_class_of_ones_own(command: Any, tmp_path: Path) -> None:
    file, own = tmp_path / "mine.yaml", tmp_path / "own.py"
    assert command("export-yaml", "yolov8n", "--graft", "se@neck.p3", "--out", file).code == 0
    row = re.compile(r"\bSE\w*, \[.*?\]")
    text = file.read_text(encoding="utf-8")
    assert row.search(text), text
    file.write_text(row.sub("Mine, []", text), encoding="utf-8")
    own.write_text(
        "from torch import nn\n\n\nclass Mine(nn.Identity):\n    def __init__(self, channels):\n"
        "        super().__init__()\n",
        encoding="utf-8",
    )
    answer = command("show", file, "--code", own, "--graft", "se:init=identity@neck.p4", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["identity"] == {"fp32": 0.0, "bf16": 0.0}


def test_a_grafted_model_goes_out_and_comes_back(command: Any, tmp_path: Path) -> None:
    expression = "se:reduction=4@neck.p3+cbam@backbone.p5"
    file = tmp_path / "out" / "yolov8s-mine.yaml"
    said = command("export-yaml", "yolov8s", "--graft", expression, "--classes", 3, "--out", file)
    assert said.code == 0 and said.out.strip() == f"{file}: 25 rows"
    expected = graft(model_spec("yolov8s", num_classes=3), parse_graft(expression))
    assert model_spec(str(file)).digest() == expected.digest()
    shown = command("show", file, "--json").json
    direct = command("show", "yolov8s", "--classes", 3, "--json").json
    assert shown["classes"] == 3 and shown["params"] > direct["params"]
    # A file is not written over, and its classes can be chosen anew.
    again = command("export-yaml", "yolov8s", "--out", file)
    assert again.code == 2 and again.err.startswith("YG149 ")
    assert command("export-yaml", file, "--classes", 7, "--out", file, "--force").code == 0
    assert model_spec(str(file)).num_classes == 7
    # A graft goes onto a file as onto a model's name.
    grafted = command("show", file, "--graft", "nam@neck.p4", "--json").json
    assert any(row["name"] == "neck.p4+nam" for row in grafted["layers"])


def test_what_is_lost_is_said(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    said = command("export-yaml", "yolov5n", "--graft", "se:init=identity@neck.p3", "--out", file, "--json")
    assert said.json == {
        "file": str(file),
        "rows": 26,
        "lost": ["neck.p3+se: the identity start of se; the file has its published form"],
    }
    refused = command("export-yaml", "yolov8n", "--graft", "se@inside:neck.p4", "--out", tmp_path / "b.yaml")
    assert refused.code == 2 and refused.err.startswith("YG148 ") and not (tmp_path / "b.yaml").exists()


def test_a_class_of_the_user_s_own_goes_by_its_name(command: Any, tmp_path: Path) -> None:
    code, file = tmp_path / "my_att.py", tmp_path / "mine.yaml"
    code.write_text(
        "from torch import nn\nclass MyAtt(nn.Module):\n    def __init__(self, c1, k=3):\n"
        "        super().__init__()\n        self.conv = nn.Conv2d(c1, c1, k, padding=k // 2)\n"
        "    def forward(self, x):\n        return x * self.conv(x).sigmoid()\n",
        encoding="utf-8",
    )
    expression = f"{code}::MyAtt:k=5@neck.p3"
    assert command("export-yaml", "yolov8n", "--graft", expression, "--out", file).code == 0
    assert "MyAtt, [64, 5]" in file.read_text(encoding="utf-8")
    unknown = command("show", file)
    assert unknown.code == 2 and "YG144 mine.yaml:" in unknown.err and "--code" in unknown.err
    shown = command("show", file, "--code", code, "--json").json
    direct = command("show", "yolov8n", "--graft", expression, "--json").json
    assert shown["layers"] == direct["layers"] and shown["params"] == direct["params"]


def test_a_wrong_file_is_one_line(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("nc: 3\nbackbone:\n  - [-1, 1, Conv, [64, 3, 2]]\n", encoding="utf-8")
    for verb in ("show", "train", "compare", "export-yaml"):
        said = command(verb, file, *(("--data", "shapes") if verb in ("train", "compare") else ()))
        assert said.code == 2 and said.err.count("\n") == 1
        assert said.err.startswith("YG141 mine.yaml:1: no head")
    missing = command("show", "yolov8n.yaml")
    assert missing.code == 2 and "the stock model is yolov8n, without .yaml" in missing.err


def test_a_model_file_trains(command: Any, tiny: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "yolov8n-se.yaml"
    assert command("export-yaml", "yolov8n", "--graft", "se@neck.p3", "--out", file).code == 0
    said = command("train", f"{file}:n", *tiny, "--runs", tmp_path / "runs", "--json")
    assert said.code == 0, said.err
