"""`judge` on run folders that ultralytics, YOLOv5 and YOLOX wrote, and on what strangers may put there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from judge_inputs import FIXTURES

from yolograft.errors import MAX_LINE, StudyError
from yolograft.study.judge.asked import Asked
from yolograft.study.judge.from_predictions import Judged
from yolograft.study.judge.from_runs import judge_runs, read_run
from yolograft.study.judge.words import WORDS

UL, GT = FIXTURES / "ultralytics", FIXTURES / "ground_truth.json"


def notes(judged: Judged) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for note in judged.document["notes"]:
        found.setdefault(note["key"], []).append(note)
    return found


def run_folder(folder: Path, aps: list[float], **settings: Any) -> Path:
    """A run folder as ultralytics writes it."""
    folder.mkdir(parents=True)
    facts = {"data": "a.yaml", "epochs": len(aps), "patience": 100, "seed": 0, "model": "n.yaml"} | settings
    lines = [f"{key}: {value}" for key, value in facts.items()]
    (folder / "args.yaml").write_text("\n".join(lines), encoding="utf-8")
    heads = "epoch,metrics/mAP50(B),metrics/mAP50-95(B)\n"
    rows = "".join(f"{i},{ap},{ap}\n" for i, ap in enumerate(aps, start=1))
    (folder / "results.csv").write_text(heads + rows, encoding="utf-8")
    return folder


def test_ultralytics_runs_are_seeds_of_two_recipes() -> None:
    judged = judge_runs(sorted(UL.glob("flip*")) + sorted(UL.glob("plain*")), Asked())
    base, new = judged.document["arms"]
    assert [len(arm["runs"]) for arm in (base, new)] == [3, 3]
    assert [run["ap"] for run in base["runs"]] == pytest.approx([5.782, 8.165, 8.002])
    assert [run["seed"] for run in new["runs"]] == [0, 1, 2]
    found = notes(judged)
    assert found["differs"][0]["facts"]["keys"] == "fliplr 0.5 -> 0.0"
    gain = ((6.422 - 5.782) + (8.177 - 8.165) + (8.512 - 8.002)) / 3
    assert found["best_epoch"][0]["facts"]["gain"] == pytest.approx(gain)
    assert {"from_csv", "give_gt", "baseline"} <= found.keys()
    assert new["comparison"]["scope"] == "this evaluation split"
    assert new["comparison"]["delta"] == pytest.approx(sum(r["ap"] for r in new["runs"]) / 3 - base["mean"])


def test_the_baseline_can_be_named() -> None:
    folders = sorted(UL.glob("flip*")) + sorted(UL.glob("plain*"))
    judged = judge_runs(folders, Asked(), base=[UL / "plain1"])
    assert judged.document["arms"][0]["label"].startswith("plain")
    with pytest.raises(StudyError, match="YG665"):
        judge_runs(folders, Asked(), base=[UL / "plain1", UL / "flip1"])


def test_predictions_beside_the_runs_are_judged_by_image_and_of_the_best_epoch() -> None:
    folders = [UL / name for name in ("flip1", "flip2", "plain1", "plain2")]
    judged = judge_runs(folders, Asked(gt=GT))
    assert judged.document["gt"]["images"] == 24 and "best_predictions" in notes(judged)
    run = judged.document["arms"][0]["runs"][0]
    assert run["file"] == "flip1/predictions.json" and run["seed"] == 1
    # The folders of seed 0 hold one file: its first epoch was the best under both recipes.
    with pytest.raises(StudyError, match="YG664"):
        judge_runs([*folders, UL / "flip0", UL / "plain0"], Asked(gt=GT))


def test_yolov5_counts_epochs_from_0_and_a_killed_run_is_not_used() -> None:
    whole, killed = read_run(FIXTURES / "yolov5" / "exp0"), read_run(FIXTURES / "yolov5" / "exp1")
    assert (whole.tool, whole.status, whole.seed, whole.curve[-1][0]) == ("yolov5", "done", 0, whole.planned)
    assert killed.status == "unfinished" and f"of {killed.planned}" in killed.reason
    differing = {key for key, value in whole.recipe.items() if killed.recipe[key] != value}
    assert differing <= {"epochs", "imgsz", "img"} and "hyp.lr0" in whole.recipe
    judged = judge_runs([whole.folder, killed.folder], Asked())
    assert notes(judged)["skipped"][0]["facts"]["folder"] == "exp1"
    assert {"one_group", "one_run"} <= notes(judged).keys()


def test_yolox_logs() -> None:
    run = read_run(FIXTURES / "yolox" / "nano_s0")
    assert (run.tool, run.seed, run.planned, run.status) == ("yolox", 0, 3, "done")
    assert [epoch for epoch, _ in run.curve] == [1, 2, 3]
    killed = read_run(FIXTURES / "yolox" / "killed_s0")
    assert killed.status == "unfinished" and killed.planned == 12


def test_repeats_of_one_seed_are_one_run(tmp_path: Path) -> None:
    """Plant: counted as three seeds they would carry a verdict."""
    base = [run_folder(tmp_path / f"a{k}", [0.2, 0.30 + k / 1000], model="n.yaml") for k in range(3)]
    new = [run_folder(tmp_path / f"b{k}", [0.2, 0.50 + k / 1000], model="cbam.yaml") for k in range(3)]
    judged = judge_runs([*base, *new], Asked())
    assert judged.document["arms"][1]["comparison"]["verdict"] == "not enough seeds"
    assert notes(judged)["same_seed"][0]["facts"] == {"label": "a0", "seed": 0, "runs": 3}
    for k, folder in enumerate([*base, *new]):
        text = (folder / "args.yaml").read_text(encoding="utf-8").replace("seed: 0", f"seed: {k % 3}")
        (folder / "args.yaml").write_text(text, encoding="utf-8")
    assert judge_runs([*base, *new], Asked()).document["arms"][1]["comparison"]["verdict"] == "helps"


def test_what_cannot_be_compared_gets_no_verdict(tmp_path: Path) -> None:
    base = [run_folder(tmp_path / f"a{k}", [0.30 + k / 1000] * 2, seed=k) for k in range(3)]
    other = [run_folder(tmp_path / f"b{k}", [0.5 + k / 999] * 2, seed=k, data="b.yaml") for k in range(3)]
    judged = judge_runs([*base, *other, FIXTURES / "yolox" / "nano_s0", tmp_path], Asked())
    for arm in judged.document["arms"][1:]:
        assert arm["comparison"]["verdict"] == "not enough seeds" and arm["comparison"]["low"] is None
    assert {"other_data", "other_tool", "skipped"} <= notes(judged).keys()


def test_one_run_under_two_names(tmp_path: Path) -> None:
    one = run_folder(tmp_path / "one", [0.2, 0.3])
    run_folder(tmp_path / "two", [0.2, 0.3], mosaic=0)
    with pytest.raises(StudyError, match="YG664") as error:
        judge_runs([one, tmp_path / "two"], Asked())
    assert len(error.value.line()) <= MAX_LINE


def test_a_copy_of_a_run_without_a_seed_is_no_second_seed(tmp_path: Path) -> None:
    lines = ["INFO | args: Namespace(batch_size=8, devices=1, fp16=False, resume=False, x=1)"]
    lines += [f"│ {key:20} │ {value:30} │" for key, value in (("seed", "None"), ("max_epoch", "2"))]
    for epoch, ap in ((1, 0.2), (2, 0.301)):
        lines += [f"---> start train epoch{epoch}", "total_loss: 3.1, x"]
        lines += [f" Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = {ap}"]
    for name in ("one", "copy"):
        (tmp_path / name).mkdir()
        text = "\n".join([*lines, "Training of experiment is done and the best AP is 0.301", ""])
        (tmp_path / name / "train_log.txt").write_text(text, encoding="utf-8")
    assert read_run(tmp_path / "one").seed is None
    with pytest.raises(StudyError, match="YG664"):
        judge_runs([tmp_path / "one", tmp_path / "copy"], Asked())


def test_one_folder_under_two_names_is_one_run(tmp_path: Path) -> None:
    base = [run_folder(tmp_path / f"a{k}", [0.2, 0.30 + k / 100], seed=k) for k in range(3)]
    new = [run_folder(tmp_path / f"b{k}", [0.2, 0.40 + k / 99], seed=k, mosaic=0) for k in range(3)]
    again = [tmp_path / "b0" / ".." / "a0", tmp_path / "b0" / ".." / "b1"]
    judged = judge_runs([*base, *new, *again], Asked(), base=[again[0]])
    assert [len(arm["runs"]) for arm in judged.document["arms"]] == [3, 3]
    assert judged.document["arms"][0]["label"] == "a0" and "same_seed" not in notes(judged)


@pytest.mark.parametrize(
    ("head", "ap", "status"),
    [
        ("train/box_loss", 0.0, "diverged"),
        ("train/box_loss", 0.3, "done"),
        ("val/box_loss", 0.0, "diverged"),
        ("val/box_loss", 0.3, "done"),
    ],
)
def test_a_loss_that_is_no_number_is_a_run_that_diverged(
    tmp_path: Path, head: str, ap: float, status: str
) -> None:
    folder = run_folder(tmp_path / "run", [0.2, 0.3])
    rows = f"epoch, {head},metrics/mAP50(B),metrics/mAP50-95(B)\n1,3.1,.2,.2\n2,nan,{ap},{ap}\n"
    (folder / "results.csv").write_text(rows, encoding="utf-8")
    found = read_run(folder)
    assert found.status == status and (head in found.reason) == (status == "diverged")


def test_options_that_do_nothing_are_named() -> None:
    runs = sorted(UL.glob("flip*")) + sorted(UL.glob("plain*"))
    judged = judge_runs(runs, Asked(group="folder", images="ids", categories="0"))
    assert notes(judged)["idle_options"][0]["facts"]["options"] == "--group, --image-ids, --category-ids"
    assert "gt_alone" in notes(judge_runs(runs[:3], Asked(gt=GT)))
    assert "idle_options" not in notes(judge_runs(runs, Asked()))


@pytest.mark.parametrize(
    ("settings", "rows", "status"),
    [
        ({"epochs": 5}, "1,.1,.1\n2,.2,.2\n3,.1,.1\n", "unfinished"),
        ({"epochs": 5, "patience": 1}, "1,.1,.1\n2,.2,.2\n3,.1,.1\n", "done"),
        ({"epochs": 3}, "1,.1,.1\n2,.2,.2\n3,.1,nan\n", "diverged"),
        ({"epochs": 3}, "1,.1,.1\n2,.2,.2\n3,.1,.1", "unfinished"),
        ({"epochs": 3}, "1,.1,.1\n2,.2,.2\n3,.1", "unfinished"),
        ({"epochs": 3}, "1,.1,.1\n2,.2,1e999\n3,.1,7\n", "diverged"),
        ({"epochs": 2}, "1,.1,.1\n2,.2,.2\n2,.3,.3\n", "done"),
        ({"epochs": 3}, "", "unfinished"),
        ({"epochs": "9" * 400}, "1,.1,.1\n", "unfinished"),
    ],
)
def test_how_a_run_ended(tmp_path: Path, settings: dict[str, Any], rows: str, status: str) -> None:
    folder = run_folder(tmp_path / "run", [0.1], **settings)
    heads = " epoch ,  metrics/mAP50(B), metrics/mAP50-95(B)\n"
    (folder / "results.csv").write_text(heads + rows, encoding="utf-8")
    assert read_run(folder).status == status


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("args.yaml", b"a: &x [1]\nb: *x\n"),
        ("args.yaml", b"a: !!python/object/apply:os.system [id]\n"),
        ("args.yaml", b"- 1\n"),
        ("args.yaml", b"a: {b: {c: {d: {e: 1}}}}\n"),
        ("args.yaml", b"a: " + b"x" * 300_000),
        ("args.yaml", b"\xff\xfe\x00\xd8"),
        ("args.yaml", b"a: [\n"),
        ("results.csv", b""),
        ("results.csv", b"epoch,loss\n1,2\n"),
        ("results.csv", b"epoch," + b"x," * 5000 + b"\n"),
        ("results.csv", b"\x80\x81\xff\n"),
    ],
)
def test_hostile_folders_are_one_line(tmp_path: Path, file: str, content: bytes) -> None:
    folder = run_folder(tmp_path / "run", [0.1])
    (folder / file).write_bytes(content)
    with pytest.raises(StudyError) as error:
        read_run(folder)
    line = error.value.line()
    assert error.value.code in {"YG660", "YG666"} and file in line and "\n" not in line


def test_no_key_of_a_service_reaches_the_document(tmp_path: Path) -> None:
    folder = tmp_path / "exp0"
    shutil.copytree(FIXTURES / "yolov5" / "exp0", folder)
    text = (folder / "opt.yaml").read_text(encoding="utf-8")
    (folder / "opt.yaml").write_text(text.replace("hf_token: null", "hf_token: secret"), encoding="utf-8")
    assert "secret" not in str(judge_runs([folder], Asked()).document)


def test_every_note_says_the_same_in_both_languages() -> None:
    import string

    for english, chinese in WORDS.values():
        facts = [{f[1] for f in string.Formatter().parse(text) if f[1]} for text in (english, chinese)]
        assert facts[0] == facts[1]
