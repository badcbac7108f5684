"""``--batch auto``: the largest power of two that fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import arm_of, tiny_recipe

from yolograft.engine import batchsize
from yolograft.engine.arm import Arm
from yolograft.engine.batchsize import choose_batch, largest_that_fits
from yolograft.engine.memory import Need
from yolograft.errors import MachineError
from yolograft.graph.spec import ModuleRef


@given(limit=st.integers(1, 3000), start=st.integers(0, 8), most=st.integers(0, 10))
def test_it_is_the_largest_that_fits_wherever_it_starts(limit: int, start: int, most: int) -> None:
    asked: list[int] = []

    def fits(batch: int) -> bool:
        asked.append(batch)
        return batch <= limit

    found = largest_that_fits(fits, start=2 ** min(start, most), most=2**most)
    assert found <= min(limit, 2**most) and (2 * found > limit or found == 2**most)
    assert len(asked) == len(set(asked)) and max(asked) <= 2**most


def test_a_model_that_does_not_fit_at_all_is_said() -> None:
    with pytest.raises(MachineError, match=r"YG703.*--imgsz"):
        largest_that_fits(lambda batch: False, start=8, most=16)


def choose(free: int, monkeypatch: pytest.MonkeyPatch, *, images: int = 1000, **recipe: object) -> int:
    monkeypatch.setattr(batchsize, "free_bytes", lambda place: free)
    arms = [arm_of(), arm_of("double_att@neck.p3")]
    choice = choose_batch(arms, tiny_recipe(**recipe), device="cpu", precision="fp32", images=images)
    assert choice.why.startswith(f"batch {choice.batch}: ") and "by count" in choice.why
    return choice.batch


def test_on_a_cpu_it_follows_memory_images_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    free = 2**34
    assert choose(free, monkeypatch) == 16
    assert choose(free, monkeypatch, images=13) == 8
    assert choose(free, monkeypatch, images=1) == 1
    small = 150 * 2**20
    batch = choose(small, monkeypatch)
    assert 1 < batch < 16
    # Half as much again in height and width is more than twice the pixels.
    assert choose(small, monkeypatch, multi_scale=0.5) < batch
    with pytest.raises(MachineError, match="YG703"):
        choose(2**20, monkeypatch)


def test_on_a_gpu_real_steps_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def peak(arm: object, recipe: object, batch: int, device: str, precision: str) -> float:
        tried.append(batch)
        return 2**30 * batch / 50 if batch <= 64 else float("inf")

    monkeypatch.setattr(batchsize, "places", lambda device: [torch.device("cuda", 0)])
    monkeypatch.setattr(batchsize, "free_bytes", lambda place: 2**30)
    monkeypatch.setattr(batchsize, "_peak_of_a_step", peak)
    choice = choose_batch([arm_of()], tiny_recipe(), device="0", precision="bf16", images=1000)
    assert choice.batch == 32 and 64 in tried and "by a trial step" in choice.why


class Mover:
    """A teacher that notes where it is sent."""

    def __init__(self) -> None:
        self.places: list[torch.device] = []

    def go_to(self, device: torch.device) -> None:
        self.places.append(device)


def test_a_trial_takes_a_taught_arm_beside_the_neediest(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"plain": 1.0, "wide": 9.0, "kd": 3.0, "mgd": 5.0}
    teacher: Any = Mover()
    arms = [replace(arm_of(), label=label) for label in needs]
    arms[2:] = [replace(arm, distill=(ModuleRef("cwd"),), teacher=teacher) for arm in arms[2:]]
    monkeypatch.setattr(batchsize, "need_of", lambda arm, recipe: Need(1, needs[arm.label]))
    monkeypatch.setattr(batchsize, "places", lambda device: [torch.device("cuda", 0)])
    monkeypatch.setattr(batchsize, "free_bytes", lambda place: 1000)
    tried: list[str] = []

    def peak(arm: Arm, recipe: object, batch: int, device: str, precision: str) -> float:
        tried.append(arm.label)
        # What is not counted: what the teacher holds for a moment.
        return batch * (needs[arm.label] + (40 if arm.distill else 0))

    monkeypatch.setattr(batchsize, "_peak_of_a_step", peak)
    choice = choose_batch(arms, tiny_recipe(), device="0", precision="bf16", images=1000)
    assert set(tried) == {"wide", "mgd"} and choice.batch == 8
    needs["mgd"], tried[:] = 10.0, []
    choose_batch(arms, tiny_recipe(), device="0", precision="bf16", images=1000)
    assert set(tried) == {"mgd"}


def test_a_trial_gives_the_teacher_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError

    teacher: Any = Mover()
    taught = replace(arm_of(), distill=(ModuleRef("cwd"),), teacher=teacher)
    for name in ("memory_allocated", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda place: 0)
    monkeypatch.setattr(batchsize, "_take_two_steps", full)
    assert batchsize._peak_of_a_step(taught, tiny_recipe(), 4, "cpu", "fp32") == float("inf")
    assert teacher.places == [torch.device("cpu")]


@pytest.mark.gpu
def test_a_trial_on_a_real_gpu() -> None:
    recipe = tiny_recipe(imgsz=(320, 320))
    peaks = [batchsize._peak_of_a_step(arm_of(), recipe, batch, "0", "bf16") for batch in (4, 8, 16)]
    assert peaks[0] < peaks[1] < peaks[2] < 2**33
    assert torch.cuda.memory_allocated() < 2**20 * 64
    choice = choose_batch([arm_of()], recipe, device="0", precision="bf16", images=300)
    assert choice.batch >= 16 and choice.batch & (choice.batch - 1) == 0
