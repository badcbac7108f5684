"""From raw maps to candidates and on: levels, several sizes, calibration, comparison over images."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from scipy.stats import t

from yolograft.cli.eval_verb import _groups
from yolograft.cli.nms_table import Reading, say_comparison
from yolograft.data.eval_stream import EvalStream
from yolograft.data.images import centred
from yolograft.data.records import Dataset
from yolograft.data.shapes import shapes
from yolograft.engine import evaluate as evaluate_file
from yolograft.engine.calibrate import calibrated, fitting_images, level_offsets
from yolograft.engine.candidates import Scene, level_of_anchor, merged, on_cpu, scenes
from yolograft.engine.evaluate import EvalSettings, evaluate
from yolograft.errors import SpecError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.influence import influence
from yolograft.metrics.matches import build_match_table
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector
from yolograft.ops.nms import Candidates, suppress
from yolograft.ops.suppression.table import read_suppressions
from yolograft.study.statistics.same_weights import difference_over_images
from yolograft.study.suppressions import Asked, Subject, _judged, _Row, compare_suppressions
from yolograft.types import Detections


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Untrained, with its class bias raised so that it finds something everywhere."""
    made = build(model_spec("yolov8n", num_classes=5)).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.startswith("layers.head.cls") and name.endswith("bias") and parameter.shape == (5,):
                parameter.copy_(torch.tensor([-3.0, -1.0, -9.0, -2.0, -4.0]))
    return made


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shapes(train=8, val=24, size=64)


def test_settings_of_a_hard_run_are_written_as_ever() -> None:
    assert json.dumps(EvalSettings().to_json()) == '{"confidence": 0.001, "iou": 0.7, "limit": 300}'
    assert EvalSettings(nms="diou").to_json()["nms"] == "diou"


@pytest.mark.parametrize("model", ["yolov8n", "yolov5n", "yolox-nano"])
def test_every_anchor_knows_its_level(model: str) -> None:
    """The sides of a cell's box grow with its level: decode and the levels have one order."""
    net = build(model_spec(model, num_classes=2)).eval()
    with torch.no_grad():
        raw = net(torch.zeros(1, 3, 64, 96))
        boxes, _ = net.decode(raw)
    level = level_of_anchor(raw, boxes.shape[1])
    per_cell = 3 if model == "yolov5n" else 1
    assert torch.bincount(level).tolist() == [96 * per_cell, 24 * per_cell, 6 * per_cell]
    centres = (boxes[0, :, :2] + boxes[0, :, 2:]) / 2
    # Centres of neighbours are a stride apart, whatever an untrained head says of the box.
    for k, stride in enumerate((8, 16, 32)):
        span = centres[level == k].amax(0) - centres[level == k].amin(0)
        assert bool((span - torch.tensor([96.0 - stride, 64.0 - stride])).abs().max() < stride)


def a_scene(
    index: int, scores: list[float], levels: list[int], box: tuple[float, ...] = (0, 0, 4, 4)
) -> Scene:
    count = len(scores)
    boxes = torch.tensor([box] * count, dtype=torch.float32)
    zeros = torch.zeros(count, dtype=torch.long)
    plain = centred((32, 32), (32, 32), (32, 32))
    return Scene(index, Candidates(boxes, torch.tensor(scores), zeros, zeros), torch.tensor(levels), 3, plain)


def test_passes_at_several_sizes_meet_in_original_pixels() -> None:
    half = a_scene(0, [0.3, 0.6], [0, 1])._replace(letterbox=centred((16, 16), (8, 8), (12, 8)))
    whole = a_scene(0, [0.5], [1], (1.0, 1.0, 5.0, 5.0))
    (found,) = merged([[half], [whole]])
    assert found.found.density is None
    assert found.found.scores.tolist() == pytest.approx([0.6, 0.5, 0.3])
    assert found.found.boxes.tolist() == [[0, -4, 8, 4], [1, 1, 5, 5], [0, -4, 8, 4]]
    assert found.to_original(found.found.boxes)[0].tolist() == [0, 0, 8, 4]
    # Three levels a size, seen or not.
    assert found.level.tolist() == [1, 4, 0] and found.levels == 6


def test_boxes_over_the_edge_are_suppressed_whole_and_clipped_after() -> None:
    """Both reach left out of the picture, one ten times as far: clipped first, they would be one box."""
    over = a_scene(0, [0.5, 0.4], [0, 0])
    boxes = torch.tensor([[-2.0, 0.0, 4.0, 4.0], [-56.0, 0.0, 4.0, 4.0]])
    over = over._replace(found=over.found._replace(boxes=boxes))
    (found,) = merged([[over], [over]])
    kept = suppress(found.found, method=read_suppressions("hard")[0], iou=0.5)
    assert kept.boxes.tolist() == boxes.tolist()
    assert found.to_original(kept.boxes).tolist() == [[0, 0, 4, 4], [0, 0, 4, 4]]


