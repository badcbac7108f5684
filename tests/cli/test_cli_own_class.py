"""A class from the user's file is grafted, compared, stopped, resumed and evaluated again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from yolograft.engine.modelfolder import read_model

# Stops its own process after the training step that KILL_AT names, as `kill` would.
MY_ATT = """
import os
import signal

import torch
from torch import nn


class MyAtt(nn.Module):
    def __init__(self, channels, k=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, k, padding=k // 2, groups=channels)
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        if self.training:
            self.steps = self.steps + 1
            if str(self.steps.item()) == os.environ.get("KILL_AT"):
                os.kill(os.getpid(), signal.SIGTERM)
        return x * self.conv(x).sigmoid() * self.scale
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with my_att.py, made the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_att.py").write_text(MY_ATT, encoding="utf-8")
    return tmp_path


def test_from_graft_to_prediction(
    here: Path, command: Any, tiny: tuple[str, ...], tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("compare", *tiny, "--graft", "my_att.py::MyAtt:k=5@neck.p3", "--seeds", 1)
    assert command(*words).code == 0
    monkeypatch.setenv("KILL_AT", "1")
    stopped = command(*words)
    assert stopped.code == 143 and stopped.out == ""
    assert 'go on with: yolograft compare --resume "runs/compare-002"' in " ".join(stopped.err.split())
    monkeypatch.delenv("KILL_AT")

    # Nothing runs because a run folder names it.
    refused = command("compare", "--resume", "runs/compare-002")
    assert refused.code == 2 and refused.err.startswith("YG410 ") and "--code my_att.py" in refused.err
    changed = here / "elsewhere" / "my_att.py"
    changed.parent.mkdir()
    changed.write_text(MY_ATT + "# changed\nraise SystemExit('must not run')\n", encoding="utf-8")
    refused = command("compare", "--resume", "runs/compare-002", "--code", changed)
    assert refused.code == 2 and refused.err.startswith("YG224 ")

    # A copy of the same text elsewhere will do.
    moved = here / "moved" / "my_att.py"
    moved.parent.mkdir()
    (here / "my_att.py").rename(moved)
    resumed = command("compare", "--resume", "runs/compare-002", "--code", moved, "--json")
    assert resumed.code == 0
    whole, pieces = (
        read_model(here / "runs" / name / "arms" / "myatt-neck.p3" / "seed-0" / "model")
        for name in ("compare-001", "compare-002")
    )
    assert whole.hashes == pieces.hashes and list(whole.hashes) == ["my_att.py::MyAtt"]
    assert whole.tensors["layers.neck/p3+myatt.steps"].item() == 2
    assert all(torch.equal(whole.tensors[key], pieces.tensors[key]) for key in whole.tensors)

    run = "runs/compare-002"
    for verb in (("eval", run), ("predict", run, tiny_data / "val")):
        assert command(*verb, "--arm", "myatt-neck.p3").err.startswith("YG410 ")
        assert command(*verb, "--arm", "myatt-neck.p3", "--code", changed).err.startswith("YG224 ")
        assert command(*verb, "--arm", "myatt-neck.p3", "--code", moved).code == 0
        assert command(*verb, "--arm", "baseline").code == 0
    again = command("eval", run, "--arm", "myatt-neck.p3", "--code", moved, "--batch", 4, "--json").json
    arm = resumed.json["arms"][1]
    assert again["ap"] == arm["runs"][0]["ap"] and again["per_class"] == arm["runs"][0]["per_class"]
    kept = list((here / run / "code").iterdir())
    assert [file.read_text(encoding="utf-8") for file in kept] == [MY_ATT]
    manifest = json.loads((here / run / "manifest.json").read_text(encoding="utf-8"))
    assert "channel" in " ".join(manifest["arms"][1]["notes"])


def test_a_class_that_cannot_be_built_is_refused_in_one_line(
    here: Path, command: Any, tiny: tuple[str, ...]
) -> None:
    (here / "odd.py").write_text(
        "from torch import nn\nclass Odd(nn.Module):\n    def forward(self, x):\n        return x[:, :5]\n",
        encoding="utf-8",
    )
    for graft, code in (
        ("odd.py::Odd@neck.p3", "YG207"),
        ("my_att.py::Nothing@neck.p3", "YG222"),
        ("my_att.py::MyAtt:m=1@neck.p3", "YG227"),
    ):
        answer = command("compare", *tiny, "--graft", graft)
        assert answer.code == 2 and answer.err.startswith(f"{code} ") and answer.err.count("\n") == 1
    assert not (here / "runs").exists()
