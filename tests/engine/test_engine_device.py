"""Devices as they are told apart before anything runs on them, and the loss scale of fp16."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from tiny_runs import arm_of, tiny_recipe

from yolograft.engine import device
from yolograft.engine.arm import ArmRun, Length
from yolograft.errors import MAX_LINE, MachineError


@pytest.fixture
def old_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with one GPU of compute capability 6.1."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda place: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda place: "NVIDIA GeForce GTX 1080 Ti")


def test_a_gpu_without_kernels_is_one_line(old_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90", "compute_90"])
    with pytest.raises(MachineError) as caught:
        device.places("0")
    said = caught.value.line()
    assert said.startswith("YG706 NVIDIA GeForce GTX 1080 Ti: ") and len(said) <= MAX_LINE
    assert "6.1" in said and "7.5" in said and "install a torch build" in said
    for call in (
        lambda: device.open_fabric("0", "fp32"),
        lambda: device.resolve_precision(tiny_recipe(), "0"),
    ):
        with pytest.raises(MachineError, match="YG706"):
            call()
    assert device.places("cpu") == [torch.device("cpu")]


def test_a_gpu_with_kernels_passes(old_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_60", "sm_61", "sm_90"])
    assert device.places("0") == [torch.device("cuda", 0)]


def scaled_run() -> ArmRun:
    """An arm under loss scaling, on the CPU."""
    plugin = MixedPrecision("16-mixed", device="cpu", scaler=torch.amp.GradScaler("cpu"))  # type: ignore[arg-type]
    fabric = Fabric(accelerator="cpu", devices=1, plugins=plugin)
    fabric.launch()
    return ArmRun(arm_of(), tiny_recipe(), fabric=fabric, precision="fp16", seed=0, length=Length(4, 2))


def test_the_loss_scale_comes_back(tmp_path: Path) -> None:
    run = scaled_run()
    scale = {**run.state()["loss_scale"], "scale": 1024.0, "_growth_tracker": 7}
    other = scaled_run()
    other.restore(run.tensors(), {**run.state(), "loss_scale": scale})
    assert other.state()["loss_scale"] == scale != run.state()["loss_scale"]
    # A checkpoint written before there was a scale in it.
    old = {key: value for key, value in run.state().items() if key not in ("loss_scale", "best")}
    other.restore(run.tensors(), old)
