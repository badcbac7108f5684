"""Gains and class-activation maps of a detector."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from yolograft.data.eval_stream import batch_of_image
from yolograft.data.images import Letterbox
from yolograft.engine.activation import class_activation, target
from yolograft.engine.gains import module_gains, on_picture
from yolograft.engine.heat import heat_over
from yolograft.errors import MachineError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector, key_of


def detector(*expressions: str, init: str = "paper", model: str = "yolov8n") -> Detector:
    spec = model_spec(model, num_classes=3)
    return build(graft(spec, *(parse_graft(text, init=init) for text in expressions))).eval()


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (70, 101, 3), dtype=np.uint8)


class Fixed(nn.Module):
    """Multiplies by a known gate."""

    def __init__(self, gate: Tensor) -> None:
        super().__init__()
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate


def test_the_gain_of_a_gate_is_the_gate(picture: np.ndarray) -> None:
    found, batch = detector("simam@neck.p3"), batch_of_image(picture, imgsz=(96, 128))
    (name,) = (layer.name for layer in found.spec.layers if "+" in layer.name)
    (before,) = module_gains(found, batch)
    gate = torch.rand(before.values.shape)
    found.layers[key_of(name)] = Fixed(gate)
    (gain,) = module_gains(found, batch)
    assert gain.layer == name
    np.testing.assert_allclose(gain.values, gate.numpy(), rtol=1e-5)
    assert not found.layers[key_of(name)]._forward_hooks


class InPlace(nn.Module):
    """Writes its output over its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(0.25)


def test_a_module_that_writes_over_its_input_has_its_gain(picture: np.ndarray) -> None:
    found, batch = detector("simam@neck.p3"), batch_of_image(picture, imgsz=(96, 128))
    (name,) = (layer.name for layer in found.spec.layers if "+" in layer.name)
    found.layers[key_of(name)] = InPlace()
    (gain,) = module_gains(found, batch)
    np.testing.assert_allclose(gain.values, 0.25, rtol=1e-5)
    assert not found.layers[key_of(name)]._forward_pre_hooks


def test_gains_know_every_graft_and_a_fresh_identity_start_changes_nothing(picture: np.ndarray) -> None:
    batch = batch_of_image(picture, imgsz=(96, 128))
    assert module_gains(detector(), batch) == ()
    many = module_gains(detector("coord_att@neck.p3,neck.p5+se@inside:backbone.p4"), batch)
    assert sorted(g.layer for g in many) == ["backbone.p4", "neck.p3+coord_att", "neck.p5+coord_att"]
    assert all(np.isfinite(g.values).all() and (g.values > 0).all() and (g.values < 1).all() for g in many)
    (still,) = module_gains(detector("se@neck.p4", init="identity"), batch)
    np.testing.assert_array_equal(still.values, 1.0)


def test_a_map_lies_where_its_pixels_are() -> None:
    box = Letterbox(original=(40, 80), resized=(64, 128), input=(96, 128), top=16, left=0)
    values = np.zeros((12, 16), np.float32)
    values[2:10, 8:] = 1  # the right half of what is not padding
    shown = on_picture(values, box)
    assert shown.shape == (40, 80)
    assert shown[20, :30].max() == 0 and shown[20, 50:].min() == 1


def test_heat_shows_low_dark_and_high_bright_and_survives_constant_maps(picture: np.ndarray) -> None:
    values = np.tile(np.linspace(0, 1, 101, dtype=np.float32), (70, 1))
    shown = heat_over(np.full_like(picture, 128), values, low=0, high=1)
    light = shown.astype(float).mean((0, 2))
    assert light[-1] > light[50] > light[0] and shown.dtype == np.uint8
    assert heat_over(picture, np.full((70, 101), np.nan), low=1, high=1).shape == picture.shape


class LayerCAM:
    """The library's class after its paper (Jiang et al. 2021, equations 3-5) for one image."""

    def __init__(self, model: nn.Module, target_layers: list[nn.Module]) -> None:
        self.model, self.layers = model, target_layers

    def __enter__(self) -> LayerCAM:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __call__(self, input_tensor: Tensor, targets: list[Any]) -> np.ndarray:
        kept: list[Tensor] = []
        hooks = [layer.register_forward_hook(lambda _m, _i, o: kept.append(o)) for layer in self.layers]
        score = targets[0](self.model(input_tensor)[0])
        slopes = torch.autograd.grad(score, kept)
        [hook.remove() for hook in hooks]
        size, total = input_tensor.shape[-2:], torch.zeros(input_tensor.shape[-2:])
        for a, g in zip(kept, slopes, strict=True):
            cam = (g.clamp_min(0) * a).sum(1, keepdim=True).clamp_min(0)
            total += nn.functional.interpolate(cam / (cam.max() + 1e-7), size, mode="bilinear")[0, 0].detach()
        return (total / total.max()).numpy()[None]


@pytest.mark.parametrize("model", ["yolov8n", "yolov5n", "yolox-nano"])
def test_class_activation_reads_the_maps_of_the_head(
    model: str, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", types.SimpleNamespace(LayerCAM=LayerCAM))
    found, batch = detector("se@neck.p3", model=model), batch_of_image(picture, imgsz=(96, 128))
    next(found.parameters()).requires_grad_(False)
    with torch.no_grad():
        shown = class_activation(found, batch, confidence=0.25)
    assert shown.shape == batch.letterboxes[0].input and shown.min() >= 0 and shown.max() == 1
    assert all(p.grad is None for p in found.parameters()) and not next(found.parameters()).requires_grad


def test_without_the_library_one_line_says_which_extra(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    with pytest.raises(MachineError, match=r"YG712 .*yolograft\[explain\]"):
        class_activation(detector(), batch_of_image(picture, imgsz=(96, 128)), confidence=0.25)


def test_the_target_is_the_sum_of_logits_above_a_confidence() -> None:
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.4]])
    assert target(0.3)(scores).item() == pytest.approx(np.log(9) + np.log(0.4 / 0.6), rel=1e-5)
    assert target(0.95)(scores).item() == pytest.approx(np.log(9), rel=1e-5)
    assert torch.isfinite(target(0.5)(torch.tensor([[1.0, 0.0]])))


def test_the_real_library_where_it_is_installed(picture: np.ndarray) -> None:
    pytest.importorskip("pytorch_grad_cam")
    batch = batch_of_image(picture, imgsz=(96, 128))
    shown = class_activation(detector("se@neck.p3"), batch, confidence=0.25)
    assert shown.shape == batch.letterboxes[0].input and np.isfinite(shown).all()
