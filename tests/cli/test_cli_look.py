"""The verbs that train nothing: show, modules, data check."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from yolograft.cli.app import VERBS, build_app
from yolograft.models.build import inspect_spec, model_spec
from yolograft.models.catalog import ENTRIES, LISTED


def test_show_gives_every_layer(command: Any) -> None:
    answer = command("show", "yolov8n", "--classes", 3, "--graft", "coord_att@neck.p3", "--json")
    assert answer.code == 0 and answer.err == ""
    shown = answer.json
    assert {"params", "flops", "layers"} <= shown.keys()
    assert all(set(row) == {"name", "module", "params", "out_channels", "stride"} for row in shown["layers"])
    assert shown["params"] == sum(row["params"] for row in shown["layers"])
    stock = command("show", "yolov8n", "--classes", 3, "--json").json
    names = [row["name"] for row in stock["layers"]]
    added = [row for row in shown["layers"] if row["name"] not in names]
    assert [(row["name"], row["out_channels"], row["stride"]) for row in added] == [
        ("neck.p3+coord_att", 64, 8)
    ]
    assert shown["params"] - stock["params"] == added[0]["params"] > 0
    assert [row["name"] for row in shown["layers"] if row["name"] in names] == names
    facts = inspect_spec(model_spec("yolov8n", num_classes=3))
    assert [(f.name, f.params) for f in facts] == [(r["name"], r["params"]) for r in stock["layers"]]


def test_show_counts_flops_at_the_size_asked(command: Any) -> None:
    small, large, oblong = (
        command("show", "yolov8n", "--imgsz", size, "--json").json for size in ("320", "640", "320,640")
    )
    assert small["imgsz"] == [320, 320] and oblong["imgsz"] == [320, 640]
    # The decode's fixed part apart, cost goes with the area.
    assert large["flops"] / small["flops"] == pytest.approx(4, rel=0.01)
    assert oblong["flops"] / small["flops"] == pytest.approx(2, rel=0.01)
    assert large["params"] == small["params"] == 3157200


def test_show_proves_an_identity_start(command: Any) -> None:
    answer = command("show", "yolov8n", "--graft", "coord_att:init=identity@neck.p3", "--json").json
    assert answer["identity"] == {"fp32": 0.0, "bf16": 0.0}
    text = command("show", "yolov8n", "--graft", "coord_att:init=identity@neck.p3").out
    assert "identical to the base: max |difference| 0 in fp32, 0 in bf16" in text


def test_show_takes_a_class_from_a_file(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "my_att.py"
    file.write_text(
        "from torch import nn\nclass MyAtt(nn.Module):\n"
        "    def __init__(self, channels, k=3):\n        super().__init__()\n"
        "        self.conv = nn.Conv2d(channels, channels, k, padding=k // 2, groups=channels)\n"
        "    def forward(self, x):\n        return x * self.conv(x).sigmoid()\n",
        encoding="utf-8",
    )
    stock = command("show", "yolov8n", "--json").json
    shown = command("show", "yolov8n", "--graft", f"{file}::MyAtt:k=5@neck.p3", "--json").json
    assert shown["params"] - stock["params"] == 64 * (25 + 1)
    assert "MyAtt" in command("show", "yolov8n", "--graft", f"{file}::MyAtt@neck.p3").out


def test_modules_lists_the_catalog(command: Any) -> None:
    answer = command("modules", "--json")
    listed = {row["name"]: row for row in answer.json["modules"]}
    assert listed.keys() == {entry.name for entry in ENTRIES if entry.kind in LISTED}
    assert listed["coord_att"]["options"]["reduction"] == 32 and listed["coord_att"]["paper"]
    assert command("modules", "coord_att", "--json").json.items() >= listed["coord_att"].items()
    text = command("modules", "nam").out
    assert "2111.12419" in text and "penalty" in text
    assert "coord_att" in command("modules").out


def test_data_check_counts(command: Any, tiny_data: Path) -> None:
    answer = command("data", "check", tiny_data, "--json")
    assert answer.code == 0 and answer.err == ""
    got = answer.json
    assert {name: split["images"] for name, split in got["splits"].items()} == {"train": 8, "val": 4}
    for split in got["splits"].values():
        assert {"images", "boxes", "boxes_used", "boxes_per_class"} <= split.keys()
        assert sum(split["boxes_per_class"].values()) == split["boxes"] >= split["boxes_used"] > 0
    document = json.loads((tiny_data / "annotations" / "instances_train.json").read_text(encoding="utf-8"))
    assert got["splits"]["train"]["boxes"] == len(document["annotations"])
    assert all(set(f) == {"file", "line", "code", "message", "action"} for f in got["findings"])
    assert "train" in command("data", "check", tiny_data).out


def test_names_that_look_like_markup_are_printed_as_they_are(command: Any, tmp_path: Path) -> None:
    root = tmp_path / ":car: [bold]真\u00e9"
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        image = root / "images" / split / "a.ppm"
        image.with_suffix(".png").write_bytes(_png())
        (root / "labels" / split / "a.txt").write_text("0 .5 .5 .5 .5\n1 2 2 2 2\n", encoding="utf-8")
    names = [":dog:", "[red]x[/red]"]
    (root / "data.yaml").write_text(
        f"train: images/train\nval: images/val\nnames: {json.dumps(names)}\n", encoding="utf-8"
    )
    got = command("data", "check", root, "--json").json
    assert got["names"] == names and got["splits"]["train"]["boxes_used"] == 1
    text = command("data", "check", root).out
    assert ":dog:" in text and "[red]x[/red]" in text and ":car: [bold]真é" in text


def _png() -> bytes:
    import cv2
    import numpy as np

    return cv2.imencode(".png", np.zeros((20, 30, 3), np.uint8))[1].tobytes()


def test_json_is_whole_on_a_terminal_that_has_no_unicode(tiny_data: Path, tmp_path: Path) -> None:
    code = "import sys; from yolograft.cli.terminal import print_json; print_json({'name': '真涨点 é'})"
    got = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={"PYTHONIOENCODING": "ascii"}, check=True
    )
    assert json.loads(got.stdout.decode("ascii")) == {"name": "真涨点 é"}


def test_every_verb_explains_itself(command: Any) -> None:
    for verb in VERBS:
        answer = command(verb, "--help")
        assert answer.code == 0 and f"yolograft {verb}" in answer.out and answer.err == ""
    assert command("--version").out.strip() == version("yolograft")
    assert all(verb in command().out for verb in VERBS)
    assert isinstance(build_app(), App)