def test_an_offset_makes_a_level_as_right_as_it_says() -> None:
    """Level 0 says .5 and is right in 3 of 4, level 1 says .5 and never is, level 2 offers nothing."""
    hit, miss = np.array([[0.0, 0.0, 4.0, 4.0]]), np.array([[20.0, 20.0, 24.0, 24.0]])
    records = [
        SimpleNamespace(boxes=boxes, labels=np.array([0]), crowd=np.array([False]))
        for boxes in (hit, hit, hit, miss)
    ]
    found = [a_scene(i, [0.5], [0]) for i in range(4)] + [a_scene(3, [0.5, 0.5], [1, 1])]
    offsets = level_offsets(found, records)  # type: ignore[arg-type]
    assert offsets == pytest.approx([logit(3.5 / 5), logit(0.5 / 3), 0.0])
    moved = calibrated(a_scene(0, [0.2, 0.9, 0.4], [1, 0, 2]), offsets).found.scores
    assert moved.tolist() == pytest.approx(
        [expit(logit(0.2) + offsets[1]), expit(logit(0.9) + offsets[0]), 0.4]
    )
    assert len(fitting_images(list(range(2500)))) == 1000  # type: ignore[arg-type]
    assert fitting_images([3, 4]) == [3, 4] and level_offsets([], []) == ()  # type: ignore[list-item]


def test_the_interval_over_images() -> None:
    """t over paired influences; nothing with fewer than 20 images; none where nothing changed."""
    psi = np.tile([1.0, -1.0], 20)
    found = difference_over_images(0 * psi, psi, delta=0.5)
    half = 2.0226909 * np.sqrt(40 / 39) / np.sqrt(40)
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), rel=1e-6)
    shared = difference_over_images(0 * psi, psi, delta=0.5, comparisons=5)
    assert shared.level == pytest.approx(0.99) and shared.high > found.high
    assert difference_over_images(psi, psi, delta=0.0)[1:3] == (0.0, 0.0)
    assert np.isnan(difference_over_images(psi[:19], psi[:19], delta=0.0).low)


