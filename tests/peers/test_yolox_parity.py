"""YOLOX against the published package, run as a black box on copied weights (needs the extra `peers`)."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn_boxes import draw
from torch import Tensor
from torchvision.ops import box_iou

import oracles
from yolograft.families.yolox import YOLOXCriterion
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector
from yolograft.types import RawPredictions, Targets

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(importlib.util.find_spec("yolox") is None, reason="yolox is not installed"),
    pytest.mark.filterwarnings("ignore"),
]
RELATIVE = 1e-4
STRIDES = (8, 16, 32)
ROOT = Path(__file__).parents[2]
PLACES = {
    "backbone.backbone.stem.conv": "stem.conv",
    "backbone.lateral_conv0": "neck/lat5",
    "backbone.C3_p4": "neck/td4",
    "backbone.reduce_conv1": "neck/lat4",
    "backbone.C3_p3": "neck/p3",
    "backbone.bu_conv2": "neck/p4/down",
    "backbone.C3_n3": "neck/p4",
    "backbone.bu_conv1": "neck/p5/down",
    "backbone.C3_n4": "neck/p5",
    "head.cls_convs": "head.cls",
    "head.reg_convs": "head.box",
    "head.cls_preds": "head.cls_pred",
    "head.reg_preds": "head.box_pred",
    "head.obj_preds": "head.obj_pred",
    "head.stems": "head.stems",
    "backbone.backbone.dark5.1": "backbone/p5/spp",
    "backbone.backbone.dark5.2": "backbone/p5",
}
PLACES |= {f"backbone.backbone.dark{level}.0": f"backbone/p{level}/down" for level in range(2, 6)}
PLACES |= {f"backbone.backbone.dark{level}.1": f"backbone/p{level}" for level in range(2, 5)}
PARTS = {"box": "iou_loss", "obj": "conf_loss", "cls": "cls_loss", "l1": "l1_loss"}


def peer_model(scale: str, classes: int, *, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    model = oracles.yolox_model(scale, classes)
    oracles.disturb_statistics(model)
    return model


def our_key(key: str) -> str:
    place = max((p for p in PLACES if key.startswith(p + ".")), key=len)
    rest = key[len(place) :]
    rest = re.sub(r"\.dconv\.", ".depthwise.", re.sub(r"\.pconv\.", ".pointwise.", rest))
    rest = re.sub(r"\.m\.(\d+)\.", r".blocks.\1.", re.sub(r"\.conv([123])\.", r".cv\1.", rest))
    return f"layers.{PLACES[place]}{rest}"


def copied(peer: Any, scale: str, classes: int) -> Detector:
    """Our model with the peer's weights, every one of them."""
    ours = build(model_spec(f"yolox-{scale}", num_classes=classes))
    ours.load_state_dict({our_key(key): value for key, value in peer.state_dict().items()}, strict=True)
    return ours


def relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max().clamp(min=1e-12)).item()


def pixels(batch: int, size: tuple[int, int], seed: int = 1) -> Tensor:
    return 255 * torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def their_layout(raw: RawPredictions) -> Tensor:
    """[B, A, 5 + C]."""
    return torch.cat([torch.cat(level, 1).flatten(2) for level in raw.levels], 2).transpose(1, 2)


@pytest.mark.parametrize("scale", ["nano", "tiny", "m"])
@pytest.mark.parametrize("size", [(320, 320), (192, 352), (64, 96)])
def test_raw_outputs_and_decoded_boxes(scale: str, size: tuple[int, int]) -> None:
    peer = peer_model(scale, 7).eval()
    ours = copied(peer, scale, 7).eval()
    x = pixels(2, size)
    with torch.no_grad():
        raw = ours(x)
        boxes, scores = ours.decode(raw)
        decoded = peer(x)
        peer.head.decode_in_inference = False
        theirs = peer(x)
    flat = their_layout(raw)
    assert relative(flat[..., :4], theirs[..., :4]) < RELATIVE
    assert relative(flat[..., 4:].sigmoid(), theirs[..., 4:]) < RELATIVE
    centre, wh = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    assert relative(torch.cat((centre, wh), -1), decoded[..., :4]) < RELATIVE
    assert relative(scores, decoded[..., 5:] * decoded[..., 4:5]) < RELATIVE


