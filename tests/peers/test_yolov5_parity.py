"""YOLOv5 against the published package, run as a black box on copied weights (needs the extra `peers`)."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn_boxes import draw

import oracles
from yolograft.families.yolov5 import YOLOv5Criterion
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector
from yolograft.types import RawPredictions, Targets

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(importlib.util.find_spec("yolov5") is None, reason="yolov5 is not installed"),
]
RELATIVE = 1e-4
ROOT = Path(__file__).parents[2]
HEAD = "model.24."


def peer_model(scale: str, classes: int, *, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    model = oracles.yolov5_model(scale, classes)
    oracles.disturb_statistics(model)
    return model


def our_key(key: str, names: list[str]) -> str:
    """Theirs is model.<index>.<rest>; layers stand in the same order."""
    found = re.fullmatch(r"model\.(\d+)\.(.+)", key)
    assert found
    rest = re.sub(r"^m\.(\d+)\.", r"predict.\1." if key.startswith(HEAD) else r"blocks.\1.", found[2])
    return f"layers.{names[int(found[1])].replace('.', '/')}.{rest}"


def copied(peer: Any, scale: str, classes: int) -> Detector:
    """Our model with the peer's weights, layer by layer in order."""
    ours = build(model_spec(f"yolov5{scale}", num_classes=classes))
    names = [layer.name for layer in ours.spec.layers]
    state = {our_key(k, names): v for k, v in peer.state_dict().items() if k != HEAD + "anchors"}
    ours.load_state_dict(state, strict=True)
    return ours


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max().clamp(min=1e-12)).item()


def their_layout(raw: RawPredictions) -> list[torch.Tensor]:
    """[B, 3, H, W, 5 + C] per level."""
    return [level.unflatten(1, (3, -1)).permute(0, 1, 3, 4, 2) for (level,) in raw.levels]


@pytest.mark.parametrize("scale", ["n", "s"])
@pytest.mark.parametrize("size", [(320, 320), (192, 352), (64, 96)])
def test_raw_outputs_and_decoded_boxes(scale: str, size: tuple[int, int]) -> None:
    peer = peer_model(scale, 7)
    ours = copied(peer, scale, 7).eval()
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    peer.eval()
    with torch.no_grad():
        raw = ours(x)
        boxes, scores = ours.decode(raw)
        decoded, levels = peer(x)
    for mine, theirs in zip(their_layout(raw), levels, strict=True):
        assert relative(mine, theirs) < RELATIVE
    centre, wh = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    assert relative(torch.cat((centre, wh), -1), decoded[..., :4]) < RELATIVE
    assert relative(scores, decoded[..., 5:] * decoded[..., 4:5]) < RELATIVE


def test_heads_start_alike() -> None:
    peer, ours = oracles.yolov5_model("n", 3), build(model_spec("yolov5n", num_classes=3), seed=0)
    pixels = peer.model[-1].anchors * torch.tensor([8.0, 16.0, 32.0])[:, None, None]
    assert torch.equal(pixels, ours.head.anchors)
    for mine, theirs in zip(ours.head.predict, peer.model[-1].m, strict=True):
        spread = 2 / mine.in_channels**0.5
        assert (mine.bias - theirs.bias).abs().max() <= spread