def test_ways_are_compared_on_the_same_candidates(
    detector: Detector, data: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = read_suppressions("hard,cluster,soft,weighted")
    found = compare_suppressions(Subject(detector, data, "val", (64, 64), batch=8), Asked(methods))
    assert [row["nms"] for row in found["rows"]] == ["hard", "cluster", "soft", "weighted"]
    # Two intervals a row, AP and AP50: six hold together at 95 %.
    assert found["level"] == pytest.approx(1 - 0.05 / 6) and found["images"] == 24
    json.dumps(found, allow_nan=False)
    hard, cluster, soft, _ = found["rows"]
    assert cluster["difference"]["ap"] == {"delta": 0.0, "low": 0.0, "high": 0.0}
    assert soft["difference"]["ap"]["delta"] == pytest.approx(soft["ap"] - hard["ap"])
    assert "difference" not in hard and all(row["ms"] > 0 for row in found["rows"])
    assert found["groups"] is None
    say_comparison(found)
    assert "images taken as independent" in " ".join(capsys.readouterr().out.split())


def test_images_of_one_group_are_one_unit(data: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    """The interval is that of the summed influences; fewer than 20 groups give none."""
    records = data.split("val")
    found = [
        Detections(torch.tensor(r.boxes).float(), torch.ones(len(r.boxes)), torch.tensor(r.labels))
        for r in records
    ]
    missed = [one if i % 3 else Detections(*(part[1:] for part in one)) for i, one in enumerate(found)]
    rows = [_Row({"nms": name}, boxes, 0.0) for name, boxes in (("all", found), ("some", missed))]

    def difference(groups: list[int] | None) -> dict[str, float]:
        return _judged(rows, records, data.names, "", groups)["rows"][1]["difference"]["ap"]

    matches = [
        build_match_table(
            records, DetectionTable.from_lists(row.found, settings={}, fingerprint=""), len(data.names)
        )
        for row in rows
    ]
    psi = 100 * (influence(matches[1]) - influence(matches[0]))
    groups = [0, 0, 0, 0, *range(1, 21)]
    sums = [21 / 24 * sum(psi[i] for i in range(24) if groups[i] == g) for g in range(21)]
    half = t.ppf(1 - 0.05 / 4, 20) * np.std(sums, ddof=1) / np.sqrt(21)
    alone, some = difference(None), difference(groups)
    assert alone["delta"] < -1 and some["high"] - some["low"] == pytest.approx(2 * half)
    assert difference(list(range(24))) == pytest.approx(alone) and some["low"] != pytest.approx(alone["low"])
    pairs = difference([i // 2 for i in range(24)])
    assert pairs == {"delta": alone["delta"], "low": None, "high": None}
    asked = {"rows": [], "images": 24, "offsets": [], "level": 0.975}
    told = {
        20: "new groups of images like these 20 under these weights;",
        12: "fewer than 20 groups of images",
    }
    told |= {None: "new images like these 24 under these weights, images taken as independent;"}
    for count, words in told.items():
        say_comparison(asked | {"groups": count})
        assert words in " ".join(capsys.readouterr().out.split())


def test_the_groups_are_those_of_the_run_and_of_its_images() -> None:
    manifest = {"groups": {"count": 2, "of": "0 0 1"}, "data": {"eval": {"fingerprint": "f"}}}
    assert _groups(manifest, "f") == (0, 0, 1)
    assert (
        _groups(manifest, "g") is None
        and _groups({"groups": None}, "f") is None
        and _groups(None, "f") is None
    )


@pytest.mark.parametrize(("nms", "moved"), [("hard", 0), ("weighted", 2), ("soft", 2)])
def test_what_sums_over_boxes_does_so_on_the_cpu(
    nms: str, moved: int, detector: Detector, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Candidates] = []
    monkeypatch.setattr(evaluate_file, "on_cpu", lambda found: seen.append(found) or on_cpu(found))
    stream = EvalStream(data.split("val")[:2], imgsz=(64, 64), batch=8)
    assert len(evaluate(detector, stream, fingerprint="", settings=EvalSettings(nms=nms))) > 0
    assert len(seen) == moved


def test_the_first_row_is_what_plain_evaluation_says(detector: Detector, data: Dataset) -> None:
    from yolograft.study.scores import score_table

    stream = EvalStream(data.split("val"), imgsz=(64, 64), batch=8)
    table = evaluate(detector, stream, fingerprint="", settings=EvalSettings(nms="soft"))
    assert table.settings["nms"] == "soft"
    asked = Asked(read_suppressions("soft"), ((64, 64), (96, 96)), "train")
    subject = Subject(detector, data, "val", (64, 64), batch=8)
    found = compare_suppressions(subject, asked)
    plain, several = found["rows"]
    scores = score_table(stream.records, table, data.names)
    assert {key: plain[key] for key in scores} == scores
    assert several["sizes"] == [[64, 64], [96, 96]] and several["calibrated"]
    assert len(found["offsets"]) == 6
    with pytest.raises(SpecError, match="YG374"):
        compare_suppressions(subject, Asked(read_suppressions("hard"), (), "valid"))


def test_density_must_be_predicted(detector: Detector, data: Dataset) -> None:
    detector.train()
    stream = EvalStream(data.split("val")[:1], imgsz=(64, 64), batch=8)
    with pytest.raises(SpecError, match="YG370"):
        evaluate(detector, stream, fingerprint="", settings=EvalSettings(nms="adaptive"))
    assert detector.training
    detector.eval()
    only = list(scenes(detector, stream))
    assert only[0].found.density is None and len(only[0].level) == len(only[0].found.scores) > 0


@pytest.mark.parametrize("model", ["yolov8n", "yolov5n"])
def test_predicted_density_reaches_its_candidates(model: str, data: Dataset) -> None:
    spec = graft(model_spec(model, num_classes=5), parse_graft("density@neck.p3,neck.p5"))
    net = build(spec).eval()
    stream = EvalStream(data.split("val")[:2], imgsz=(64, 64), batch=8)
    for scene in scenes(net, stream, confidence=1e-6):
        density = scene.found.density
        assert density is not None and density.shape == scene.found.scores.shape
        # Nothing predicts it on the middle level.
        assert bool((density[scene.level == 1] == 0).all()) and bool((density[scene.level != 1] > 0).all())
    how = EvalSettings(confidence=1e-6, nms="adaptive")
    assert len(evaluate(net, stream, fingerprint="", settings=how)) > 0


@pytest.mark.parametrize("scales", ["64", "64,64", "64,100", "64,x", "", "64,-96", "64,,96"])
def test_sizes_that_are_none(scales: str) -> None:
    with pytest.raises(SpecError, match="YG373"):
        Reading(scales=scales).asked(32)


def test_what_is_asked_for() -> None:
    asked = Reading(nms="diou", scales="64, 96").asked(32)
    assert asked.sizes == ((64, 64), (96, 96)) and asked.calibrate is None
    assert [m.text() for m in Reading().asked(32).methods] == ["hard"]
    assert Reading(calibrate_levels="").asked(32).calibrate == ""
    with pytest.raises(SpecError, match="YG371"):
        Reading(nms="").asked(32)
