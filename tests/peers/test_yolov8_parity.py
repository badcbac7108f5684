"""YOLOv8 against the published package, run as a black box on copied weights (needs the extra `peers`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from yolograft.families.yolov8 import YOLOv8Criterion
from yolograft.models.build import build, model_spec
from yolograft.types import Targets

pytestmark = pytest.mark.peers
RELATIVE = 1e-4


def peer_model(name: str, classes: int):
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    from ultralytics.cfg import get_cfg

    torch.manual_seed(0)
    model = tasks.DetectionModel(f"{name}.yaml", nc=classes, verbose=False)
    model.args = get_cfg()
    # Random batch statistics: at their initial values a wrong epsilon or momentum would go unseen.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return model


def copied(peer, name: str, classes: int):
    """Our model with the peer's weights, layer by layer in order."""
    ours = build(model_spec(name, num_classes=classes))
    keys = [layer.name.replace(".", "/") for layer in ours.spec.layers]
    state = {}
    for key, value in peer.state_dict().items():
        match = re.fullmatch(r"model\.(\d+)\.(.+)", key)
        assert match
        index, rest = int(match[1]), match[2]
        rest = re.sub(r"^m\.(\d+)\.", r"blocks.\1.", rest)
        if index == len(keys) - 1:
            rest = re.sub(r"^cv2\.", "box.", re.sub(r"^cv3\.", "cls.", rest))
        state[f"layers.{keys[index]}.{rest}"] = value
    ours.load_state_dict(state, strict=True)
    return ours


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max().clamp(min=1e-12)).item()


def dense(raw, branch: int) -> torch.Tensor:
    """[B, C, A], the peer's layout."""
    return torch.cat([level[branch].flatten(2) for level in raw.levels], 2)


@pytest.mark.parametrize("name", ["yolov8n", "yolov8s"])
@pytest.mark.parametrize("size", [(320, 320), (192, 352), (64, 96)])
def test_raw_outputs_and_decoded_boxes(name: str, size: tuple[int, int]) -> None:
    peer = peer_model(name, 7)
    ours = copied(peer, name, 7)
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    peer.eval()
    ours.eval()
    with torch.no_grad():
        raw = ours(x)
        boxes, scores = ours.decode(raw)
        decoded, theirs = peer(x)
    assert relative(dense(raw, 0), theirs["boxes"]) < RELATIVE
    assert relative(dense(raw, 1), theirs["scores"]) < RELATIVE
    centre, wh = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    assert relative(torch.cat((centre, wh), -1), decoded[:, :4].transpose(1, 2)) < RELATIVE
    assert relative(scores, decoded[:, 4:].transpose(1, 2)) < RELATIVE


def cases() -> Iterator[tuple[str, tuple[int, int], list[int], tuple[float, float]]]:
    """name, image size, boxes per image, side range in pixels."""
    yield "square", (320, 320), [5, 3, 8, 1], (8, 200)
    yield "one without boxes", (320, 320), [4, 0, 6], (8, 200)
    yield "none at all", (160, 160), [0, 0], (8, 100)
    yield "non-square", (192, 352), [7, 2], (8, 180)
    yield "crowded", (320, 320), [60, 40], (8, 120)
    yield "just above 8 px", (160, 160), [12, 12], (8, 12)
    yield "small", (160, 160), [12, 12], (2, 9)
    yield "slivers", (160, 160), [10, 10], (1, 60)


def draw(
    size: tuple[int, int], counts: list[int], sides: tuple[float, float], classes: int, seed: int
) -> Targets:
    g = torch.Generator().manual_seed(seed)
    total = sum(counts)
    limit = torch.tensor([size[1], size[0]], dtype=torch.float32)
    wh = sides[0] + (sides[1] - sides[0]) * torch.rand(total, 2, generator=g)
    wh = wh.minimum(limit * 0.9)
    xy = (limit - wh) * torch.rand(total, 2, generator=g)
    image = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = torch.randint(0, classes, (total,), generator=g)
    return Targets(torch.cat((xy, xy + wh), 1), labels, image, len(counts))


