"""Somebody else's weights land in the layers they are of, whatever was put in between, or it is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from theirs import attributed, numbered, rows_of, scrambled, state_of
from torch import Tensor

from yolograft.errors import MAX_LINE, CheckpointError
from yolograft.models.build import model_spec
from yolograft.models.detector import Detector
from yolograft.models.foreign.place import Placed, place
from yolograft.models.foreign.read import ForeignCheckpoint

# Tensors of the published models, counters and anchors included, as `len(state_dict())` gives them.
COUNTS = {"yolov8n": 355, "yolov5n": 349, "yolox-nano": 642, "yolox-tiny": 462}


def placed(tensors: dict[str, Tensor], **facts: Any) -> Placed:
    return place(ForeignCheckpoint(Path("best.pt"), "0" * 64, tensors, "unknown", (), facts))


@pytest.fixture(scope="module")
def nets() -> dict[str, Detector]:
    return {name: scrambled(model_spec(name, num_classes=3)) for name in COUNTS}


def assert_equal_weights(found: Placed, net: Detector) -> None:
    state = net.state_dict()
    assert found.tensors.keys() == state.keys()
    wrong = [key for key, value in state.items() if not torch.equal(found.tensors[key], value)]
    assert not wrong, wrong


@pytest.mark.parametrize("name", COUNTS)
def test_every_tensor_lands(nets: dict[str, Detector], name: str) -> None:
    found = placed(state_of(nets[name]))
    assert found.spec == nets[name].spec and found.fits
    assert found.report.line() == f"kept {COUNTS[name]} of {COUNTS[name]} tensors"
    assert_equal_weights(found, nets[name])


@pytest.mark.parametrize("name", ["yolov8n", "yolov5n", "yolox-nano"])
@pytest.mark.parametrize("classes", [1, 80, 101])
def test_the_number_of_classes_is_read_off_the_head(name: str, classes: int) -> None:
    found = placed(state_of(scrambled(model_spec(name, num_classes=classes))))
    assert found.spec.num_classes == classes and found.fits


@pytest.mark.parametrize("name", ["yolov8s", "yolov5m", "yolox-s"])
def test_the_scale_is_read_off_the_first_convolution(name: str) -> None:
    found = placed(state_of(scrambled(model_spec(name, num_classes=2))))
    assert found.spec.name == name and found.fits and name in found.notes[0]


def test_a_head_on_four_levels_is_the_one_with_p2() -> None:
    net = scrambled(model_spec("yolov8n", num_classes=3, levels=("p2", "p3", "p4", "p5")))
    found = placed(state_of(net))
    assert found.fits and len(found.spec.head.inputs) == 4 and len(found.report.kept) == 437
    assert_equal_weights(found, net)


def test_half_precision_becomes_single(nets: dict[str, Detector]) -> None:
    halved = {k: v.half() if v.is_floating_point() else v for k, v in state_of(nets["yolov5n"]).items()}
    found = placed(halved)
    assert found.fits and found.spec.digest() == nets["yolov5n"].spec.digest()
    assert {value.dtype for value in found.tensors.values()} == {torch.float32, torch.int64}


def test_what_a_parallel_trainer_puts_in_front_is_ignored(nets: dict[str, Detector]) -> None:
    for name in ("yolov8n", "yolox-nano"):
        assert placed({f"module.{k}": v for k, v in state_of(nets[name]).items()}).fits


def test_counters_may_be_missing_and_derived_constants_present(nets: dict[str, Detector]) -> None:
    state = {k: v for k, v in state_of(nets["yolov5n"]).items() if "num_batches" not in k}
    found = placed(state | {"model.24.anchor_grid": torch.ones(3, 1, 3, 1, 1, 2), "total_ops": torch.ones(1)})
    assert found.fits and not found.report.missing and all("num_batches" in key for key in found.report.new)


# --- rows that users put in between


def gate(channels: int) -> dict[str, Tensor]:
    return {
        "fc1.weight": torch.ones(channels // 4, channels),
        "fc2.weight": torch.ones(channels, channels // 4),
    }


def test_one_row_put_in_at_3_keeps_all_355(nets: dict[str, Detector]) -> None:
    """By position the same file keeps 36 of 355 and loads 6 into wrong layers, as users find out later."""
    rows = rows_of(nets["yolov8n"])
    theirs = numbered([*rows[:3], gate(32), *rows[3:]])
    by_position = numbered(rows)
    naive = [k for k, v in theirs.items() if k in by_position and by_position[k].shape == v.shape]
    right = [key for key in naive if int(key.split(".")[1]) < 3]
    assert (len(right), len(naive) - len(right)) == (36, 6)
    found = placed(theirs)
    assert found.report.line() == "kept 355 of 357 tensors, 2 missing"
    assert not found.fits  # what was in between, however little, made it another network
    assert found.report.missing == ("model.3.fc1.weight", "model.3.fc2.weight")
    assert_equal_weights(found, nets["yolov8n"])


@settings(max_examples=8)
@given(st.lists(st.tuples(st.integers(1, 21), st.sampled_from([16, 64, 128])), min_size=1, max_size=4))
def test_rows_put_in_anywhere_shift_nothing(nets: dict[str, Detector], added: list[tuple[int, int]]) -> None:
    rows = rows_of(nets["yolov8n"])
    for where, channels in sorted(added, reverse=True):
        rows.insert(where, gate(channels))
    found = placed(numbered(rows))
    assert len(found.report.missing) == 2 * len(added) and not found.report.misplaced and not found.report.new
    assert_equal_weights(found, nets["yolov8n"])


def test_a_module_inside_every_bottleneck_is_left_over(nets: dict[str, Detector]) -> None:
    rows = rows_of(nets["yolov8n"])
    rows[6] |= {f"m.{i}.attn.{k}": v for i in range(2) for k, v in gate(64).items()}
    found = placed(numbered(rows))
    assert len(found.report.missing) == 4 and not found.report.misplaced and not found.fits
    assert_equal_weights(found, nets["yolov8n"])


def test_a_module_in_a_part_of_yolox_shifts_nothing(nets: dict[str, Detector]) -> None:
    state = attributed(nets["yolox-nano"])
    moved: dict[str, Tensor] = {}
    for key, value in state.items():
        moved[key.replace("dark3.1.", "dark3.2.")] = value
    moved |= {f"backbone.backbone.dark3.1.{k}": v for k, v in gate(64).items()}
    moved |= {f"backbone.CAM1.{k}": v for k, v in gate(64).items()}
    found = placed(moved)
    assert len(found.report.missing) == 4 and len(found.report.kept) == 642 and not found.fits
    assert_equal_weights(found, nets["yolox-nano"])


def test_a_layer_of_another_width_is_misplaced(nets: dict[str, Detector]) -> None:
    rows = rows_of(nets["yolov8n"])
    rows[12]["cv1.conv.weight"] = torch.zeros(128, 320, 1, 1)
    found = placed(numbered(rows))
    assert found.report.misplaced == ("layers.neck/td4.cv1.conv.weight",) and not found.fits
    assert found.origins == {"layers.neck/td4.cv1.conv.weight": "model.12.cv1.conv.weight"}
    assert len(found.report.kept) == 354


def test_half_a_model_is_not_a_model(nets: dict[str, Detector]) -> None:
    """All of the file is kept and the neck would stay random: that is refused."""
    rows = rows_of(nets["yolov8n"])
    rows[10:22] = [{}] * 12
    found = placed(numbered(rows))
    assert found.report.share == 1 and found.report.new and not found.fits
    assert found.unfilled and not set(found.unfilled) & found.tensors.keys()
    assert found.whole().keys() == nets["yolov8n"].state_dict().keys()


# --- anchors


def test_other_anchors_go_into_the_spec(nets: dict[str, Detector]) -> None:
    state = state_of(nets["yolov5n"])
    state["model.24.anchors"] = state["model.24.anchors"] * 2
    found = placed(state)
    args, stock = dict(found.spec.head.args), dict(nets["yolov5n"].spec.head.args)
    assert args["anchors"] == tuple(2.0 * side for side in stock["anchors"])  # type: ignore[union-attr]
    assert found.fits and len(found.report.kept) == 349 and "20x26" in found.notes[1]


def test_a_file_without_anchors_takes_the_published_ones(nets: dict[str, Detector]) -> None:
    state = state_of(nets["yolov5n"])
    del state["model.24.anchors"]
    found = placed(state)
    assert found.fits and found.spec == nets["yolov5n"].spec and "published" in found.notes[1]


# --- numbers no training ends with, heads no builder makes


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_diverged_training_is_one_line(nets: dict[str, Detector], value: float, dtype: torch.dtype) -> None:
    state = state_of(nets["yolov8n"])
    state["model.3.bn.running_var"] = torch.full((64,), value, dtype=dtype)
    with pytest.raises(CheckpointError, match=r"model\.3\.bn\.running_var.*diverged") as caught:
        placed(state)
    assert caught.value.code == "YG445" and len(caught.value.line()) <= MAX_LINE


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("yolov8n", ()),
        ("yolov8n", (80,)),
        ("yolov8n", (1 << 46, 0, 1, 1)),
        ("yolov8n", (10_001, 1, 1, 1)),
        ("yolov5n", ()),
        ("yolov5n", (1 << 40, 0, 1, 1)),
        ("yolox-nano", ()),
    ],
)
def test_a_head_that_nobody_builds(nets: dict[str, Detector], name: str, shape: tuple[int, ...]) -> None:
    state = state_of(nets[name])
    last = {"yolov8n": "model.22.cv3.0.2", "yolov5n": "model.24.m.0", "yolox-nano": "head.cls_preds.0"}[name]
    state[f"{last}.weight"] = torch.zeros(shape)
    with pytest.raises(CheckpointError) as caught:
        placed(state)
    assert caught.value.code == "YG440" and len(caught.value.line()) <= MAX_LINE


@pytest.mark.parametrize("shape", [(), (18,), (3, 0, 2), (3, 3, 3), (3, 3, 1), (4, 3, 2)])
def test_anchors_of_another_form(nets: dict[str, Detector], shape: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError) as caught:
        placed(state_of(nets["yolov5n"]) | {"model.24.anchors": torch.ones(shape)})
    assert caught.value.code == "YG440" and "anchors" in caught.value.cause


# --- files of something else


def stranger(kind: str, nets: dict[str, Detector]) -> dict[str, Tensor]:
    rows = rows_of(nets["yolov8n"])
    if kind == "empty":
        return {}
    if kind == "resnet":
        return {"conv1.weight": torch.ones(64, 3, 7, 7), "layer1.0.conv1.weight": torch.ones(64, 64, 1, 1)}
    if kind == "a width of its own":
        rows[0] = {"conv.weight": torch.ones(20, 3, 3, 3)}
    if kind == "five levels":
        rows[-1] |= {f"cv{b}.{i}.2.weight": torch.ones(64, 64, 1, 1) for b in (2, 3) for i in (3, 4)}
    if kind == "no classes":
        rows = rows_of(nets["yolov5n"])
        rows[-1]["m.0.weight"] = torch.ones(15, 64, 1, 1)
    return numbered(rows)


@pytest.mark.parametrize("kind", ["empty", "resnet", "a width of its own", "five levels", "no classes"])
def test_what_is_no_detector_of_ours_is_one_line(kind: str, nets: dict[str, Detector]) -> None:
    with pytest.raises(CheckpointError) as caught:
        placed(stranger(kind, nets))
    assert caught.value.code == "YG440" and len(caught.value.line()) <= MAX_LINE
    assert caught.value.where == "best.pt"


# --- what no tensor shows: the index file inside

BACKBONE: list[list[Any]] = [
    [-1, 1, "Conv", [64, 3, 2]], [-1, 1, "Conv", [128, 3, 2]], [-1, 3, "C2f", [128, True]],
    [-1, 1, "Conv", [256, 3, 2]], [-1, 6, "C2f", [256, True]], [-1, 1, "Conv", [512, 3, 2]],
    [-1, 6, "C2f", [512, True]], [-1, 1, "Conv", [1024, 3, 2]], [-1, 3, "C2f", [1024, True]],
    [-1, 1, "SPPF", [1024, 5]],
]  # fmt: skip
HEAD: list[list[Any]] = [
    [-1, 1, "nn.Upsample", [None, 2, "nearest"]], [[-1, 6], 1, "Concat", [1]], [-1, 3, "C2f", [512]],
    [-1, 1, "nn.Upsample", [None, 2, "nearest"]], [[-1, 4], 1, "Concat", [1]], [-1, 3, "C2f", [256]],
    [-1, 1, "Conv", [256, 3, 2]], [[-1, 12], 1, "Concat", [1]], [-1, 3, "C2f", [512]],
    [-1, 1, "Conv", [512, 3, 2]], [[-1, 9], 1, "Concat", [1]], [-1, 3, "C2f", [1024]],
    [[15, 18, 21], 1, "Detect", ["nc"]],
]  # fmt: skip


def index_file(**changed: Any) -> dict[str, Any]:
    return {"nc": 3, "backbone": [list(r) for r in BACKBONE], "head": [list(r) for r in HEAD]} | changed


def test_a_file_wired_as_published_has_nothing_against_it(nets: dict[str, Detector]) -> None:
    state = state_of(nets["yolov8n"])
    assert placed(state, yaml=index_file()).against == ()
    assert placed(state, yaml=index_file(activation="nn.SiLU()")).fits
    # As a file keeps it: words that its parser alone turns into values.
    said = index_file()
    said["head"][0] = [-1, 1, "torch.nn.Upsample", ["None", 2, "nearest"]]
    said["backbone"][9] = [-1, 1, "models.common.SPPF", [1024]]
    assert placed(state, yaml=said).against == ()


def test_an_index_file_of_joins_upon_joins_is_followed_in_time(nets: dict[str, Detector]) -> None:
    """Each Concat reads the one above twice, 60 times over; and a chain as long as any recursion."""
    joins = [[[-1, -1], 1, "Concat", [1]] for _ in range(60)]
    chain = [[-1, 1, "nn.Identity", []] for _ in range(3000)]
    yaml = index_file()
    rows = [[*HEAD[-1]]]
    rows[0][0] = [15, 18, -1]
    net = nets["yolov8n"]
    theirs = rows_of(net)
    more = [*theirs[:22], *[{} for _ in joins + chain], theirs[22]]
    found = placed(numbered(more), yaml=yaml | {"head": [*HEAD[:-1], *joins, *chain, *rows]})
    assert found.against == ()


@pytest.mark.parametrize("yaml", [None, "text", {}, {"backbone": 3}, {"backbone": [[-1, 1]], "head": []},
                                  {"backbone": [[5, 1, "Conv", []]]}, {"backbone": BACKBONE}])  # fmt: skip
def test_an_index_file_that_says_nothing_is_no_obstacle(nets: dict[str, Detector], yaml: Any) -> None:
    assert placed(state_of(nets["yolov8n"]), yaml=yaml).fits


@pytest.mark.parametrize(
    ("row", "changed", "says"),
    [
        (14, [[-1, 2], 1, "Concat", [1]], "row 15 (neck.p3) reads neck.td4 + backbone.p2"),
        (22, [[15, 18, 12], 1, "Detect", ["nc"]], "row 22 (head) reads neck.p3 + neck.p4 + neck.td4"),
        (2, [-1, 3, "C2f", [128, False]], "row 2 (backbone.p2) has shortcut False, here it is True"),
        (2, [-1, 3, "C2f_SimAM", [128, True]], "row 2 (backbone.p2) is C2f_SimAM, here it is c2f"),
        (2, [-1, 3, "C3", [128, True]], "row 2 (backbone.p2) is C3, here it is c2f"),
        (1, [-1, 1, "Conv", [128, 3, 2, "None", 1, 2]], "row 1 (backbone.p2.down): Conv"),
        (1, [-1, 1, "Conv", [128, 3, 1]], "row 1 (backbone.p2.down) has stride 1, here it is 2"),
        (9, [-1, 1, "SPPF", [1024, 13]], "row 9 (backbone.sppf) has kernel 13, here it is 5"),
        (10, [-1, 1, "nn.Upsample", [None, 2, "bilinear"]], "row 10 (Upsample) has mode bilinear"),
        (10, [-1, 1, "nn.Upsample", [None, 4, "nearest"]], "row 10 (Upsample) has scale 4, here it is 2"),
        (10, [-1, 2, "nn.Upsample", [None, 2, "nearest"]], "row 10 (Upsample) stands 2 times in a row"),
        (11, [[-1, 6], 1, "Concat", [2]], "row 11 (Concat): Concat [2]"),
        (22, [[15, 18, 21], 1, "RTDETR", ["nc"]], "row 22 (head) is RTDETR"),
    ],
)
def test_another_wiring_makes_it_another_network(
    nets: dict[str, Detector], row: int, changed: list[Any], says: str
) -> None:
    yaml = index_file()
    rows = yaml["backbone"] + yaml["head"]
    rows[row] = changed
    found = placed(state_of(nets["yolov8n"]), yaml=yaml | {"backbone": rows[:10], "head": rows[10:]})
    assert len(found.against) == 1 and found.against[0].startswith(says) and not found.fits
    assert len(found.report.kept) == 355


def test_a_row_without_weights_is_seen_in_the_index_file(nets: dict[str, Detector]) -> None:
    """SimAM after row 9, every index behind it moved by one as it must be."""
    rows = rows_of(nets["yolov8n"])
    moved = [
        [[s + (s > 9) if s >= 0 else s for s in (f if isinstance(f, list) else [f])], n, m, a]
        for f, n, m, a in HEAD
    ]
    moved[10][0] = [-1, 10]
    yaml = index_file(head=[[-1, 1, "SimAM", []], *moved])
    found = placed(numbered([*rows[:10], {}, *rows[10:]]), yaml=yaml)
    assert found.against == ("row 10 (SimAM) is none of yolov8n",) and len(found.report.kept) == 355


def test_another_activation_is_another_network(nets: dict[str, Detector]) -> None:
    found = placed(state_of(nets["yolov8n"]), yaml=index_file(activation="nn.ReLU()"))
    assert found.against == ("its activation is nn.ReLU(), here it is SiLU",) and not found.fits


def test_the_planted_fault_is_caught(nets: dict[str, Detector]) -> None:
    """Two layers exchanged would be seen by the comparison these tests rest on."""
    found = placed(state_of(nets["yolov8n"]))
    one, other = (f"layers.backbone/{p}.cv1.bn.bias" for p in ("p2", "p3"))
    assert not torch.equal(found.tensors[one], found.tensors[other][: len(found.tensors[one])])
    wrong = replace(found, tensors={**found.tensors, one: found.tensors[one].flip(0)})
    with pytest.raises(AssertionError):
        assert_equal_weights(wrong, nets["yolov8n"])
