"""`judge` on prediction files: AP is pycocotools', ids are found out, and one run never counts twice."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_inputs import CATEGORIES, FIXTURES, ground_truth, predictions, write

from yolograft.errors import MAX_LINE, StudyError, YolograftError
from yolograft.metrics.matches import MatchTable, average_precision
from yolograft.study.judge.again import judged_again
from yolograft.study.judge.asked import Asked
from yolograft.study.judge.from_predictions import Judged, judge_predictions
from yolograft.study.judge.saving import save_judged
from yolograft.study.judge.scored import single


def reference(truth: Path, results: Path) -> tuple[float, float]:
    """(AP, AP50) in points by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(str(truth))
        evaluator = COCOeval(gt, gt.loadRes(str(results)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return 100 * evaluator.stats[0], 100 * evaluator.stats[1]


def reference_by_name(results: Path) -> float:
    """AP by pycocotools of a file that names images by their stems."""
    truth = json.loads((FIXTURES / "ground_truth.json").read_text(encoding="utf-8"))
    number = {Path(image["file_name"]).stem: image["id"] for image in truth["images"]}
    rows = json.loads(results.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        named = write(Path(folder) / "r.json", [r | {"image_id": number[r["image_id"]]} for r in rows])
        return reference(FIXTURES / "ground_truth.json", named)[0]


class Bench:
    """Files of a comparison: three runs a side, the new one a little sharper."""

    def __init__(self, folder: Path, *, seed: int = 0, images: int = 24) -> None:
        self.folder, self.truth = folder, ground_truth(seed, images=images)
        self.gt = write(folder / "val.json", self.truth)
        self.rows = {
            f"{side}{k}": predictions(self.truth, 10 * (side == "b") + k, wobble=6.0 - 3 * (side == "b"))
            for side in "ab"
            for k in range(3)
        }

    def files(self, side: str, change: Any = None) -> list[Path]:
        return [
            write(self.folder / f"{name}.json", [change(dict(r)) for r in rows] if change else rows)
            for name, rows in self.rows.items()
            if name.startswith(side)
        ]

    def judge(self, change: Any = None, **asked: Any) -> Judged:
        groups = {"sharp": self.files("b", change)}
        return judge_predictions(self.files("a", change), groups, Asked(gt=self.gt, **asked))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def aps(judged: Judged) -> list[list[float]]:
    return [[run["ap"] for run in arm["runs"]] for arm in judged.document["arms"]]


def keys(judged: Judged) -> set[str]:
    return {note["key"] for note in judged.document["notes"]}


def refusal(error: pytest.ExceptionInfo[StudyError]) -> str:
    line = error.value.line()
    assert len(line) <= MAX_LINE and "\n" not in line
    return error.value.code


@pytest.mark.parametrize("seed", range(4))
def test_ap_is_that_of_pycocotools(tmp_path: Path, seed: int) -> None:
    bench = Bench(tmp_path, seed=seed, images=5 + 9 * seed)
    judged = bench.judge()
    for arm, side in zip(judged.document["arms"], "ab", strict=True):
        for run, file in zip(arm["runs"], bench.files(side), strict=True):
            assert (run["ap"], run["ap50"]) == pytest.approx(reference(bench.gt, file), abs=1e-9)


def test_the_document_holds_a_two_way_comparison(bench: Bench) -> None:
    judged = bench.judge(margin=0.4)
    base, new = judged.document["arms"]
    found = new["comparison"]
    assert base["comparison"] is None and base["baseline"]
    assert found["delta"] == pytest.approx(np.mean(aps(judged)[1]) - np.mean(aps(judged)[0]))
    assert found["scope"] == "new images like these" and found["evidence"]["units"] == 24
    assert found["verdict"] in found["sentence"] and found["evidence"]["margin"] == 0.4
    json.dumps(judged.document, allow_nan=False)


def test_few_images_speak_of_this_split_only(tmp_path: Path) -> None:
    found = Bench(tmp_path, images=12).judge().document["arms"][1]["comparison"]
    assert found["scope"] == "this evaluation split"


@pytest.mark.parametrize(("start", "mode"), [(0, "0"), (1, "1")])
def test_classes_counted_from_0_or_1_are_found_out(bench: Bench, start: int, mode: str) -> None:
    plain = aps(bench.judge())

    def count(row: dict[str, Any]) -> dict[str, Any]:
        return row | {"category_id": CATEGORIES.index(row["category_id"]) + start}

    judged = bench.judge(count)
    assert aps(judged) == plain and f"categories_{mode}" in keys(judged)


def test_ids_that_two_readings_explain_are_settled_by_the_boxes(tmp_path: Path) -> None:
    """Categories 1..4 and predictions of 1..3: the ids themselves, or counted from 0 with none of class 1."""
    truth = ground_truth(3)
    drawn = predictions(truth, 1)
    number = {c: i + 1 for i, c in enumerate(CATEGORIES)}
    for item in (*truth["annotations"], *truth["categories"]):
        key = "category_id" if "bbox" in item else "id"
        item[key] = number[item[key]]
    rows = [r | {"category_id": number[r["category_id"]]} for r in drawn]
    rows = [r for r in rows if r["category_id"] < 4]
    gt, a = write(tmp_path / "gt.json", truth), write(tmp_path / "a.json", rows[:-1])
    b = write(tmp_path / "b.json", rows)
    judged = judge_predictions([a], {"b": [b]}, Asked(gt=gt))
    assert "compared" in keys(judged)
    assert judged.document["arms"][0]["runs"][0]["ap"] == pytest.approx(reference(gt, a)[0], abs=1e-9)
    blind = [r | {"bbox": [0.0, 0.0, 1.0, 1.0]} for r in rows]
    one, two = write(tmp_path / "c.json", blind[:-1]), write(tmp_path / "d.json", blind)
    with pytest.raises(StudyError, match="--category-ids") as error:
        judge_predictions([one], {"b": [two]}, Asked(gt=gt))
    assert refusal(error) == "YG663"
    said = judge_predictions([one], {"b": [two]}, Asked(gt=gt, categories="ids"))
    assert said.document["arms"][0]["runs"][0]["ap"] == 0


@pytest.mark.parametrize("name", ["shot_{:05d}", "frames/shot_{:05d}.jpg", "shot_{:05d}.jpg"])
def test_images_named_by_their_file(bench: Bench, name: str) -> None:
    plain = aps(bench.judge())
    judged = bench.judge(lambda row: row | {"image_id": name.format(row["image_id"])})
    assert aps(judged) == plain and "images_names" in keys(judged)


def test_numeric_stems_lose_their_zeros(tmp_path: Path) -> None:
    """ultralytics writes image 00017.jpg as 17; the ground truth may call it 3."""
    bench = Bench(tmp_path)
    plain = aps(bench.judge())
    stems = {image["id"]: 1000 + place for place, image in enumerate(bench.truth["images"])}
    for image in bench.truth["images"]:
        image["file_name"] = f"{stems[image['id']]:08d}.jpg"
    bench.gt = write(tmp_path / "val.json", bench.truth)
    assert aps(bench.judge(lambda row: row | {"image_id": stems[row["image_id"]]})) == plain


def test_one_run_never_counts_twice(bench: Bench) -> None:
    a, b = bench.files("a"), bench.files("b")
    for base, new in ((a[:1] * 2, b), (a, [*b, a[0]])):
        with pytest.raises(StudyError) as error:
            judge_predictions(base, {"sharp": new}, Asked(gt=bench.gt))
        assert refusal(error) == "YG664"
    rows = json.loads(b[0].read_text(encoding="utf-8"))
    again = write(bench.folder / "again.json", [r | {"segmentation": []} for r in rows[::-1]])
    with pytest.raises(StudyError, match="the same predictions") as error:
        judge_predictions(a, {"sharp": [*b, again]}, Asked(gt=bench.gt))
    assert refusal(error) == "YG664"


def test_what_bends_ap_is_said(bench: Bench) -> None:
    a = bench.files("a")
    cut = [write(bench.folder / f"cut{k}.json", [r for r in bench.rows[f"b{k}"] if r["score"] > 0.25])
           for k in range(3)]  # fmt: skip
    judged = judge_predictions(a, {"cut": cut}, Asked(gt=bench.gt))
    assert {"cut", "epochs_unknown"} <= keys(judged)
    warned = [note for note in judged.document["notes"] if note["warns"]]
    assert all(note["facts"]["label"] == "cut" for note in warned if note["key"] == "cut")
    kept = {image["id"] for image in bench.truth["images"][:6]}
    few = [write(bench.folder / "few.json", [r for r in bench.rows["b0"] if r["image_id"] in kept]),
           write(bench.folder / "none.json", [])]  # fmt: skip
    judged = judge_predictions(a, {"few": few}, Asked(gt=bench.gt))
    assert {"coverage", "empty", "unequal"} <= keys(judged) and aps(judged)[1][1] == 0


def test_groups_looks_and_modules_tried(bench: Bench) -> None:
    found = bench.judge(group="prefix:9", tried=6).document["arms"][1]["comparison"]
    # 24 images in fewer than 20 groups.
    assert found["scope"] == "this evaluation split" and found["evidence"]["tried"] == 6
    many = Bench(bench.folder / "many", images=60).judge(group="prefix:9").document
    assert many["gt"]["groups"] == many["arms"][1]["comparison"]["evidence"]["units"] >= 20
    assert many["arms"][1]["comparison"]["evidence"]["grouped"]
    judged = bench.judge(looks=(3, 5, 10))
    assert judged.document["arms"][1]["comparison"]["alpha"] == 0.01
    judged = bench.judge(looks=(5,))
    assert "off_look" in keys(judged)
    assert judged.document["arms"][1]["comparison"]["verdict"] == "not enough seeds"


def test_saved_tables_give_the_numbers_again(bench: Bench) -> None:
    judged = bench.judge()
    save_judged(judged, bench.folder / "out")
    document = json.loads((bench.folder / "out" / "judge.json").read_text(encoding="utf-8"))
    for arm in document["arms"]:
        for run, name in zip(arm["runs"], arm["tables"], strict=True):
            table = MatchTable.load(bench.folder / "out" / name)
            assert 100 * average_precision(table) == pytest.approx(run["ap"], abs=1e-9)


@pytest.mark.parametrize(
    "asked", [{}, {"group": "prefix:9", "tried": 4}, {"looks": (3, 5, 10)}, {"looks": (5,)}]
)
def test_a_saved_judgement_is_computed_again(bench: Bench, asked: dict[str, Any]) -> None:
    document = bench.judge(margin=0.7, **asked).document
    save_judged(bench.judge(margin=0.7, **asked), bench.folder / "out")
    again = judged_again(bench.folder / "out")
    assert [arm.pop("tables") for arm in again["arms"]] and again == json.loads(json.dumps(document))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('"kind": "judge"', '"kind": "x"', "YG667"),
        ('"margin": 0.5', '"margin": "0.5"', "YG667"),
        ('"matches/0-base-0.npz"', '"matches/0-base-1.npz"', "YG667"),
        ('"matches/0-base-0.npz"', '"../0-base-0.npz"', "YG667"),
        ('"matches/0-base-0.npz"', '"matches/none.npz"', "YG362"),
        ('"tables"', '"tables_"', "YG667"),
    ],
)
def test_a_judgement_that_was_touched_is_refused(bench: Bench, old: str, new: str, code: str) -> None:
    save_judged(bench.judge(), bench.folder / "out")
    file = bench.folder / "out" / "judge.json"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(YolograftError) as error:
        judged_again(bench.folder / "out")
    assert error.value.code == code and len(error.value.line()) <= MAX_LINE


HOSTILE = [
    ("YG660", "{"), ("YG660", "[" * 100_000), ("YG660", "[" + "9" * 5000 + "]"), ("YG662", "{}"),
    ("YG662", "[1]"), ("YG662", '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3], "score": 1}]'),
    ("YG662", '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, NaN], "score": 1}]'),
    ("YG662", '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 1e400], "score": 1}]'),
    ("YG662", '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, -3, 4], "score": 1}]'),
    ("YG662", '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 87}]'),
    ("YG662", '[{"image_id": 1, "category_id": true, "bbox": [1, 2, 3, 4], "score": 0.5}]'),
    ("YG662", '[{"image_id": [1], "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]'),
    ("YG663", '[{"image_id": -5, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}]'),
    ("YG662", '{"images": [], "annotations": [], "categories": []}'),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text"), HOSTILE)
def test_hostile_predictions_are_one_line(bench: Bench, code: str, text: str) -> None:
    bad = bench.folder / "bad.json"
    bad.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as error:
        judge_predictions(bench.files("a"), {"bad": [bad]}, Asked(gt=bench.gt))
    assert refusal(error) == code and "bad.json" in error.value.line()


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t | {"annotations": []},
        lambda t: t | {"images": t["images"] * 2},
        lambda t: t | {"categories": [{"id": "x"}]},
        lambda t: t | {"annotations": [{"image_id": 10**9, "category_id": 2, "bbox": [0, 0, 1, 1]}]},
        lambda t: t | {"annotations": [t["annotations"][0] | {"bbox": [0, 0, "1", 1]}]},
        lambda t: t | {"annotations": [t["annotations"][0] | {"area": float("inf")}]},
        lambda t: [],
    ],
)
def test_ground_truth_that_cannot_judge(bench: Bench, change: Any) -> None:
    gt = write(bench.folder / "bad.json", change(bench.truth))
    with pytest.raises(StudyError) as error:
        judge_predictions(bench.files("a"), {"b": bench.files("b")}, Asked(gt=gt))
    assert refusal(error) == "YG661"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1, allow_nan=False), max_size=40))
def test_scores_in_single_precision_keep_their_order(scores: list[float]) -> None:
    wide = np.array([*scores, 0.3, np.nextafter(0.3, 1), 0.3])
    narrow = single(wide)
    assert narrow.dtype == np.float32
    assert np.array_equal(np.sign(wide[:, None] - wide), np.sign(narrow[:, None].astype(float) - narrow))
    assert np.abs(narrow - wide).max() < 1e-6


def test_files_of_ultralytics_itself() -> None:
    """Three runs a side, `val` on last.pt with save_json: stems for images, classes as it counts them."""
    folder = FIXTURES / "predictions"
    sides = [sorted(folder.glob(f"{side}*.json")) for side in ("flip", "plain")]
    judged = judge_predictions(sides[0], {"plain": sides[1]}, Asked(gt=FIXTURES / "ground_truth.json"))
    assert "images_names" in keys(judged)
    for arm, files in zip(aps(judged), sides, strict=True):
        assert arm == pytest.approx([reference_by_name(file) for file in files], abs=1e-9)
    assert judged.document["arms"][1]["comparison"]["scope"] == "new images like these"
