"""Five messages that would have saved people days: one line each, with place, cause and fix."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from conftest import Answer, Command
from yolograft.engine import device
from yolograft.errors import MachineError


def only_line(answer: Answer) -> str:
    """The last line of the answer's complaint, which must be the whole of it."""
    assert answer.code == 2
    line = answer.err.strip().splitlines()[-1]
    assert len(line) <= 240 and " -> " in line, line
    return line


def test_a_concat_that_reads_a_map_of_another_stride(command: Command) -> None:
    """A layer that halves the map in front of a Concat does what a shifted index does."""
    line = only_line(command("show", "yolov8n", "--graft", "conv:out_channels=64,stride=2@neck.p3"))
    assert line.startswith("YG205 neck.p4.cat: ")
    assert "neck.td4 (stride 16)" in line and "maps at stride 32: " in line and "backbone.sppf" in line


def test_weights_that_would_load_into_wrong_layers(
    command: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    run = command("train", "yolov8n", *tiny, "--runs", tmp_path)
    assert run.code == 0, run.err
    trained = tmp_path / "train-001"
    other = ("--weights", trained, "--levels", "p2,p3,p4,p5", "--runs", tmp_path)
    line = only_line(command("train", "yolov8n", *tiny, *other))
    assert line.startswith("YG420 layers.") and "misplaced" in line and "in the file" in line
    # Refused before anything was made: no second run folder holds a result.
    assert not list(tmp_path.glob("train-002/arms/*/seed-*/scores.json"))


def test_double_attention_that_collapses_says_so_wherever_it_sits(command: Command) -> None:
    for place in ("backbone.p2", "inside:backbone.p2"):
        said = command("show", "yolov8n", "--graft", f"double_att:c_n=1@{place}")
        assert said.code == 0
        lines = [line for line in said.out.splitlines() if "YG241" in line]
        assert len(lines) == 1 and "every position gets the same vector -> c_n=8" in lines[0]
    assert "YG241" not in command("show", "yolov8n", "--graft", "double_att@backbone.p2").out


def test_a_gpu_without_kernels_in_this_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_90", "compute_90"])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "GeForce GTX 1080")
    with pytest.raises(MachineError) as caught:
        device.places("0")
    line = caught.value.line()
    assert line.startswith("YG706 GeForce GTX 1080: compute capability 6.1") and "--device cpu" in line
    assert len(line) <= 240
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))
    assert device.places("0") == [torch.device("cuda", 0)]


def test_class_ids_that_look_one_based(command: Command, tmp_path: Path) -> None:
    for split in ("train", "val"):
        for folder in ("images", "labels"):
            (tmp_path / folder / split).mkdir(parents=True)
        for number in range(3):
            picture = np.full((48, 64, 3), 40 * number, np.uint8)
            cv2.imwrite(str(tmp_path / "images" / split / f"{number}.png"), picture)
            rows = f"{number + 1} .5 .5 .2 .2\n"
            (tmp_path / "labels" / split / f"{number}.txt").write_text(rows, encoding="utf-8")
    text = "train: images/train\nval: images/val\nnames: [apple, pear, plum]\n"
    (tmp_path / "data.yaml").write_text(text, encoding="utf-8")
    line = only_line(command("data", "check", tmp_path))
    assert line.startswith("YG309 ") and ".txt:1: " in line and "subtract 1" in line
