"""Runs that diverged, seeds that are missing, plans that cannot be judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from yolograft.data.shapes import shapes
from yolograft.engine.arm import DIVERGED, DONE, ArmRun
from yolograft.engine.checkpoint import write_json
from yolograft.engine.recipe import Recipe
from yolograft.engine.runfolder import arm_folder
from yolograft.engine.train import Settings
from yolograft.errors import SpecError, StudyError
from yolograft.graph.expr import parse_graft
from yolograft.models.codebook import from_grafts
from yolograft.study.planning.create import create_study
from yolograft.study.planning.plan import Plan
from yolograft.study.results import METRICS, collect
from yolograft.study.run import Execution, publish, run_study

BURSTS = """
import torch
from torch import nn


class Bursts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        if self.training:
            self.calls += 1
        return x * float("nan") if self.calls == 2 else x
"""


class Silent:
    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        pass

    def step(self, runs: Sequence[ArmRun], batch: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def planned(base: Path, *grafts: str, seeds: tuple[int, ...] = (0, 1, 2), **values: Any) -> Path:
    recipe = Recipe(epochs=1, batch=4, imgsz=(64, 64), precision="fp32")
    parsed = tuple(parse_graft(text) for text in grafts)
    data = str(shapes(train=8, val=4, size=64).root)
    plan = Plan(**{"kind": "compare", "model": "yolov8n", "data": data, "grafts": parsed, "seeds": seeds,
                   "recipe": recipe, **values})  # fmt: skip
    return create_study(plan, base=base, name="study", code=from_grafts(parsed))


def scored(run: Path, label: str, values: Sequence[float | None]) -> None:
    """Write scores as a run would; None is a run that diverged."""
    for seed, ap in enumerate(values):
        folder = arm_folder(run, label, seed)
        folder.mkdir(parents=True)
        scores = {"seed": seed, "steps": 4, "status": DONE, "reason": "", "seconds": 1.0, "history": [],
                  "images_per_second": 9.0}  # fmt: skip
        if ap is None:
            scores |= {"status": DIVERGED, "reason": "loss nan at step 1; batch: a.png"}
        else:
            scores |= {metric: ap for metric in METRICS} | {"per_class": []}
        write_json(folder / "scores.json", scores)


def verdict(run: Path) -> dict[str, Any]:
    return collect(run)["arms"][1]["comparison"]


def test_a_clear_gain_helps_and_a_diverged_run_blocks_it(tmp_path: Path) -> None:
    clear = planned(tmp_path, "se@neck.p3")
    scored(clear, "baseline", (20.0, 20.4, 19.8))
    scored(clear, "se-neck.p3", (40.0, 40.3, 39.9))
    assert verdict(clear)["verdict"] == "helps" and verdict(clear)["low"] > 18

    blocked = planned(tmp_path, "se@neck.p3", seeds=(0, 1, 2, 3))
    scored(blocked, "baseline", (20.0, 20.4, 19.8, 20.1))
    scored(blocked, "se-neck.p3", (40.0, 40.3, 39.9, None))
    judged = verdict(blocked)
    assert judged["verdict"] == "not enough seeds"
    assert '"helps" is withheld: 1 of 4 runs of this arm diverged' in judged["sentence"]


def test_an_arm_that_diverges_is_shown_and_the_baseline_is_scored(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    code = tmp_path / "bursts.py"
    code.write_text(BURSTS, encoding="utf-8")
    run = planned(tmp_path, f"{code}::Bursts@neck.p4", seeds=(0,))
    book = from_grafts([parse_graft(f"{code}::Bursts@neck.p4")])
    results = run_study(run, code=book, execution=Execution(Settings()), progress=Silent())
    base, bad = results["arms"]
    assert base["runs"][0]["status"] == DONE and base["runs"][0]["ap"] is not None
    failed = bad["runs"][0]
    assert (failed["status"], failed["steps"]) == (DIVERGED, 1)
    assert failed["reason"].startswith("loss nan at step 1; batch: train/") and ".png" in failed["reason"]
    assert "ap" not in failed and bad["mean"]["ap"] is None and bad["comparison"]["delta"] is None
    assert results["status"] == "complete"
    assert not (arm_folder(run, bad["label"], 0) / "model").exists()
    assert "diverged" in (run / "report.html").read_text(encoding="utf-8")
    kept = list((run / "code").iterdir())
    assert [path.read_text(encoding="utf-8") for path in kept] == [BURSTS]


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_fewer_than_three_seeds_never_carry_a_verdict(done: int, tmp_path: Path) -> None:
    run = planned(tmp_path, "se@neck.p3")
    scored(run, "baseline", (20.0, 20.4, 19.8)[:done])
    scored(run, "se-neck.p3", (40.0, 40.3, 39.9)[:done])
    results = publish(run, None)
    assert results["status"] == ("complete" if done == 3 else "partial")
    assert (results["arms"][1]["comparison"]["verdict"] == "not enough seeds") == (done < 3)
    assert json.loads((run / "results.json").read_text(encoding="utf-8"))["arms"][1]["comparison"][
        "known"
    ] or (done == 3)


@pytest.mark.parametrize(
    ("grafts", "values", "code"),
    [
        (("x=se@neck.p3", "x=nam@neck.p3"), {}, "YG603"),
        (("se@neck.p3", "se@neck.p3"), {}, "YG603"),
        (("baseline=se@neck.p3",), {}, "YG603"),
        (("X=se@neck.p3", "x=nam@neck.p3"), {}, "YG603"),
        (("se@neck.p3",), {"seeds": ()}, "YG605"),
        (("se@neck.p3",), {"seeds": (1, 1)}, "YG605"),
        (("se@neck.p3",), {"margin": 0.0}, "YG601"),
        (("se@neck.p3",), {"margin": float("nan")}, "YG601"),
        (("se@neck.p7",), {}, "YG120"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_a_folder_is_made(
    grafts: tuple[str, ...], values: dict[str, Any], code: str, tmp_path: Path
) -> None:
    with pytest.raises((StudyError, SpecError), match=code):
        planned(tmp_path, *grafts, **values)
    assert list(tmp_path.iterdir()) == []
