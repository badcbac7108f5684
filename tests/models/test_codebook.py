"""Code runs because the user names its file, never because a stored spec mentions it."""

from __future__ import annotations

from pathlib import Path

import pytest

from yolograft.errors import CheckpointError, ModuleError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build, model_spec
from yolograft.models.codebook import from_files, from_grafts, references

BASE = model_spec("yolov8n", num_classes=2)
CODE = """from pathlib import Path
from torch import nn

with Path(__file__).with_suffix(".log").open("a", encoding="utf-8") as log:
    log.write("ran")

class First(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
    def forward(self, x):
        return x + self.conv(x)

class Second(First):
    pass
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "att.py"
    path.write_text(CODE, encoding="utf-8")
    return path


def ran(file: Path) -> bool:
    return file.with_suffix(".log").exists()


def spec_of(file: Path) -> ModelSpec:
    text = (
        f"{file}::First@neck.p3,neck.p4+{file}::Second@inside:backbone.p2+{file}::First@head.p3.cls+se@stem"
    )
    return graft(BASE, parse_graft(text))


def test_references_are_named_once_in_order_of_first_use(file: Path) -> None:
    assert references(spec_of(file)) == (f"{file}::First", f"{file}::Second")
    assert references(BASE) == () == references(graft(BASE, parse_graft("se@stem+timm:eca@neck.p3")))


def test_parsing_and_grafting_run_nothing(file: Path) -> None:
    spec = ModelSpec.from_json(spec_of(file).to_json())
    with pytest.raises(ModuleError):
        build(spec)
    assert not ran(file)


def test_an_expression_names_its_own_file(file: Path) -> None:
    arms = [parse_graft(f"{file}::First@neck.p3"), parse_graft(f"{file}::Second@stem+{file}::First@stem")]
    book = from_grafts([*arms, parse_graft("se@stem")])
    assert set(book) == {f"{file}::First", f"{file}::Second"} and ran(file)
    build(graft(BASE, *arms), code=book)
    assert from_grafts([parse_graft("se@stem+timm:eca@stem")]) == {}


def test_a_stored_spec_asks_for_the_file_and_checks_its_hash(file: Path, tmp_path: Path) -> None:
    spec = spec_of(file)
    hashes = {ref: user.sha256 for ref, user in from_grafts([parse_graft(f"{file}::First@stem")]).items()}
    hashes[f"{file}::Second"] = hashes[f"{file}::First"]
    moved = tmp_path / "elsewhere" / "att.py"
    moved.parent.mkdir()
    moved.write_text(CODE, encoding="utf-8")
    book = from_files(hashes, [tmp_path / "other.py", str(moved)])
    assert book.keys() == hashes.keys() and ran(moved)
    build(spec, code=book)
    with pytest.raises(CheckpointError) as caught:
        from_files(hashes, [tmp_path / "other.py"])
    assert caught.value.code == "YG410" and f"--code {file}" in str(caught.value)


def test_changed_code_is_refused_before_it_runs(file: Path, tmp_path: Path) -> None:
    hashes = {f"{file}::First": from_grafts([parse_graft(f"{file}::First@stem")])[f"{file}::First"].sha256}
    changed = tmp_path / "changed" / "att.py"
    changed.parent.mkdir()
    changed.write_text(CODE + "\n", encoding="utf-8")
    with pytest.raises(ModuleError) as caught:
        from_files(hashes, [changed])
    assert caught.value.code == "YG224" and not ran(changed)


def test_installed_classes_go_by_their_dotted_name() -> None:
    arm = parse_graft("torch.nn::Conv2d:kernel_size=1@neck.p3")
    book = from_grafts([arm])
    hashes = {ref: user.sha256 for ref, user in book.items()}
    assert from_files(hashes, ["torch.nn"]) == book
    build(graft(BASE, arm), code=book)
