"""`yolograft new MyAtt`: a module and a test that work as written, and nothing overwritten."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from yolograft.cli.new_verb import file_stem
from yolograft.doctor import check_module
from yolograft.doctor.examine import CHECKS
from yolograft.errors import ModuleError
from yolograft.graph.expr import parse_graft


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # The pytest inside is a user's own: options for the one around it are not for it.
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return tmp_path


def test_what_is_written_passes_the_doctor_and_its_own_test(here: Path, command: Any) -> None:
    answer = command("new", "MyAtt")
    assert answer.code == 0 and answer.err == ""
    assert sorted(file.name for file in here.iterdir()) == ["my_att.py", "test_my_att.py"]
    for line in ('doctor "my_att.py::MyAtt"', 'show yolov8n --graft "my_att.py::MyAtt@neck.p3"'):
        assert f": yolograft {line}" in answer.out
    report = check_module("my_att.py::MyAtt", channels=64)
    assert {row.status for row in report.rows} == {"pass"} and len(report.rows) == len(CHECKS), report.text()
    shown = command("show", "yolov8n", "--graft", "my_att.py::MyAtt:reduction=8@neck.p3")
    assert shown.code == 0 and "MyAtt(in_channels=64, reduction=8)" in shown.out


def test_the_written_test_holds_and_sees_a_fault(
    here: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from yolograft.doctor import examine

    for name in examine.SLOW:  # made above
        monkeypatch.delitem(examine.CHECKS, name)
    assert command("new", "MyAtt").code == 0
    assert run_tests(here) == pytest.ExitCode.OK
    module = here / "my_att.py"
    text = module.read_text(encoding="utf-8")
    faulty = text.replace("return x + x * gate", "return x + x * gate.detach()")
    assert faulty != text
    module.write_text(faulty, encoding="utf-8")
    assert run_tests(here) == pytest.ExitCode.TESTS_FAILED


def run_tests(folder: Path) -> int:
    """pytest on the folder, in this process: torch takes seconds to import again."""
    plain = ["-p", "no:xdist", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder)]
    return pytest.main(["-q", *plain, str(folder)])


def test_nothing_is_overwritten(here: Path, command: Any) -> None:
    (here / "test_my_att.py").write_text("# mine\n", encoding="utf-8")
    answer = command("new", "MyAtt")
    assert answer.code == 2 and answer.err.startswith("YG197 test_my_att.py: ")
    assert answer.err.count("\n") == 1 and answer.out == ""
    assert [file.name for file in here.iterdir()] == ["test_my_att.py"]
    assert (here / "test_my_att.py").read_text(encoding="utf-8") == "# mine\n"


def test_another_folder_is_made_and_named_in_the_commands(here: Path, command: Any) -> None:
    answer = command("new", "SEBlock2D", "--folder", "att/mine", "--json")
    assert answer.code == 0 and (here / "att" / "mine" / "se_block2d.py").is_file()
    assert answer.json["next"][0] == 'yolograft doctor "att/mine/se_block2d.py::SEBlock2D"'
    assert "已写入" in command("new", "Att", "--lang", "zh").out


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("MyAtt", "my_att"),
        ("ECA", "eca"),
        ("CBAMBlock", "cbam_block"),
        ("Att2", "att2"),
        ("My_Att", "my_att"),
    ],
)
def test_the_file_is_named_after_the_class(name: str, stem: str) -> None:
    assert file_stem(name) == stem


@pytest.mark.parametrize("name", ["my_att", "My Att", "../Att", "None", "My-Att", "Att::B", ""])
def test_what_is_no_class_name_is_refused(name: str) -> None:
    with pytest.raises(ModuleError, match="YG196"):
        file_stem(name)


@pytest.mark.parametrize(
    "name", ["Torch", "Numpy", "Yolograft", "TypingExtensions", "Random", "Conftest", "Test"]
)
def test_a_name_that_hides_a_package_is_refused(here: Path, command: Any, name: str) -> None:
    answer = command("new", name)
    assert answer.code == 2 and answer.out == "" and list(here.iterdir()) == []
    assert answer.err.startswith("YG196 ") and f"{file_stem(name)}.py would hide" in answer.err


def test_a_file_of_ones_own_hides_nothing(here: Path, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # `python -m yolograft` has the current folder on the path.
    monkeypatch.syspath_prepend(str(here))
    assert command("new", "MyOwnAtt").code == 0
    assert command("new", "MyOwnAtt", "--folder", "two").code == 0


@pytest.mark.parametrize("folder", ["a+b", "k=3", "me@home", "1:2", "x,y", "run=1/a b"])
def test_a_folder_that_no_expression_can_hold_is_gone_into(
    here: Path, command: Any, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    answer = command("new", "MyAtt", "--folder", folder, "--json")
    assert answer.code == 0 and (here / folder / "my_att.py").is_file()
    expressions = [line.split('"')[1] for line in answer.json["next"] if "--graft" in line]
    reference = parse_graft(expressions[0]).terms[0].ref.module
    first = answer.json["next"][0]
    place = here / folder if first == f'cd "{folder}"' else here
    assert (place / reference.partition("::")[0]).is_file()
    examined = next(line.split('"')[1] for line in answer.json["next"] if "doctor" in line)
    monkeypatch.chdir(place)
    assert examined == reference and check_module(examined, checks=["builds"]).passed
    monkeypatch.chdir(here)
    text = command("new", "Other", "--folder", "a+b")
    assert 'go there first: cd "a+b"' in text.out
