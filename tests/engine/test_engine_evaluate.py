"""One path from a detector to detections; devices, memory and precision."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_runs import tiny_recipe

from yolograft.data.eval_stream import EvalStream
from yolograft.data.records import ImageRecord
from yolograft.data.shapes import shapes
from yolograft.engine.arm import Arm
from yolograft.engine.device import environment, open_fabric, places, resolve_precision
from yolograft.engine.evaluate import EvalSettings, detect, evaluate
from yolograft.engine.memory import Need, arms_per_group, free_bytes, keep_freed_memory, need_of
from yolograft.engine.predict import find_images, predict_files
from yolograft.engine.recipe import Recipe
from yolograft.errors import DataError, MachineError
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector

NAMES = ("circle", "方", "a", "b", "c")


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Untrained, with its class bias raised so that it finds something everywhere."""
    made = build(model_spec("yolov8n", num_classes=5)).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.startswith("layers.head.cls") and name.endswith("bias") and parameter.shape == (5,):
                parameter.copy_(torch.tensor([-2.0, 0.5, -9.0, -1.0, -30.0]))
    return made


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRecord]:
    """Images of odd and different sizes, one of a single pixel column."""
    folder, made = tmp_path_factory.mktemp("images"), []
    scene = cv2.imread(str(shapes(train=8, val=4, size=64).split("val")[0].path))
    for number, (h, w) in enumerate([(64, 64), (48, 97), (131, 40), (64, 64), (7, 1), (33, 90)]):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), cv2.resize(scene, (w, h)))
        none = np.zeros(0)
        made.append(
            ImageRecord(
                path.name, path, h, w, np.zeros((0, 4)), none.astype(int), none.astype(bool), none, 0, ()
            )
        )
    return made


def test_boxes_lie_in_their_own_image(detector: Detector, records: list[ImageRecord]) -> None:
    stream = EvalStream(records, imgsz=(64, 96), batch=4, stride=detector.stride)
    found = detect(detector, stream, images=len(records))
    for each, record in zip(found, records, strict=True):
        assert 0 < len(each.scores) <= 300
        assert (each.scores.diff() <= 0).all() and (each.scores >= 0.001).all()
        low, high = each.boxes.amin(0), each.boxes.amax(0)
        assert low.min() >= 0 and high[0::2].max() <= record.width and high[1::2].max() <= record.height
    # Equal images get equal detections wherever they stand.
    assert torch.allclose(found[0].boxes, found[3].boxes, atol=1e-3)


def test_evaluation_leaves_the_mode_and_the_weights(detector: Detector, records: list[ImageRecord]) -> None:
    before = {k: v.clone() for k, v in detector.state_dict().items()}
    detector.train()
    stream = EvalStream(records, imgsz=(64, 64), batch=4)
    table = evaluate(detector, stream, fingerprint="f", settings=EvalSettings(confidence=0.3, limit=7))
    assert detector.training and table.fingerprint == "f" and table.images == len(records)
    assert table.settings == {"confidence": 0.3, "iou": 0.7, "limit": 7}
    assert np.bincount(table.image).max() <= 7 and table.score.min() >= 0.3
    detector.eval()
    assert all(torch.equal(before[k], v) for k, v in detector.state_dict().items())


def test_predict_takes_the_path_of_evaluation(
    detector: Detector, records: list[ImageRecord], tmp_path: Path
) -> None:
    stream = EvalStream(records, imgsz=(64, 96), batch=1)
    found = detect(detector, stream, images=len(records))
    confidence = 0.35
    paths = [record.path for record in records]
    answers = predict_files(
        detector, paths, names=NAMES, imgsz=(64, 96), confidence=confidence, folder=tmp_path
    )
    assert json.loads((tmp_path / "detections.json").read_text(encoding="utf-8")) == answers
    total = 0
    for answer, each, record in zip(answers, found, records, strict=True):
        keep = each.scores >= confidence
        total += int(keep.sum())
        got = answer["detections"]
        assert (answer["height"], answer["width"]) == (record.height, record.width)
        assert [d["score"] for d in got] == each.scores[keep].tolist()
        assert [d["label"] for d in got] == each.labels[keep].tolist()
        assert [d["box"] for d in got] == each.boxes[keep].tolist()
        assert [d["name"] for d in got] == [NAMES[k] for k in each.labels[keep].tolist()]
        assert cv2.imread(str(tmp_path / answer["picture"])).shape == (record.height, record.width, 3)
    assert total > 20


def test_images_are_found_in_order(records: list[ImageRecord]) -> None:
    folder = records[0].path.parent
    assert find_images([folder]) == [record.path for record in records]
    assert find_images([records[2].path, folder])[0] == records[2].path
    for sources in ([], [folder / "none.png"]):
        with pytest.raises(DataError, match="YG340"):
            find_images(sources)


@pytest.mark.parametrize("device", ["gpu", "", "0,", "cuda:0", "-1", "99", "0,99"])
def test_a_device_that_is_not_there(device: str) -> None:
    for ask in (places, lambda d: resolve_precision(Recipe(), d), lambda d: open_fabric(d, "fp32")):
        with pytest.raises(MachineError, match="YG701"):
            ask(device)


def test_precision_is_what_was_asked() -> None:
    assert resolve_precision(Recipe(precision="bf16"), "cpu") == "bf16"
    assert resolve_precision(Recipe(), "cpu") in ("fp32", "bf16")
    facts = environment("cpu", "fp32")
    assert facts["threads"] == torch.get_num_threads() and facts["device"] == "cpu"


def test_arms_are_grouped_by_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")
    assert free_bytes(device) > 0 and isinstance(keep_freed_memory(), bool)
    # Ten arms of 1 GB, of which one holds 4 images of 1 GB each; a fifth of the memory stays free.
    needs = [Need(1e9, 0.5e9)] * 9 + [Need(0.1e9, 1e9)]
    for free, most in ((10**12, 10), (0, 1), (10e9, 4), (15e9, 8)):
        monkeypatch.setattr("yolograft.engine.memory.free_bytes", lambda _, free=free: free)
        assert arms_per_group(needs, 4, device) == most
    # A teacher of 3 GB is held once, whoever learns from it.
    for pupils in (1, 9):
        taught = [replace(need, shared=3e9) for need in needs[:pupils]] + needs[pupils:]
        assert arms_per_group(taught, 4, device) == 5


def test_what_a_step_holds_is_counted_family_by_family() -> None:
    """Bytes a pixel kept for the backward pass: YOLOX-nano has fewer parameters and keeps more."""
    counted = {}
    for model in ("yolov8n", "yolox-nano"):
        need = need_of(Arm("a", model_spec(model, num_classes=80)), tiny_recipe())
        counted[model] = need.image / 64**2 / 1.5
    assert counted["yolov8n"] == pytest.approx(465, rel=0.05)
    assert counted["yolox-nano"] == pytest.approx(614, rel=0.05)
