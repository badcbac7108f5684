"""Parameters, FLOPs, latency: counted right, and the model is as before afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from yolograft.errors import MachineError
from yolograft.metrics.cost import (
    count_flops,
    count_parameters,
    gflops_ultralytics_convention,
    latencies,
    peak_memory_mb,
)
from yolograft.models.build import build, model_spec

ORACLE = Path(__file__).resolve().parents[3] / "shared" / "oracles" / "params_yolov8.json"


class Small(nn.Module):
    """A detector in shape: two convs with BatchNorm, one branch in train mode only, a decode."""

    def __init__(self, extra: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.extra = extra or nn.Identity()
        self.head = nn.Conv2d(8, 5, 1)
        self.fixed = nn.Parameter(torch.arange(16.0), requires_grad=False)

    def forward(self, x):
        assert not self.training
        assert not torch.is_grad_enabled()
        return self.head(self.extra(self.norm(self.conv(x))))

    def decode(self, raw):
        return raw.flatten(2).transpose(1, 2) @ torch.ones(5, 4, dtype=raw.dtype)


def by_hand(height, width):
    out = ((height + 1) // 2) * ((width + 1) // 2)
    return 2 * out * (8 * 27 + 5 * 8 + 5 * 4)


def test_parameters_count_fixed_ones_and_the_scale():
    detector = Small()
    detector.scale = nn.Parameter(torch.zeros(()))
    assert count_parameters(detector) == 8 * 27 + 16 + 5 * 8 + 5 + 16 + 1


@pytest.mark.parametrize("size", [64, (32, 48), (33, 47)])
def test_flops_by_hand_decode_included(size):
    height, width = (size, size) if isinstance(size, int) else size
    assert count_flops(Small(), size) == by_hand(height, width)


def test_the_model_is_left_as_it_was():
    detector = Small().train()
    detector.norm.eval()  # a frozen norm must not be woken up
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    count_flops(detector, 32)
    gflops_ultralytics_convention(detector, (32, 32))
    latencies([detector], 32, runs=2, warmup=0)
    assert detector.training and detector.conv.training and not detector.norm.training
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())
    assert not any(module._forward_hooks for module in detector.modules())
    with pytest.raises(RuntimeError):
        count_flops(Small(nn.Conv2d(9, 8, 1)), 32)


N = 8 * 16 * 16


@pytest.mark.parametrize(
    ("layer", "extra"),
    [
        (nn.Identity(), 0),
        (nn.SiLU(), 0),
        (nn.MaxPool2d(1), 0),
        (nn.GroupNorm(4, 8), 8 * N),
        (nn.BatchNorm2d(8, affine=False), 4 * N),
        (nn.InstanceNorm2d(8), 4 * N),
        (nn.LayerNorm((16, 16)), 8 * N),
        (nn.PReLU(), 2 * N),
        (nn.Softmax(1), 2 * (N // 8) * 23),
        (nn.AvgPool2d(2), 2 * (N // 4) * 5),
        (nn.AdaptiveAvgPool2d(1), 2 * 8 * 257),
        (nn.AdaptiveAvgPool2d((None, 1)), 2 * 8 * 16 * 17),
        (nn.Upsample(scale_factor=2), 0),
        (nn.Upsample(scale_factor=2, mode="bilinear"), 22 * 4 * N),
    ],
)
def test_the_other_convention_by_layer(layer, extra):
    detector = Small(layer)
    got = gflops_ultralytics_convention(detector, (32, 32)) * 1e9
    assert got == pytest.approx(count_flops(detector, 32) + 8 * N + extra, abs=0.5)


@pytest.mark.parametrize("scale", "ns")
def test_yolov8_in_both_conventions(scale):
    if not ORACLE.exists():
        pytest.skip("no oracle file beside this checkout")
    row = json.loads(ORACLE.read_text(encoding="utf-8"))[f"yolov8{scale}"]
    detector = build(model_spec(f"yolov8{scale}"))
    assert count_flops(detector, 640) == row["torch_flops_640"]
    assert gflops_ultralytics_convention(detector) == pytest.approx(row["gflops_ultralytics_640"], abs=1e-6)


def test_latency_says_where_it_was_measured():
    (got,) = latencies([Small()], (33, 64), runs=5, warmup=1)
    assert 0 < got.p50_ms <= got.p90_ms and got.fps == pytest.approx(1000 / got.p50_ms)
    assert (got.device, got.precision, got.threads) == ("cpu", "fp32", torch.get_num_threads())
    half = Small().to(torch.bfloat16)
    both = latencies([half, Small()], 32, runs=1, warmup=0)
    assert [each.precision for each in both] == ["bf16", "fp32"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert latencies([Small()], 32, runs=1, warmup=0)[0].precision == "bf16 autocast"
    with pytest.raises(MachineError, match="YG711"):
        latencies([Small()], 32, runs=0, warmup=0)


def test_detectors_are_timed_in_turn():
    """One slow second of the machine must not land on one arm alone."""
    order: list[str] = []

    class Told(Small):
        def forward(self, x):
            order.append(self.name)
            return super().forward(x)

    pair = [Told(), Told()]
    pair[0].name, pair[1].name = "a", "b"
    latencies(pair, 32, runs=3, warmup=1)
    assert order == ["a", "b"] * 4


def test_peak_memory_is_the_size_of_a_process_with_torch():
    peak = peak_memory_mb()
    assert peak is None or 50 < peak < 1_000_000