def test_heads_and_batch_norms_start_alike() -> None:
    peer, ours = oracles.yolox_model("nano", 3), build(model_spec("yolox-nano", num_classes=3), seed=0)
    theirs = dict(peer.named_parameters())
    for level in range(3):
        for branch in ("cls", "obj"):
            bias = theirs[f"head.{branch}_preds.{level}.bias"]
            assert torch.allclose(ours.get_parameter(our_key(f"head.{branch}_preds.{level}.bias")), bias)
    norms = [[m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)] for net in (peer, ours)]
    assert len(norms[0]) == len(norms[1])
    assert {(m.eps, m.momentum) for m in norms[0]} == {(m.eps, m.momentum) for m in norms[1]}


# name: image size, boxes per image, side range in pixels
CASES: dict[str, tuple[tuple[int, int], list[int], tuple[float, float]]] = {
    "square": ((320, 320), [5, 3, 8, 1], (8, 200)),
    "one without boxes": ((320, 320), [4, 0, 6], (8, 200)),
    "none at all": ((160, 160), [0, 0], (8, 100)),
    "non-square": ((192, 352), [7, 2], (8, 180)),
    "crowded": ((320, 320), [60, 40], (8, 90)),
    "tiny": ((160, 160), [12, 12], (1, 6)),
    "slivers": ((160, 160), [20, 20], (1, 150)),
    "batch of one": ((96, 128), [3], (10, 90)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("classes", [3, 1])
def test_losses_and_gradients(name: str, final: bool, classes: int) -> None:
    size, counts, sides = CASES[name]
    peer = peer_model("nano", classes).train()
    ours = copied(peer, "nano", classes).train()
    peer.head.use_l1 = final
    targets = draw(size, counts, sides, classes, seed=5)
    x = pixels(len(counts), size, seed=2)
    theirs = peer(x, oracles.yolox_targets(targets))
    theirs["total_loss"].backward()
    mine = YOLOXCriterion(ours.head)(ours(x), targets, final=final)
    (mine.total / len(counts)).backward()
    assert mine.total.item() / len(counts) == pytest.approx(theirs["total_loss"].item(), rel=RELATIVE)
    for key, name_there in PARTS.items():
        assert float(mine.parts[key]) == pytest.approx(float(theirs[name_there]), rel=RELATIVE, abs=1e-7), key
    gradients = dict(ours.named_parameters())
    largest = max(p.grad.abs().max() for p in peer.parameters())
    for key, parameter in peer.named_parameters():
        grad = gradients[our_key(key)].grad
        assert grad is not None
        assert (grad - parameter.grad).abs().max() / largest < RELATIVE, key


def perturbed(seed: int, dtype: torch.dtype, *, classes: int = 4) -> tuple[RawPredictions, Targets]:
    """A batch whose predictions lie roughly on the nearest boxes, as after some training."""
    g = torch.Generator().manual_seed(seed)
    size = ((160, 160), (96, 224), (320, 320))[seed % 3]
    most = (3, 12, 30)[seed // 3 % 3]
    counts = [int(torch.randint(0, most + 1, (), generator=g)) for _ in range(1 + seed % 4)]
    sides = ((4, 140), (2, 30))[seed // 9 % 2]
    targets = draw(size, counts, sides, classes, seed)
    levels = []
    for stride in STRIDES:
        shape = len(counts), size[0] // stride, size[1] // stride
        box = 0.3 * torch.randn(shape[0], 4, *shape[1:], generator=g, dtype=torch.float64)
        columns, rows = (torch.arange(n, dtype=torch.float64) for n in (shape[2], shape[1]))
        cells = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
        for image, count in enumerate(counts):
            if count:
                truth = targets.boxes[targets.image == image].double() / stride
                centre, wh = (truth[:, :2] + truth[:, 2:]) / 2, truth[:, 2:] - truth[:, :2]
                closest = (cells[None] + 0.5 - centre[:, :, None, None]).square().sum(1).argmin(0)
                offset, log_wh = centre[closest].permute(2, 0, 1) - cells, wh[closest].permute(2, 0, 1).log()
                box[image] += torch.cat((offset, log_wh))
        obj = torch.randn(shape[0], 1, *shape[1:], generator=g, dtype=torch.float64) - 1
        cls = 2 * torch.randn(shape[0], classes, *shape[1:], generator=g, dtype=torch.float64) - 2
        levels.append(tuple(t.to(dtype) for t in (box, obj, cls)))
    return RawPredictions(tuple(levels), STRIDES, size), targets


@contextmanager
def all_in_double() -> Iterator[None]:
    """The package casts what the class cost is made of to single precision; here that means double."""
    kept = torch.Tensor.float
    torch.Tensor.float = lambda self, *args, **kwargs: self.double()  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        torch.Tensor.float = kept  # type: ignore[method-assign]


class Theirs:
    """The package's assignment of one batch: anchor [P] into B * A, target [P], overlap [P], count."""

    def __init__(self, head: Any, raw: RawPredictions, targets: Targets) -> None:
        dtype = raw.levels[0][0].dtype
        outputs, grids, strides = [], [], []
        for index, (level, stride) in enumerate(zip(raw.levels, raw.strides, strict=True)):
            name = "torch.DoubleTensor" if dtype is torch.float64 else "torch.FloatTensor"
            output, grid = head.get_output_and_grid(torch.cat(level, 1).clone(), index, stride, name)
            outputs.append(output)
            grids.append(grid.to(dtype))
            strides.append(torch.full(grid.shape[:2], float(stride), dtype=dtype))
        self.outputs, grid, self.strides = (torch.cat(t, 1) for t in (outputs, grids, strides))
        self.x, self.y = grid.unbind(-1)
        self.shape = raw.image_size
        found = [self._image(head, targets, image) for image in range(targets.batch_size)]
        rows = [row for row in found if row is not None]
        self.anchor, self.target, self.overlap = (
            torch.cat(t) for t in zip(*(r[:3] for r in rows), strict=True)
        )
        self.count = sum(row[3] for row in rows)

    def _image(self, head: Any, targets: Targets, image: int) -> tuple[Tensor, Tensor, Tensor, int] | None:
        mine = (targets.image == image).nonzero().squeeze(1)
        if not len(mine):
            return None
        boxes, labels = targets.boxes[mine].to(self.outputs.dtype), targets.labels[mine]
        centred = torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), 1)
        boxes_there, obj, cls = self.outputs.split((4, 1, self.outputs.shape[2] - 5), 2)
        total = self.outputs.shape[1]
        _, mask, overlap, matched, count = head.get_assignments(
            *(image, len(mine), total, centred, labels.to(self.outputs.dtype), boxes_there[image]),
            *(self.strides, self.x, self.y, cls, boxes_there, obj, None, torch.zeros(1, 3, *self.shape)),
        )
        return mask.nonzero().squeeze(1) + image * total, mine[matched], overlap, count


def batches(dtype: torch.dtype) -> Iterator[tuple[int, RawPredictions, Targets]]:
    """500 batches that hold a box."""
    seed = found = 0
    while found < 500:
        raw, targets = perturbed(seed, dtype)
        if len(targets.labels):
            yield seed, raw, targets
            found += 1
        seed += 1


def test_simota_equals_the_package_on_500_batches_in_double() -> None:
    head, criterion = oracles.yolox_model("nano", 4).head, YOLOXCriterion()
    positives = 0
    for seed, raw, targets in batches(torch.float64):
        with all_in_double():
            theirs = Theirs(head, raw, targets)
        mine = criterion.assign_raw(raw, targets)
        assert torch.equal(mine.anchor, theirs.anchor), seed
        assert torch.equal(mine.target, theirs.target), seed
        torch.testing.assert_close(mine.overlap, theirs.overlap, rtol=1e-12, atol=1e-14)
        assert mine.anchor.numel() == theirs.count, seed
        positives += theirs.count
    assert positives > 30_000


def cost(theirs: Theirs, targets: Targets, anchor: int, target: int) -> float:
    """What a box pays for an anchor, from the formula of the paper on the package's decoded outputs."""
    row = theirs.outputs.flatten(0, 1)[anchor].double()
    centre, half, logits = row[:2], row[2:4] / 2, row[4:]
    predicted, truth = torch.cat((centre - half, centre + half)), targets.boxes[target].double()
    share = (logits[0].sigmoid() * logits[1:].sigmoid()).sqrt()
    right = torch.nn.functional.one_hot(targets.labels[target], len(share)).double()
    entropy = torch.nn.functional.binary_cross_entropy(share, right, reduction="sum")
    column = anchor % theirs.outputs.shape[1]
    stride = theirs.strides[0, column].double()
    place = (torch.stack((theirs.x[0, column], theirs.y[0, column])) + 0.5) * stride
    gap = (place - (truth[:2] + truth[2:]) / 2).abs().max()
    near = gap < 2.5 * stride and bool(((place > truth[:2]) & (place < truth[2:])).all())
    overlap = box_iou(predicted[None], truth[None])[0, 0]
    return float(entropy - 3 * (overlap + 1e-8).log()) + 1e5 * (not near)


def largest_gap(mine: Any, theirs: Theirs, targets: Targets) -> tuple[int, float]:
    """Anchors of theirs that ours gives elsewhere, and the largest difference of cost behind one of them."""
    ours, other = ({*zip(a.anchor.tolist(), a.target.tolist(), strict=True)} for a in (mine, theirs))
    gaps = [0.0]
    for anchor, target in other - ours:
        rivals = [pair for pair in ours - other if target == pair[1] or anchor == pair[0]]
        assert rivals, "a box holds fewer anchors than it should"
        paid = cost(theirs, targets, anchor, target)
        gaps.append(min(abs(paid - cost(theirs, targets, *pair)) for pair in rivals))
    return len(other - ours), max(gaps)


def test_simota_in_single_precision_differs_only_where_costs_tie() -> None:
    """From the package in double: where costs lie within 1e-5. From itself in single: by its own rounding.

    The package adds its surcharge of 1e5 in single precision, where neighbours are 1 / 128 apart.
    """
    head, criterion = oracles.yolox_model("nano", 4).head, YOLOXCriterion()
    positives = off_double = off_single = 0
    for _, raw, targets in batches(torch.float32):
        mine = criterion.assign_raw(raw, targets)
        wide = tuple(tuple(t.double() for t in level) for level in raw.levels)
        with all_in_double():
            truth = Theirs(head, RawPredictions(wide, STRIDES, raw.image_size), targets)
        moved, gap = largest_gap(mine, truth, targets)
        assert gap < 1e-5
        off_double += moved
        moved, gap = largest_gap(mine, Theirs(head, raw, targets), targets)
        assert gap < 1 / 128
        off_single += moved
        positives += truth.count
    assert off_double <= 1e-4 * positives
    assert off_single <= 1e-3 * positives


def test_recorded_totals_match_the_installed_package() -> None:
    oracle = ROOT.parent / "shared" / "oracles" / "params_yolox.json"
    if not oracle.is_file():
        pytest.skip("no recorded oracle beside the project")
    recorded = json.loads(oracle.read_text(encoding="utf-8"))
    assert sum(p.numel() for p in peer_model("nano", 80).parameters()) == recorded["yolox_nano"]["params"]