@pytest.mark.parametrize("case", list(cases()), ids=lambda c: c[0])
@pytest.mark.parametrize("small_boxes", ["paper", "widened"])
def test_losses_and_gradients(case, small_boxes: str) -> None:
    _name, size, counts, sides = case
    peer = peer_model("yolov8n", 3)
    ours = copied(peer, "yolov8n", 3)
    targets = draw(size, counts, sides, 3, seed=5)
    limit = torch.tensor([size[1], size[0]] * 2, dtype=torch.float32)
    centre = torch.cat(
        ((targets.boxes[:, :2] + targets.boxes[:, 2:]) / 2, targets.boxes[:, 2:] - targets.boxes[:, :2]), 1
    )
    x = torch.rand(len(counts), 3, *size, generator=torch.Generator().manual_seed(2))
    batch = {
        "img": x,
        "batch_idx": targets.image.float(),
        "cls": targets.labels.float()[:, None],
        "bboxes": centre / limit,
    }
    peer.train()
    ours.train()
    criterion = peer.init_criterion()
    if small_boxes == "paper":
        criterion.assigner.stride_val = 0.0  # the published trainer with its widening turned off
    peer.criterion = criterion
    theirs, _items = peer(batch)
    theirs.sum().backward()
    loss = YOLOv8Criterion(small_boxes=small_boxes)(ours(x), targets)  # type: ignore[arg-type]
    loss.total.backward()
    expected = theirs.detach() / len(counts)
    for key, value in zip(("box", "cls", "dfl"), expected, strict=True):
        assert abs(loss.parts[key] - value) <= RELATIVE * max(abs(float(value)), 1e-3), (
            key,
            loss.parts[key],
            value,
        )
    gradients = dict(ours.named_parameters())
    worst = 0.0
    norm = max(p.grad.abs().max() for p in peer.parameters() if p.grad is not None)
    for layer, ref in zip(ours.spec.layers, peer.model, strict=True):
        prefix = f"layers.{layer.name.replace('.', '/')}."
        mine = [p.grad for n, p in gradients.items() if n.startswith(prefix) and p.grad is not None]
        other = [p.grad for p in ref.parameters() if p.grad is not None]
        if layer.module == "yolov8_head":
            mine.sort(key=lambda t: (tuple(t.shape), float(t.abs().sum())))
            other.sort(key=lambda t: (tuple(t.shape), float(t.abs().sum())))
        for a, b in zip(mine, other, strict=True):
            worst = max(worst, float((a - b).abs().max() / norm))
    assert worst < RELATIVE, worst


def test_the_rules_agree_from_the_second_stride_on() -> None:
    ours = copied(peer_model("yolov8n", 3), "yolov8n", 3).eval()
    with torch.no_grad():
        raw = ours(torch.rand(2, 3, 320, 320))
    targets = draw((320, 320), [20, 20], (16, 200), 3, seed=3)
    totals = [YOLOv8Criterion(small_boxes=rule)(raw, targets).total for rule in ("paper", "widened")]  # type: ignore[arg-type]
    assert torch.equal(*totals)


def test_a_small_box_tells_the_two_rules_apart() -> None:
    ours = copied(peer_model("yolov8n", 3), "yolov8n", 3)
    targets = draw((160, 160), [12, 12], (2, 7), 3, seed=5)
    with torch.no_grad():
        raw = ours(torch.rand(2, 3, 160, 160))
    positives = {
        rule: YOLOv8Criterion(small_boxes=rule).assign_raw(raw, targets).anchor.numel()  # type: ignore[arg-type]
        for rule in ("paper", "widened")
    }
    assert 0 < positives["paper"] < positives["widened"]


def test_recorded_totals_match_the_installed_package() -> None:
    oracle = Path(__file__).parents[3] / "shared" / "oracles" / "params_yolov8.json"
    if not oracle.is_file():
        pytest.skip("no recorded oracle beside the project")
    recorded = json.loads(oracle.read_text(encoding="utf-8"))
    assert sum(p.numel() for p in peer_model("yolov8n", 80).parameters()) == recorded["yolov8n"]["params"]
