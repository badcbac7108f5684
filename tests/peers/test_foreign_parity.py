"""Files written by the published packages, read here: the same detections, grafted as the identity or not.

Each package saves a file its own way: ultralytics by its `save`, yolov5 as a dictionary with the module
inside, yolox as a dictionary with the state dict. The package's own network stands on one side, `import_file`
on the other, both on the same input tensor.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from oracles import disturb_statistics, yolov5_model, yolox_model
from yolograft.data.convert import convert
from yolograft.data.eval_stream import EvalStream
from yolograft.data.records import Dataset
from yolograft.data.shapes import shapes
from yolograft.data.source import open_dataset
from yolograft.engine.evaluate import EvalSettings, detect, evaluate
from yolograft.engine.foreignfolder import Imported, import_file
from yolograft.errors import MAX_LINE, CheckpointError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.metrics.coco import evaluate_coco
from yolograft.models.build import build
from yolograft.models.detector import Detector
from yolograft.models.weights import kept_weights, prove_identity
from yolograft.ops.nms import candidates, suppress

pytestmark = pytest.mark.peers
CLASSES = 5
FIVE_SITES = "se:init=identity@backbone.p3,backbone.p5,neck.p3,neck.p4,neck.p5"
LEAST_SCORE, PIXELS, SCORES = 0.05, 0.01, 1e-3

Decoded = tuple[Tensor, Tensor]


class Peer(NamedTuple):
    """A package's network, its file, and its answer as boxes xyxy [B, A, 4] and scores [B, A, C]."""

    model: Any
    file: Path
    tensors: int
    decoded: Callable[[Tensor], Decoded]
    pixels: float  # of the largest input value


def corners(boxes: Tensor) -> Tensor:
    centre, half = boxes[..., :2], boxes[..., 2:4] / 2
    return torch.cat((centre - half, centre + half), -1)


def with_objects(rows: Tensor) -> Decoded:
    """[B, A, 4 + 1 + C]: box, objectness, classes."""
    return corners(rows), rows[..., 4:5] * rows[..., 5:]


