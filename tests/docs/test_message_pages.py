"""Every message code is explained in both languages, and what is shown is what the program says."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from yolograft import graft, inspect_spec, model_spec, open_dataset, parse_graft
from yolograft.data.findings import FINDINGS, REFUSALS
from yolograft.engine.device import places
from yolograft.errors import MAX_LINE, YolograftError
from yolograft.models.build import sketch
from yolograft.models.weights import kept_weights

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r'"(YG\d{3})"')
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """`tools/message_pages.py` as a module."""
    spec = importlib.util.spec_from_file_location("message_pages", ROOT / "tools" / "message_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def messages(tool: ModuleType) -> dict:
    return {message.code: message for group in tool.read_groups() for message in group.messages}


def codes_in_source() -> set[str]:
    files = (ROOT / "src").rglob("*.py")
    return {code for file in files for code in CODE.findall(file.read_text(encoding="utf-8"))}


def test_every_code_is_explained_and_no_other(messages: dict) -> None:
    assert sorted(messages) == sorted(codes_in_source())


def test_both_languages_say_it(messages: dict) -> None:
    for code, message in messages.items():
        for lang, words in message.words.items():
            for text in (words.title, words.why, words.fix):
                assert text and bool(HAN.search(text)) == (lang == "zh"), (code, lang, text)
            # A title is a name; a sentence belongs below it.
            assert len(words.title) <= 60 and words.title[-1] not in ".。", (code, lang)


def test_findings_and_refusals_are_where_readers_have_them(tool: ModuleType, messages: dict) -> None:
    groups = dict(zip(tool.GROUPS, tool.read_groups(), strict=True))
    assert {m.code for m in groups["findings"].messages} == set(FINDINGS)
    assert set(REFUSALS) <= {m.code for m in groups["data"].messages}
    for code, (action, _) in FINDINGS.items():
        assert messages[code].action("en") == action and messages[code].action("zh")
    for lang, file in tool.PAGES.items():
        page = (ROOT / file).read_text(encoding="utf-8")
        for code in FINDINGS:
            assert f"| [{code}](#{code.lower()}) | {messages[code].words[lang].title} | " in page


def test_pages_are_what_the_tool_writes(tool: ModuleType, tmp_path: Path) -> None:
    assert tool.out_of_date(ROOT) == []
    assert tool.out_of_date(tmp_path) == ["docs/errors.md", "docs/errors.zh.md"]


def test_every_link_on_a_page_has_its_heading(tool: ModuleType) -> None:
    for text in tool.documents().values():
        headings = re.findall(r"^### (YG\d{3})$", text, re.MULTILINE)
        assert set(re.findall(r"\(#(yg\d{3})\)", text)) == {code.lower() for code in headings}
        assert len(headings) == len(set(headings))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    zh:\n", "    fr:\n"),
        ("      why: ", "      cause: "),
        ("YG702:", "YG101:"),
        ("fix: Use", "fix: ''\n#"),
    ],
)
def test_a_faulty_source_is_refused(tool: ModuleType, tmp_path: Path, old: str, new: str) -> None:
    for file in tool.SOURCE.glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        (tmp_path / file.name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError):
        tool.read_groups(tmp_path)


def _joined_maps() -> str:
    inspect_spec(graft(model_spec("yolov8n"), parse_graft("upsample@backbone.p4")))
    return ""


def _wrong_weights() -> str:
    small = sketch(model_spec("yolov8s")).state_dict()
    kept_weights(sketch(model_spec("yolov8n")), small, num_classes=80)
    return ""


def _one_entry() -> str:
    printed = parse_graft("double_att:c_n=1,reproject=off@backbone.p2")
    notes = [fact.note for fact in inspect_spec(graft(model_spec("yolov8n"), printed))]
    return next(note for note in notes if "YG241" in note)


def _ids_from_one(folder: Path) -> str:
    import cv2
    import numpy as np

    for part in ("images", "labels"):
        (folder / part / "train").mkdir(parents=True)
    cv2.imwrite(str(folder / "images/train/a.png"), np.zeros((64, 64, 3), np.uint8))
    (folder / "labels/train/a.txt").write_text("1 .5 .5 .5 .5\n2 .5 .5 .2 .2\n", encoding="utf-8")
    (folder / "data.yaml").write_text("train: images/train\nnames: [cat, dog]\n", encoding="utf-8")
    open_dataset(folder)
    return ""


def _old_gpu(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda place: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda place: "NVIDIA GeForce GTX 1080 Ti")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90"])
    places("0")
    return ""


@pytest.mark.parametrize("code", ["YG205", "YG420", "YG241", "YG706", "YG309"])
def test_the_first_five_are_shown_as_they_are_said(
    code: str, tool: ModuleType, messages: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say = {
        "YG205": _joined_maps,
        "YG420": _wrong_weights,
        "YG241": _one_entry,
        "YG706": lambda: _old_gpu(monkeypatch),
        "YG309": lambda: _ids_from_one(tmp_path),
    }
    assert tuple(say) == tool.FIRST
    try:
        line = say[code]()
    except YolograftError as error:
        line = error.line()
    assert line.replace(f"{tmp_path}/", "") == messages[code].example
    assert len(messages[code].example) <= MAX_LINE and messages[code].example.startswith(f"{code} ")
