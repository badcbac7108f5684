"""Necks on the command line: shown, drawn, and told where they cannot start as the identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from yolograft.engine.arm import Arm
from yolograft.engine.modelfolder import store_model
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, model_spec


def test_a_neck_is_shown_and_all_of_them_drawn(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "necks.svg"
    words = ("show", "yolox-nano", "--imgsz", 64, "--svg", file, "--graft")
    answer = command(*words, "neck:bifpn:init=identity")
    assert answer.code == 0 and "+ neck.td4.fuse: bifpn_add" in answer.out
    assert "identity start: none. another neck, join or level has no identity form" in answer.out
    assert str(file) in answer.out.replace("\n", "")
    assert all(name in file.read_text(encoding="utf-8") for name in ("pan", "fpn", "bifpn", "dualpath"))


def test_a_wrong_neck_is_told_in_one_line(command: Any) -> None:
    answer = command("show", "yolox-nano", "--graft", "neck:bifpm")
    assert answer.code == 2 and "YG180" in answer.err and "did you mean bifpn" in answer.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose neck holds an exchanged join."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    expression = "bifpn_concat@edge:backbone.p4..neck.td4"
    spec = graft(model_spec("yolox-nano", num_classes=1), parse_graft(expression))
    store_model(folder, Arm("a", spec), build(spec).state_dict(), {"imgsz": [64, 64], "names": ["a"]})
    return folder


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("se@head.p3.cls", "identity start: identical to the base"),
        ("gated_concat@edge:backbone.p3..neck.p3", "identity start: none. another neck, join or level"),
    ],
)
def test_a_graft_onto_a_trained_model_says_how_it_starts(
    command: Any, trained: Path, expression: str, said: str
) -> None:
    answer = command("show", trained, "--imgsz", 64, "--graft", expression)
    assert answer.code == 0 and said in answer.out.replace("\n", " ")


def test_levels_onto_a_trained_model_have_no_identity_form(command: Any, tmp_path: Path) -> None:
    spec = model_spec("yolox-nano", num_classes=1)
    store_model(tmp_path, Arm("a", spec), build(spec).state_dict(), {"imgsz": [64, 64], "names": ["a"]})
    for expression in ("neck:pan:levels=p3-p6", "neck:bifpn:levels=p2-p5"):
        answer = command("show", tmp_path, "--imgsz", 64, "--graft", expression)
        assert answer.code == 0 and "identity start: none." in answer.out


def test_a_method_of_distillation_is_checked_where_a_net_is_shown_or_written(
    command: Any, tmp_path: Path
) -> None:
    out = tmp_path / "a.yaml"
    for words in (("show", "yolox-nano", "--imgsz", 64), ("export-yaml", "yolov5n", "--out", out)):
        answer = command(*words, "--graft", "distill:nonsense:foo=1")
        assert answer.code == 2 and answer.err.startswith("YG447 ") and not out.exists()


def test_distillation_is_said_to_leave_the_net_as_it_is(command: Any) -> None:
    words = ("show", "yolox-nano", "--imgsz", 64, "--graft", "se@neck.p3+distill:cwd:tau=2")
    said = "distill:cwd:tau=2 changes the loss in training, not the net"
    answer = command(*words)
    assert answer.code == 0 and said in answer.out and "+ neck.p3+se" in answer.out
    assert command(*words, "--json").json["notes"] == [said]


@pytest.mark.parametrize(
    ("expression", "file", "title"),
    [
        ("distill:cwd", "yolov5n.yaml", "yolov5n, written"),
        ("se@neck.p3+distill:cwd", "yolov5n-se-neck.p3.yaml", "yolov5n with se@neck.p3, written"),
        ("Mine=se@neck.p3+distill:cwd", "yolov5n-mine.yaml", "yolov5n with se@neck.p3, written"),
    ],
)
def test_a_written_file_leaves_distillation_out_and_says_so(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expression: str, file: str, title: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = command("export-yaml", "yolov5n", "--graft", expression)
    assert answer.code == 0
    assert "not in it: distill:cwd, which changes the loss in training" in answer.out
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert title in text and "distill" not in text


def test_necks_are_drawn_for_a_model_with_grafts_in_its_own(command: Any, trained: Path) -> None:
    file = trained.parent / "necks.svg"
    assert command("show", trained, "--imgsz", 64, "--svg", file).code == 0
    words = ("show", "yolox-nano", "--imgsz", 64, "--svg", file, "--graft")
    assert command(*words, "neck:bifpn:repeats=2+se@neck.p3").code == 0
    drawn = file.read_text(encoding="utf-8")
    assert "bifpn:repeats=2" in drawn and "neck.r1.td4" in drawn and "dualpath" in drawn