def excite(model: nn.Module) -> None:
    """Scores all over 0..1, so that there are detections to compare."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim == 1 and name.endswith("bias") and ".bn." not in name:
                value.copy_(torch.randn(value.shape, generator=generator))


def ultralytics_peer(folder: Path) -> Peer:
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = tasks.DetectionModel("yolov8n.yaml", nc=CLASSES, verbose=False)
    disturb_statistics(model)
    excite(model)
    model.names = dict(enumerate("abcde"))
    model.args = {"task": "detect", "model": "yolov8n.yaml"}
    whole = YOLO("yolov8n.yaml", verbose=False)
    whole.model = model
    file = folder / "best.pt"
    whole.save(file)
    # The file is in half precision; the package reads it back as that, widened.
    model = model.half().float().eval()

    def decoded(x: Tensor) -> Decoded:
        rows = model(x)[0].transpose(1, 2)
        return corners(rows), rows[..., 4:]

    return Peer(model, file, 355, decoded, 1.0)


def yolov5_peer(folder: Path) -> Peer:
    if importlib.util.find_spec("yolov5") is None:
        pytest.skip("yolov5 is not installed")
    torch.manual_seed(0)
    model = yolov5_model("n", CLASSES)
    disturb_statistics(model)
    excite(model)
    model.names = list("abcde")
    file = folder / "best.pt"
    torch.save({"epoch": 3, "model": model.half(), "ema": None, "optimizer": None}, file)
    model = model.float().eval()
    return Peer(model, file, 349, lambda x: with_objects(model(x)[0]), 1.0)


def yolox_peer(folder: Path) -> Peer:
    pytest.importorskip("yolox")
    torch.manual_seed(0)
    model = yolox_model("nano", CLASSES)
    disturb_statistics(model)
    excite(model)
    file = folder / "latest_ckpt.pth"
    torch.save({"start_epoch": 3, "model": model.state_dict(), "optimizer": None}, file)
    model = model.eval()
    return Peer(model, file, 642, lambda x: with_objects(model(x)), 255.0)


PEERS = {"yolov8n": ultralytics_peer, "yolov5n": yolov5_peer, "yolox-nano": yolox_peer}


@pytest.fixture(scope="module", params=PEERS)
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    return PEERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def imported(peer: Peer) -> Imported:
    return import_file(peer.file)


def grafted(imported: Imported, expression: str) -> Detector:
    net = build(graft(imported.stored.spec, parse_graft(expression)), seed=7)
    kept, report = kept_weights(net, imported.stored.tensors, num_classes=CLASSES)
    assert not report.missing
    net.load_state_dict({**net.state_dict(), **kept})
    return net.eval()


def noise(peer: Peer, size: tuple[int, int]) -> Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(3)) * peer.pixels


@torch.no_grad()
def assert_same_detections(ours: Detector, peer: Peer, x: Tensor) -> None:
    boxes, scores = ours.decode(ours(x))
    their_boxes, their_scores = peer.decoded(x)
    seen = (torch.maximum(scores, their_scores) >= LEAST_SCORE).any(-1)
    assert seen.sum() > 100
    assert (boxes - their_boxes)[seen].abs().max() < PIXELS
    assert (scores - their_scores)[seen].abs().max() < SCORES
    for row in range(len(x)):
        pairs = ((boxes[row], scores[row]), (their_boxes[row], their_scores[row]))
        offers = (candidates(*pair, confidence=LEAST_SCORE) for pair in pairs)
        mine, theirs = (suppress(offer, confidence=LEAST_SCORE) for offer in offers)
        assert matched_one_to_one(mine, theirs) and len(mine.scores) > 0


def matched_one_to_one(mine: Any, theirs: Any) -> bool:
    """Every detection has one of its own on the other side, within a hundredth of a pixel and 1e-3."""
    if len(mine.scores) != len(theirs.scores):
        return False
    free = torch.ones(len(theirs.scores), dtype=torch.bool)
    for box, score, label in zip(*mine, strict=True):
        near = (theirs.boxes - box).abs().amax(1) < PIXELS
        near &= (theirs.scores - score).abs() < SCORES
        near &= (theirs.labels == label) & free
        if not near.any():
            return False
        free[near.nonzero()[0]] = False
    return True


def test_every_tensor_is_kept(peer: Peer, imported: Imported) -> None:
    report = imported.placed.report
    assert report.line() == f"kept {peer.tensors} of {peer.tensors} tensors"
    assert imported.placed.fits and not imported.placed.against
    assert len(peer.model.state_dict()) == peer.tensors
    state = build(imported.stored.spec).state_dict()
    assert imported.stored.tensors.keys() == state.keys()


def test_what_the_file_says_of_itself(peer: Peer, imported: Imported) -> None:
    stored = imported.stored
    assert stored.spec.num_classes == CLASSES
    origin = stored.about["origin"]
    assert origin["file"] == peer.file.name and not origin["forced"]
    if stored.spec.family == "yolox":
        assert stored.names == tuple("01234") and origin["names_from"] == "numbers"
    else:
        assert stored.names == tuple("abcde") and origin["names_from"] == "file"
    if stored.spec.family == "yolov8":
        assert "AGPL" in origin["licence"]
        assert origin["tool"].startswith("ultralytics 8.")


@pytest.mark.parametrize("size", [(320, 320), (192, 352)])
def test_the_same_detections(peer: Peer, imported: Imported, size: tuple[int, int]) -> None:
    assert_same_detections(imported.stored.detector(), peer, noise(peer, size))


def test_the_same_detections_with_identity_grafts_at_five_sites(peer: Peer, imported: Imported) -> None:
    net, base = grafted(imported, FIVE_SITES), imported.stored.detector()
    assert prove_identity(base, net, imgsz=(128, 160)).holds
    assert_same_detections(net, peer, noise(peer, (320, 320)))


def test_the_published_form_is_seen_to_differ(peer: Peer, imported: Imported) -> None:
    """The fault this file guards against, planted: the comparison catches it."""
    net = grafted(imported, FIVE_SITES.replace(":init=identity", ""))
    with pytest.raises(AssertionError):
        assert_same_detections(net, peer, noise(peer, (320, 320)))


@pytest.mark.parametrize("name", ["yolo11n", "yolov5n", "yolov8n-seg"])
def test_what_only_looks_alike_is_refused(name: str, tmp_path: Path) -> None:
    """YOLO11, YOLOv5 with the head of YOLOv8 (their `yolov5nu`), a segmentation model: one line."""
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    kind = tasks.SegmentationModel if name.endswith("-seg") else tasks.DetectionModel
    model = kind(f"{name}.yaml", nc=CLASSES, verbose=False)
    file = tmp_path / f"{name}.pt"
    torch.save({"model": model.half()}, file)
    with pytest.raises(CheckpointError) as caught:
        import_file(file)
    assert caught.value.code in ("YG440", "YG441") and len(caught.value.line()) <= MAX_LINE


# --- trained by the package itself


class Theirs(nn.Module):
    """A package's network in the place of a detector of ours, for the same evaluator."""

    def __init__(self, model: nn.Module, decoded: Callable[[Tensor], Decoded]) -> None:
        super().__init__()
        self.model, self.decoded = model, decoded

    def normalise(self, images: Tensor) -> Tensor:
        return images.float() / 255

    def forward(self, x: Tensor) -> SimpleNamespace:
        boxes, scores = self.decoded(x)
        # As one level that holds every anchor.
        return SimpleNamespace(decoded=(boxes, scores), levels=((boxes[:, None, :, 0],),))

    def decode(self, raw: SimpleNamespace) -> Decoded:
        return raw.decoded

    def densities(self) -> None:
        return None


