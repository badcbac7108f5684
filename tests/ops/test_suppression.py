"""Every method of suppression against its definition, and what is true of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import literal_nms as literal
import numpy as np
import pytest
import torch
from literal_nms import Box
from torch import Tensor

from yolograft.errors import SpecError
from yolograft.ops.nms import Candidates, candidates, suppress
from yolograft.ops.suppression import adaptive as adaptive_file
from yolograft.ops.suppression import cluster as cluster_file
from yolograft.ops.suppression import diou as diou_file
from yolograft.ops.suppression import greedy as greedy_file
from yolograft.ops.suppression import matrix as matrix_file
from yolograft.ops.suppression.overlap import iou_matrix
from yolograft.ops.suppression.table import METHODS, Suppression, read_suppression, read_suppressions
from yolograft.types import Detections

Definition = Callable[[list[Box], float], list[Box]]
# Text -> definition; the first sort keeps scores, the second lowers them.
KEEPING: dict[str, Definition] = {
    "hard": literal.hard,
    "cluster": literal.hard,
    "diou": literal.diou,
    "weighted": literal.weighted,
    "weighted:by=score_iou": lambda b, t: literal.weighted(b, t, with_iou=True),
    "adaptive": literal.adaptive,
    "adaptive_free": literal.adaptive_free,
    "adaptive_free:same=0.9,share=0.2": lambda b, t: literal.adaptive_free(b, t, 0.9, 0.2),
}
LOWERING: dict[str, Definition] = {
    "soft": literal.soft,
    "soft:sigma=0.1": lambda b, t: literal.soft(b, t, sigma=0.1),
    "soft:method=linear": lambda b, t: literal.soft(b, t, sigma=None),
    "matrix": lambda b, t: literal.matrix(b),
    "matrix:method=linear": lambda b, t: literal.matrix(b, sigma=None),
    "cluster:penalty=score": literal.penalised,
    "cluster:penalty=score,sigma=0.5": lambda b, t: literal.penalised(b, t, 0.5),
}
EVERY = {**KEEPING, **LOWERING}


def a_set(seed: int) -> list[Box]:
    """Boxes of a few classes in crowds, on both sides of 0, with ties, twins and boxes without area."""
    draw = np.random.default_rng(seed)
    count = int(draw.integers(0, 26))
    corner = draw.uniform(-30, 30, (count, 2))
    size = draw.uniform(8, 40, (count, 2))
    boxes = np.concatenate([corner, corner + size], 1)
    scores = draw.uniform(0.01, 1, count)
    for row in range(1, count):
        kind = draw.random()
        if kind < 0.15:
            boxes[row] = boxes[draw.integers(row)]
        elif kind < 0.35:
            boxes[row] = boxes[draw.integers(row)] + draw.normal(0, 2, 4)
            boxes[row, 2:] = np.maximum(boxes[row, 2:], boxes[row, :2])
        elif kind < 0.45:
            boxes[row, 2 + draw.integers(2)] = boxes[row, 0]
            boxes[row, 2:] = np.maximum(boxes[row, 2:], boxes[row, :2])
        if draw.random() < 0.2:
            scores[row] = scores[draw.integers(row)]
    labels, density = draw.integers(0, 3, count), draw.uniform(0, 1, count)
    columns = (part.astype(np.float32).tolist() for part in (scores, boxes, density))
    table = zip(labels.tolist(), *columns, strict=True)
    return [Box(s, k, tuple(b), at, d) for at, (k, s, b, d) in enumerate(table)]


def a_grid(seed: int) -> list[Box]:
    """Boxes on whole pixels with few scores: overlaps of exactly .25, .5 and .75, and ties everywhere."""
    draw = np.random.default_rng(seed)
    count = int(draw.integers(0, 30))
    corner = draw.integers(-4, 4, (count, 2))
    boxes = np.concatenate([corner, corner + draw.integers(0, 6, (count, 2))], 1)
    scores = draw.integers(1, 4, count) / 4
    return [
        Box(float(s), int(k), tuple(map(float, b)), at)
        for at, (s, k, b) in enumerate(zip(scores, draw.integers(0, 2, count), boxes, strict=True))
    ]


def tensors(boxes: list[Box]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        torch.tensor([b.xyxy for b in boxes], dtype=torch.float32).reshape(-1, 4),
        torch.tensor([b.score for b in boxes], dtype=torch.float32),
        torch.tensor([b.label for b in boxes], dtype=torch.long),
        torch.tensor([b.density for b in boxes], dtype=torch.float32),
    )


def rows(text: str, boxes: list[Box], iou: float, limit: int | None = None) -> list[list[float]]:
    xyxy, scores, labels, density = tensors(boxes)
    found = read_suppression(text)(xyxy, scores, labels, iou=iou, density=density, limit=limit)
    assert found.boxes.dtype == found.scores.dtype == torch.float32 and found.labels.dtype == torch.int64
    assert bool((found.scores.diff() <= 0).all())
    return torch.cat((found.scores[:, None], found.labels[:, None], found.boxes), 1).tolist()


def agree(text: str, boxes: list[Box], iou: float) -> bool:
    expected = [[b.score, b.label, *b.xyxy] for b in EVERY[text](boxes, iou)]
    found = rows(text, boxes, iou)
    if text in LOWERING:
        # Where rounding parts equal scores the order is anybody's: the boxes and their scores are not.
        found, expected = (sorted(r, key=lambda row: (row[1:], row[0])) for r in (found, expected))
    return len(found) == len(expected) and np.allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(params=[256, 3], ids=["one block", "blocks of three"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greedy_file, "BLOCK", request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("text", EVERY)
def test_equals_the_definition(text: str) -> None:
    wrong = [s for s in range(100) if not agree(text, a_set(s), (0.3, 0.5, 0.7)[s % 3])]
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("text", EVERY)
def test_equals_the_definition_on_a_thousand_sets(text: str) -> None:
    wrong = [s for s in range(1000, 2000) if not agree(text, a_set(s), (0.3, 0.5, 0.7)[s % 3])]
    assert not wrong


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("text", ["hard", "cluster", "adaptive", "weighted"])
def test_ties_of_score_and_overlaps_at_the_threshold(text: str) -> None:
    assert not [s for s in range(60) if not agree(text, a_grid(s), (0.25, 0.5, 0.75)[s % 3])]


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("text", EVERY)
def test_a_limit_gives_the_first_of_the_same(text: str) -> None:
    for seed in range(30):
        boxes = a_set(seed)
        whole = rows(text, boxes, 0.5)
        for limit in (1, 4, 11):
            assert rows(text, boxes, 0.5, limit) == whole[:limit]


@pytest.mark.parametrize("text", EVERY)
def test_what_is_true_of_every_method(text: str) -> None:
    for seed in range(30):
        boxes = a_set(seed)
        best: dict[tuple[float, ...], float] = {
            (b.label, *b.xyxy): b.score for b in sorted(boxes, key=lambda b: b.score)
        }
        found = rows(text, boxes, 0.5)
        if boxes:
            top = literal.best_first(boxes)[0]
            assert found[0][:2] == [pytest.approx(top.score), top.label]
        for score, *place in found if not text.startswith("weighted") else ():
            assert score <= best[tuple(place)] + 1e-6
        # Other classes change nothing.
        alone = [b for b in boxes if b.label == 1]
        found = [row for row in found if row[1] == 1]
        assert np.allclose(rows(text, alone, 0.5), found, rtol=1e-5)


@pytest.mark.parametrize("text", EVERY)
def test_none_one_and_twins(text: str) -> None:
    one = [Box(0.5, 2, (-3.0, -1.0, 4.0, 9.0), 0)]
    assert rows(text, [], 0.5) == []
    assert rows(text, one, 0.5) == [[0.5, 2.0, -3.0, -1.0, 4.0, 9.0]]
    three = [one[0]._replace(at=at) for at in range(3)]
    found = rows(text, three, 0.5)
    assert found[0][0] == 0.5 and len(found) == (3 if text in LOWERING else 1)
    assert all(row[0] < 0.2 for row in found[1:])
    flat = [one[0]._replace(xyxy=(1.0, 1.0, 1.0, 5.0), at=at) for at in range(2)]
    assert [row[0] for row in rows(text, flat, 0.5)] == [0.5, 0.5]


def test_hard_is_torchvision() -> None:
    from torchvision.ops import nms

    for seed in range(40):
        xyxy, scores, labels, _ = tensors(a_set(seed))
        found = Suppression()(xyxy, scores, labels, iou=0.5)
        kept = torch.cat([(labels == k).nonzero().flatten()[nms(xyxy[labels == k], scores[labels == k], 0.5)]
                          for k in range(3)])  # fmt: skip
        assert sorted(found.scores.tolist()) == sorted(scores[kept].tolist())


def test_soft_between_its_limits() -> None:
    """A tiny sigma leaves nothing of what overlaps at all, a huge one leaves all; linear stops at 1."""
    for seed in range(20):
        # On whole pixels no overlap is close to 0.
        grid = a_grid(seed)
        none = [b for b, _ in literal.greedy(grid, lambda m, b: literal.iou(m, b) > 0)]
        sharp = [row for row in rows("soft:sigma=0.000002", grid, 0.5) if row[0] > 1e-3]
        assert [row[0] for row in sharp] == pytest.approx([b.score for b in none])
        boxes = a_set(seed)
        untouched = [b.score for b in literal.best_first(boxes)]
        assert [row[0] for row in rows("soft:sigma=1e12", boxes, 0.5)] == pytest.approx(untouched, rel=1e-5)
        assert [row[0] for row in rows("soft:method=linear,iou=1", boxes, 0.5)] == pytest.approx(untouched)


def test_soft_sorts_anew_after_every_box() -> None:
    """The second best overlaps the best and falls behind the third, which it would else have lowered."""
    third = (0.0, 8.0, 10.0, 18.0)
    boxes = [
        Box(0.9, 0, (0.0, 0.0, 10.0, 10.0), 0),
        Box(0.8, 0, (0.0, 2.0, 10.0, 12.0), 1),
        Box(0.7, 0, third, 2),
    ]
    found = rows("soft:method=linear", boxes, 0.2)
    assert [tuple(row[2:]) for row in found] == [boxes[0].xyxy, third, boxes[1].xyxy]
    assert found[1][0] == pytest.approx(0.7)
    assert found[2][0] == pytest.approx(0.8 * (1 - 80 / 120) * (1 - 40 / 160))


def test_matrix_by_hand() -> None:
    """Three boxes in a row, each overlapping the next by a third: the middle one was likely suppressed."""
    boxes = [Box(0.9 - 0.1 * k, 0, (5.0 * k, 0.0, 5.0 * k + 10, 10.0), k) for k in range(3)]
    v = 50 / 150
    linear = [row[0] for row in rows("matrix:method=linear", boxes, 0.5)]
    assert linear == pytest.approx([0.9, 0.7 * min(1, (1 - v) / (1 - v)), 0.8 * (1 - v)])
    gauss = sorted(row[0] for row in rows("matrix", boxes, 0.5))
    assert gauss == pytest.approx(sorted([0.9, 0.7, 0.8 * math.exp(-v * v / 0.5)]))


def test_merged_box_by_hand() -> None:
    boxes = [Box(0.6, 0, (0.0, 0.0, 10.0, 10.0), 0), Box(0.2, 0, (2.0, 0.0, 10.0, 10.0), 1)]
    ((score, _, *box),) = rows("weighted", boxes, 0.5)
    assert score == pytest.approx(0.6) and box == pytest.approx([0.5, 0.0, 10.0, 10.0])
    ((_, _, *box),) = rows("weighted:by=score_iou", boxes, 0.5)
    assert box[0] == pytest.approx(2 * 0.16 / (0.6 + 0.16))


def test_a_crowd_survives_where_density_is_high() -> None:
    """Two people at an overlap of .6: hard removes one, predicted or estimated density keeps both."""
    pair = [Box(0.9, 0, (0.0, 0.0, 10.0, 10.0), 0, 0.6), Box(0.8, 0, (2.5, 0.0, 12.5, 10.0), 1, 0.6)]
    twin = Box(0.3, 0, (0.0, 0.0, 10.0, 9.5), 2, 0.6)
    for text, left in (("hard", 1), ("adaptive", 2), ("adaptive_free", 2)):
        assert len(rows(text, [*pair, twin], 0.5)) == left
    xyxy, scores, labels, _ = tensors(pair)
    with pytest.raises(SpecError, match="YG370"):
        read_suppression("adaptive")(xyxy, scores, labels, iou=0.5)


def test_what_falls_to_the_confidence_is_gone() -> None:
    xyxy, scores, labels, _ = tensors([Box(0.5, 0, (0.0, 0.0, 9.0, 9.0), at) for at in range(3)])
    offer = Candidates(xyxy, scores, labels, labels)
    found = suppress(offer, method=read_suppression("soft:sigma=0.5"), confidence=0.05)
    assert found.scores.tolist() == pytest.approx([0.5, 0.5 * math.exp(-2)])


def test_ties_go_in_their_order_among_thousands() -> None:
    """Above 1,000 boxes torchvision goes class by class and sorts the scores by an unstable sort."""
    draw = torch.Generator().manual_seed(0)
    corner = torch.randint(0, 300, (1500, 2), generator=draw)
    boxes = torch.cat((corner, corner + torch.randint(8, 24, (1500, 2), generator=draw)), 1).float()
    scores = torch.randint(1, 4, (1500,), generator=draw) / 4
    labels = torch.randint(0, 3, (1500,), generator=draw)
    hard, cluster = (
        read_suppression(name)(boxes, scores, labels, iou=0.3, limit=limit)
        for name, limit in (("hard", 300), ("cluster", 300))
    )
    assert all(torch.equal(a, b) for a, b in zip(hard, cluster, strict=True))
    many = torch.full((40_000, 1), 0.5)
    assert candidates(torch.zeros(40_000, 4), many).anchor.tolist() == list(range(30_000))


@pytest.mark.parametrize("text", EVERY)
def test_boxes_that_are_no_numbers_are_no_candidates(text: str) -> None:
    sound = [[0.0, 0.0, 9.0, 9.0], [1.0, 0.0, 10.0, 9.0], [40.0, 0.0, 50.0, 9.0]]
    broken = [
        [0.0, 0.0, math.inf, 9.0],
        [math.nan] * 4,
        [-math.inf, 0.0, 9.0, 9.0],
        [-1e25, -1e25, 1e25, 1e25],
    ]
    boxes, scores = torch.tensor(broken + sound), torch.linspace(0.9, 0.3, 7)[:, None]
    offer = candidates(boxes, scores, density=torch.zeros(7))
    assert offer.anchor.tolist() == [4, 5, 6]
    found = suppress(offer, method=read_suppression(text), iou=0.5)
    assert bool(found.scores.isfinite().all()) and len(found.scores) > 0


@pytest.mark.parametrize("far", [1e8, -1e8, 1e14])
@pytest.mark.parametrize("text", EVERY)
def test_a_box_far_out_changes_nothing_for_the_others(text: str, far: float) -> None:
    """Classes are told apart by label: shifted past such a box, float32 would lose the pixels of the rest."""
    near = [box for seed in range(8) for box in a_set(seed)]
    lone = Box(0.005, 5, (min(far, 0.0), 0.0, max(far, 0.0), 9.0), len(near), 0.0)
    alone, beside = rows(text, near, 0.5), rows(text, [*near, lone], 0.5)
    assert sum(label == 5 for _, label, *_ in beside) == 1 and len(alone) > 20
    assert [row for row in beside if row[1] != 5] == alone


def classless(found: Detections, left: Tensor, right: Tensor) -> Tensor:
    """Overlaps that forget the classes."""
    return iou_matrix(found.boxes[left], found.boxes[right])


FAULTS = {
    "classes mixed": ("overlaps", classless),
    "one round": ("_settled", lambda above: ~above.any(0)),
    "no compensation": ("_left", lambda shared, method, sigma: (1 - shared) ** 2),
}
FILES = (adaptive_file, cluster_file, diou_file, greedy_file, matrix_file)


@pytest.mark.parametrize(
    ("fault", "text"),
    [("classes mixed", t) for t in ("cluster", "adaptive", "matrix", "cluster:penalty=score")]
    + [("one round", t) for t in ("cluster", "diou", "weighted")]
    + [("no compensation", "matrix")],
)
def test_a_planted_fault_is_seen(fault: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, wrong = FAULTS[fault]
    for file in FILES:
        if hasattr(file, name):
            monkeypatch.setattr(file, name, wrong)
    assert not all(agree(text, a_set(seed), 0.5) for seed in range(40))


def test_methods_are_read_as_they_are_typed() -> None:
    text = "hard,soft:method=linear,iou=0.3,diou, cluster:penalty=score,sigma=1"
    found = read_suppressions(text)
    assert ",".join(one.text() for one in found) == text.replace(" ", "")
    assert found[1] == Suppression("soft", (("method", "linear"), ("iou", 0.3)))
    assert [read_suppression(name).text() for name in METHODS] == list(METHODS)


@pytest.mark.parametrize(
    ("text", "code"),
    [("fast", "YG371"), ("", "YG371"), ("hard,,soft", "YG371"), ("sigma=0.5", "YG371")]
    + [(f"soft:{wrong}", "YG372") for wrong in ("", "sigma", "sigma=", "sigma=0", "sigma=x", "method=cubic")]
    + [
        ("soft:sigma=on", "YG372"),
        ("hard:sigma=1", "YG372"),
        ("hard:iou=1.5", "YG372"),
        ("hard:iou=0", "YG372"),
        ("soft:sigma=0.0000001", "YG372"),
    ]
    # Accepted, these would have no effect.
    + [
        (f"{unread}", "YG372")
        for unread in (
            "soft:iou=0.5",
            "soft:method=gaussian,iou=0.5",
            "soft:method=linear,sigma=0.5",
            "matrix:iou=0.5",
            "matrix:method=linear,sigma=0.5",
            "cluster:sigma=0.2",
            "cluster:penalty=none,sigma=0.2",
            "adaptive_free:same=0.6",
            "adaptive_free:iou=0.8,same=0.8",
        )
    ]
    + [("soft:sigma=1,sigma=2", "YG372"), ("diou,diou", "YG372"), ("matrix:sigma=inf", "YG372")],
)
def test_what_is_no_method_is_refused_in_one_line(text: str, code: str) -> None:
    with pytest.raises(SpecError, match=code) as caught:
        read_suppressions(text)
    assert len(caught.value.line()) <= 240
    assert "\n" not in caught.value.line()


def test_one_method_is_one() -> None:
    with pytest.raises(SpecError, match="YG372"):
        read_suppression("hard,soft")