# name: image size, boxes per image, side range in pixels
CASES: dict[str, tuple[tuple[int, int], list[int], tuple[float, float]]] = {
    "square": ((320, 320), [5, 3, 8, 1], (8, 200)),
    "one without boxes": ((320, 320), [4, 0, 6], (8, 200)),
    "none at all": ((160, 160), [0, 0], (8, 100)),
    "non-square": ((192, 352), [7, 2], (8, 180)),
    "crowded": ((320, 320), [160, 90], (8, 90)),
    "tiny": ((160, 160), [12, 12], (1, 6)),
    "slivers": ((160, 160), [20, 20], (1, 150)),
    "batch of one": ((96, 128), [3], (10, 90)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("classes", [3, 1])
def test_losses_and_gradients(name: str, classes: int) -> None:
    size, counts, sides = CASES[name]
    peer = peer_model("n", classes)
    oracles.scale_yolov5_gains(peer, num_classes=classes, imgsz=max(size))
    ours = copied(peer, "n", classes)
    targets = draw(size, counts, sides, classes, seed=5)
    x = torch.rand(len(counts), 3, *size, generator=torch.Generator().manual_seed(2))
    wanted = oracles.yolov5_targets(targets, height=size[0], width=size[1])
    theirs, terms = oracles.yolov5_loss(peer)(peer.train()(x), wanted)
    theirs.sum().backward()
    mine = YOLOv5Criterion(ours.head)(ours.train()(x), targets)
    mine.total.backward()
    assert mine.total.item() == pytest.approx(theirs.item(), rel=RELATIVE)
    for key, value in zip(("box", "obj", "cls"), terms.tolist(), strict=True):
        assert float(mine.parts[key]) == pytest.approx(value, rel=RELATIVE, abs=1e-8), key
    names = [layer.name for layer in ours.spec.layers]
    gradients = dict(ours.named_parameters())
    # The loss is a gain times small numbers: rounding is measured against the largest gradient of a layer.
    for key, parameter in peer.named_parameters():
        grad = gradients[our_key(key, names)].grad
        assert grad is not None
        assert relative(grad, parameter.grad) < 10 * RELATIVE, key
    largest = max(p.grad.abs().max() for p in peer.parameters())
    worst = max(
        (gradients[our_key(key, names)].grad - p.grad).abs().max()  # type: ignore[operator]
        for key, p in peer.named_parameters()
    )
    assert worst / largest < RELATIVE


def random_batch(seed: int) -> tuple[Targets, tuple[int, int]]:
    """A batch on image sides that are powers of two, where both frames are computed without rounding."""
    g = torch.Generator().manual_seed(seed)
    height, width = (2 ** int(torch.randint(5, 9, (), generator=g)) for _ in range(2))
    batch = int(torch.randint(1, 5, (), generator=g))
    count = int(torch.randint(0, 13, (), generator=g)) if seed % 10 else 0
    limit = torch.tensor([width, height], dtype=torch.float32)
    sides = limit * torch.rand(count, 2, generator=g) ** (1 + seed % 4)
    corner = (limit - sides) * torch.rand(count, 2, generator=g)
    boxes = torch.cat((corner, corner + sides), 1)
    if seed % 3 == 0:
        # Centres on edges of cells, of the image, and on exact halves.
        centre = (torch.rand(count, 2, generator=g) * limit / 4).round() * 4
        sides = (4 * sides).round() / 4
        boxes = torch.cat((centre - sides / 2, centre + sides / 2), 1)
    image = torch.randint(0, batch, (count,), generator=g).sort().values
    return Targets(boxes, torch.randint(0, 3, (count,), generator=g), image, batch), (height, width)


def test_matches_are_equal_element_by_element_on_500_batches() -> None:
    peer = peer_model("n", 3)
    ours = build(model_spec("yolov5n", num_classes=3))
    criterion, reference = YOLOv5Criterion(ours.head), oracles.yolov5_loss(peer)
    positives = shared = 0
    for seed in range(500):
        targets, (height, width) = random_batch(seed)
        levels = tuple((torch.zeros(targets.batch_size, 24, height // s, width // s),) for s in (8, 16, 32))
        raw = RawPredictions(levels, (8, 16, 32), (height, width))
        wanted = oracles.yolov5_targets(targets, height=height, width=width)
        labels, boxes, places, anchors = reference.build_targets(their_layout(raw), wanted)
        for level, match in enumerate(criterion.match(raw, targets)):
            mine = (match.image, match.anchor, match.row, match.column)
            for a, b in zip(mine, places[level], strict=True):
                assert torch.equal(a, b), seed
            assert torch.equal(targets.labels[match.target], labels[level])
            assert torch.allclose(match.box, boxes[level], rtol=1e-6, atol=1e-5)
            own = ours.head.anchors[level, match.anchor] / (8 * 2**level)
            assert torch.equal(own, anchors[level])
            positives += len(match.target)
            shared += len(match.target) - len(set(zip(*(t.tolist() for t in mine), strict=True)))
    # The batches do hold what is compared, cells that several boxes want among it.
    assert positives > 10_000 and shared > 500


@pytest.mark.parametrize("seed", range(5))
def test_the_last_box_of_a_contested_cell_is_written(seed: int) -> None:
    peer = peer_model("n", 3, seed=seed)
    oracles.scale_yolov5_gains(peer, num_classes=3, imgsz=64)
    ours = copied(peer, "n", 3)
    g = torch.Generator().manual_seed(seed)
    base = torch.tensor([12.0, 16, 44, 40])
    boxes = base + 6 * (torch.rand(12, 4, generator=g) - 0.5)
    targets = Targets(boxes, torch.randint(0, 3, (12,), generator=g), torch.zeros(12, dtype=torch.long), 1)
    raw_values = tuple((torch.randn(1, 24, 64 // s, 64 // s, generator=g),) for s in (8, 16, 32))
    raw = RawPredictions(raw_values, (8, 16, 32), (64, 64))
    _, terms = oracles.yolov5_loss(peer)(
        their_layout(raw), oracles.yolov5_targets(targets, height=64, width=64)
    )
    assert float(YOLOv5Criterion(ours.head)(raw, targets).parts["obj"]) == pytest.approx(
        terms[1].item(), rel=1e-6
    )


def test_recorded_totals_match_the_installed_package() -> None:
    oracle = ROOT.parent / "shared" / "oracles" / "params_yolov5.json"
    if not oracle.is_file():
        pytest.skip("no recorded oracle beside the project")
    recorded = json.loads(oracle.read_text(encoding="utf-8"))
    assert sum(p.numel() for p in peer_model("n", 80).parameters()) == recorded["yolov5n"]["params"]