def trained_by_ultralytics(dataset: Dataset, folder: Path, *, epochs: int, imgsz: int) -> Path:
    pytest.importorskip("ultralytics")
    from ultralytics import YOLO

    convert(dataset, to="yolo", out=folder / "data", images="copy")
    model = YOLO("yolov8n.yaml", verbose=False)
    options = {"epochs": epochs, "imgsz": imgsz, "batch": 8, "workers": 0, "device": "cpu", "plots": False}
    config = next((folder / "data").glob("*.yaml"))
    model.train(data=str(config), project=str(folder), name="run", verbose=False, amp=False, **options)
    return next(folder.rglob("last.pt"))


def assert_same_ap(file: Path, dataset: Dataset, imgsz: int) -> tuple[list[float], int]:
    """The AP of their network, of ours, of ours grafted; and how many detections of theirs were matched."""
    from ultralytics import YOLO

    model: Any = YOLO(file).model
    model.float().eval()

    def decoded(x: Tensor) -> Decoded:
        rows = model(x)[0].transpose(1, 2)
        return corners(rows), rows[..., 4:]

    stored = import_file(file).stored
    assert stored.names == dataset.names and stored.imgsz == (imgsz, imgsz)
    split = next(name for name in ("val", "test") if name in dataset.splits)
    stream = EvalStream(dataset.split(split), imgsz=(imgsz, imgsz), batch=8)
    net = build(graft(stored.spec, parse_graft(FIVE_SITES)), seed=7)
    kept, _ = kept_weights(net, stored.tensors, num_classes=stored.spec.num_classes)
    net.load_state_dict({**net.state_dict(), **kept})
    scores, found = [], []
    for network in (Theirs(model, decoded).eval(), stored.detector(), net.eval()):
        table = evaluate(network, stream, fingerprint="x")  # type: ignore[arg-type]
        scores.append(evaluate_coco(stream.records, table, dataset.names).ap or 0.0)
        seen = EvalSettings(confidence=LEAST_SCORE)
        found.append(detect(network, stream, images=len(stream.records), settings=seen))  # type: ignore[arg-type]
    assert max(abs(score - scores[0]) for score in scores) <= 0.001
    for ours in found[1:]:
        assert all(matched_one_to_one(mine, theirs) for mine, theirs in zip(ours, found[0], strict=True))
    return scores, sum(len(theirs.scores) for theirs in found[0])


@pytest.mark.slow
def test_a_file_of_their_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = shapes(train=16, val=8, size=64)
    assert_same_ap(trained_by_ultralytics(dataset, tmp_path, epochs=2, imgsz=64), dataset, 64)


@pytest.mark.slow
@pytest.mark.datasets
def test_five_epochs_on_bccd(
    shared_datasets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = open_dataset(str(shared_datasets / "bccd"))
    file = trained_by_ultralytics(dataset, tmp_path, epochs=5, imgsz=320)
    scores, matched = assert_same_ap(file, dataset, 320)
    record_property("ap", scores)
    record_property("matched", matched)
    # A network that finds nothing would be equal to anything.
    assert matched > 100 and scores[0] > 0
