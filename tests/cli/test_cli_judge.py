"""``yolograft judge`` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from yolograft.errors import StudyError
from yolograft.study.judge.naming import files_of, groups_of, read_looks

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "judge"
GT, FILES, RUNS = FIXTURES / "ground_truth.json", FIXTURES / "predictions", FIXTURES / "ultralytics"


def test_prediction_files(command, tmp_path: Path) -> None:
    base = [FILES / f"flip{k}.json" for k in range(3)]
    answer = command("judge", "--gt", GT, "--base", *base, "--new", f"plain={FILES}/plain*.json",
                     "--save", tmp_path / "out", "--margin", "1")  # fmt: skip
    assert answer.code == 0, answer.err
    assert "plain: " in answer.out and "AP" in answer.out and (tmp_path / "out" / "judge.json").is_file()
    again = command("judge", "--gt", GT, "--base", *base, "--new", *FILES.glob("plain*"), "--json",
                    "--new-name", "plain")  # fmt: skip
    assert again.json["arms"][1]["label"] == "plain" and len(again.json["arms"][1]["runs"]) == 3
    taken = command("judge", "--gt", GT, "--base", *base, "--new", *base, "--save", tmp_path / "out")
    assert taken.code == 2 and taken.err.startswith("YG665")


def test_run_folders_in_chinese(command) -> None:
    answer = command("judge", f"{RUNS}/*", "--lang", "zh")
    assert answer.code == 0 and "基线" in answer.out and "最佳轮次" in answer.out, answer.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], "YG665"), (["no/such/folder"], "YG666"), (["no/such/*"], "YG665"), (["a**b"], "YG665"),
        (["--base", FILES / "flip0.json", "--new", FILES / "flip1.json"], "YG665"),
        (["--gt", GT, "--base", FILES / "flip0.json"], "YG665"),
        (["--gt", "none.json", "--base", "a.json", "--new", "b.json"], "YG660"),
        (["--gt", FILES / "flip0.json", "--base", "a.json", "--new", "b.json"], "YG661"),
        ([RUNS / "flip0", "--new", "b.json"], "YG665"),
        (["--gt", GT, "--base", GT, "--new", GT], "YG662"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line(command, words: list[object], code: str) -> None:
    answer = command("judge", *words)
    assert answer.code == 2 and answer.err.startswith(code) and answer.err.count("\n") == 1, answer.err


@pytest.mark.parametrize("option", ["--save", "--margin", "--gt", "--new-name", "--category-ids", "--base"])
def test_a_run_folder_of_ours_takes_no_other_option(command, tmp_path: Path, option: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text("{}", encoding="utf-8")
    values = {"--margin": "2", "--category-ids": "ids"}
    answer = command("judge", tmp_path / "run", option, values.get(option, tmp_path / "x"))
    assert answer.code == 2 and answer.err.startswith("YG665") and f"{option} beside" in answer.err
    assert not (tmp_path / "x").exists()
    assert command("judge", tmp_path / "run").err.startswith("YG403")
    assert command("judge", RUNS / "flip0", "--new-name", "cbam").err.startswith("YG665")


def test_an_equals_sign_in_a_path_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("lr=0.1", "a"):
        (tmp_path / folder).mkdir()
        for k in (10, 2):
            (tmp_path / folder / f"b{k}.json").write_text("[]", encoding="utf-8")
    found = groups_of(["lr=0.1/b*.json", "lr=a/b*.json", "x/y=1/b.json"], "new")
    assert {label: [str(p) for p in files] for label, files in found.items()} == {
        "new": ["lr=0.1/b2.json", "lr=0.1/b10.json"], "lr": ["a/b2.json", "a/b10.json", "x/y=1/b.json"],
    }  # fmt: skip


def test_groups_by_name(tmp_path: Path) -> None:
    for name in ("a2.json", "a10.json", "x=y.json"):
        (tmp_path / name).write_text("[]", encoding="utf-8")
    assert [path.name for path in files_of([f"{tmp_path}/a*.json"])] == ["a2.json", "a10.json"]
    odd = str(tmp_path / "x=y.json")
    groups = groups_of([odd, "cbam=1.json,2.json", "3.json", "se=4.json"], "new")
    assert {label: [p.name for p in files] for label, files in groups.items()} == {
        "new": ["x=y.json"], "cbam": ["1.json", "2.json", "3.json"], "se": ["4.json"],
    }  # fmt: skip
    for words in (["a=1.json", "a=2.json"], ["a="], ["=1.json"]):
        with pytest.raises(StudyError, match="YG665"):
            groups_of(words, "new")
    assert read_looks("3, 5,10") == (3, 5, 10) and read_looks(None) == ()
    with pytest.raises(StudyError, match="YG665"):
        read_looks("3;5")
