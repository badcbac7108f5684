"""The chain of origins of a model: followed to the root, or said to end, and nothing made up."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from yolograft.data.shapes import shapes
from yolograft.engine.arm import Arm
from yolograft.engine.checkpoint import read_json, write_json
from yolograft.engine.modelfolder import store_model, tensors_sha256
from yolograft.engine.recipe import Recipe
from yolograft.errors import CheckpointError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import model_spec, sketch
from yolograft.models.catalog import find
from yolograft.models.codebook import from_grafts
from yolograft.models.detector import key_of
from yolograft.models.foreign.names import their_name
from yolograft.study.planning.create import create_study
from yolograft.study.planning.plan import Plan
from yolograft.study.provenance import TEACHER, provenance
from yolograft.study.provenance_words import _EN_ZH, sentences

HAN = re.compile(r"[\u4e00-\u9fff]")
OWN = "from torch import nn\nclass Mine(nn.Identity):\n    def __init__(self, channels): super().__init__()\n"
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of a study as it is really planned: on a folder, with modules of every origin."""
    base = tmp_path_factory.mktemp("planned")
    mine = base / "mine.py"
    mine.write_text(OWN, encoding="utf-8")
    grafts = [
        parse_graft(t) for t in ("coord_att@neck.p3", "timm:eca@neck.p4", f"{mine}::Mine@inside:neck.p5")
    ]
    recipe = Recipe(epochs=1, batch=4, imgsz=(64, 64), precision="fp32")
    data = shapes(train=8, val=4, size=64).root
    plan = Plan("compare", "yolov8n", str(data), tuple(grafts), (0,), recipe)
    run = create_study(plan, base=base, name="x", code=from_grafts(grafts))
    return json.loads((run / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture
def make_run(planned: dict[str, Any], tmp_path: Path) -> Make:
    """make_run("b", weights=FOLDER, data=FOLDER) writes a run folder and returns its model folder."""

    def make(name: str, *, weights: Path | None = None, data: Path | None = None, **facts: Any) -> Path:
        manifest = copy.deepcopy(planned)
        if weights is not None:
            manifest["weights"] = str(weights)
            manifest["weights_sha256"] = tensors_sha256(weights) if weights.is_dir() else ""
            origin = read_json(weights / "state.json").get("origin") if weights.is_dir() else None
            manifest["weights_origin"] = origin
        if data is not None:
            manifest["data"] |= {"path": str(data), "name": data.name}
        manifest |= facts
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "manifest.json", manifest)
        return make_model(tmp_path / name / "arms" / "baseline" / "seed-0" / "model")

    return make


def make_model(folder: Path, *, graft_text: str = "", **about: Any) -> Path:
    """A model folder with one tensor, another one for every folder."""
    spec = model_spec("yolov8n", num_classes=5)
    spec = graft(spec, parse_graft(graft_text)) if graft_text else spec
    marked = torch.tensor(list(str(folder).encode()))
    about = {"imgsz": [64, 64], "names": ["a"], "data": {"train": "f" * 64, "eval": "e" * 64}, **about}
    store_model(folder, Arm("baseline", spec), {"w": marked}, about)
    return folder


def imported(folder: Path, **origin: Any) -> Path:
    facts = {
        "file": "yolov8n.pt",
        "sha256": "ab" * 32,
        "layout": "ultralytics",
        "licence": "AGPL-3.0",
        "epoch": 4,
    }
    return make_model(folder, origin={**facts, **origin})


def state_of_theirs() -> dict[str, torch.Tensor]:
    """The keys and shapes of a YOLOv8n of ultralytics for five classes: rows by number."""
    spec = model_spec("yolov8n", num_classes=5)
    shapes_here = {key: value.shape for key, value in sketch(spec).state_dict().items()}
    state = {}
    for row, layer in enumerate(spec.layers):
        start = f"layers.{key_of(layer.name)}."
        for key in (key for key in shapes_here if key.startswith(start)):
            name = their_name("yolov8", layer.module, key.removeprefix(start))
            state[f"model.{row}.{name}"] = torch.zeros(shapes_here[key])
    return state


def run_of(model: Path) -> Path:
    return model.parents[3]


def kinds(found: dict[str, Any]) -> list[str]:
    return [link["kind"] for link in found["weights"]]


def test_code_has_every_origin(planned: dict[str, Any], make_run: Make) -> None:
    found = provenance(run_of(make_run("a")))
    rows = {row["name"]: row for row in found["code"]}
    own = next(iter(planned["code"]))
    assert next(iter(rows)) == "yolograft"
    assert rows["yolograft"]["version"] == planned["environment"]["yolograft"]
    assert rows["coord_att"]["paper"] == find("coord_att").paper
    assert rows["coord_att"]["licence"] == find("coord_att").licence == "Apache-2.0"
    assert (rows["timm:eca"]["origin"], rows["timm:eca"]["licence"]) == ("timm", "Apache-2.0")
    assert rows[own]["origin"] == "own" and rows[own]["licence"] == ""
    assert rows[own]["sha256"] == hashlib.sha256(OWN.encode()).hexdigest()
    # Plain parts of ours without a paper are what `yolograft` means.
    assert not {"conv", "concat", "c2f", "upsample", "yolov8_head"} & set(rows)
    text = "\n".join(found["says"])
    assert "timm:eca comes from timm (Apache-2.0)" in text and f"{own} is a file you gave" in text


def test_a_model_folder_answers_for_its_own_arm(make_run: Make, tmp_path: Path) -> None:
    model = make_run("a")
    found = provenance(model)
    assert found["subject"] == {"kind": "model", "path": str(model), "model": "yolov8n"}
    assert not any("coord_att" in row["name"] for row in found["code"])
    grafted = make_model(model.with_name("other"), graft_text="se@inside:neck.p3")
    assert "se" in [row["name"] for row in provenance(grafted)["code"]]


def test_a_module_of_an_installed_package_says_its_metadata(planned: dict[str, Any], make_run: Make) -> None:
    arms = copy.deepcopy(planned["arms"])
    arms[1]["spec"]["layers"][0]["module"] = "torchvision.ops.misc::SqueezeExcitation"
    arms[1]["spec"]["layers"][1]["module"] = "nobody_has_this.package::Thing"
    rows = {row["name"]: row for row in provenance(run_of(make_run("a", arms=arms)))["code"]}
    assert rows["torchvision.ops.misc::SqueezeExcitation"]["origin"] == "package"
    assert "BSD" in rows["torchvision.ops.misc::SqueezeExcitation"]["licence"]
    assert rows["nobody_has_this.package::Thing"]["licence"] == ""


def test_a_fresh_start(make_run: Make) -> None:
    found = provenance(run_of(make_run("a")))
    assert found["weights"] == [{"kind": "fresh"}]
    assert len(found["data"]) == 1 and "random numbers" in "\n".join(found["says"])


def test_the_chain_goes_to_the_root(make_run: Make, tmp_path: Path, planned: dict[str, Any]) -> None:
    cells, planes = tmp_path / "cells", tmp_path / "planes"
    for folder, licence in ((cells, "CC BY 4.0"), (planes, "CC BY-NC 4.0")):
        folder.mkdir()
        (folder / "README.md").write_text(f"License: {licence}\n", encoding="utf-8")
    root = imported(tmp_path / "imported")
    first = make_run("a", weights=root, data=cells)
    second = make_run("b", weights=first, data=planes)
    third = make_run("c", weights=second, data=planes)
    for subject in (run_of(third), third):
        found = provenance(subject)
        assert kinds(found) == ["trained", "trained", "file"]
        assert [link["path"] for link in found["weights"]] == [str(second), str(first), str(root)]
        assert [link["sha256"] for link in found["weights"][:2]] == [
            tensors_sha256(second),
            tensors_sha256(first),
        ]
        assert found["weights"][2] == {
            "kind": "file", "path": str(root), "file": "yolov8n.pt", "sha256": "ab" * 32,
            "layout": "ultralytics", "tool": "", "licence": "AGPL-3.0", "epoch": 4,
        }  # fmt: skip
        assert [row["name"] for row in found["data"]] == ["planes", "planes", "cells"]
        texts = [row["licences"][0]["text"] for row in found["data"]]
        assert texts == ["CC BY-NC 4.0", "CC BY-NC 4.0", "CC BY 4.0"]
        train = planned["data"]["train"]["fingerprint"]
        assert all(row["fingerprints"]["train"] == train for row in found["data"])
        lines = found["says"]
        assert any("yolov8n.pt, which states AGPL-3.0" in line for line in lines)
        assert len(lines) == len(set(lines)) and "no legal advice" in lines[-1]
        assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ({"licence": "", "layout": "ultralytics"}, "trained by ultralytics code, published under AGPL-3.0"),
        ({"licence": "", "layout": "yolov5"}, "trained by YOLOv5 code, published under AGPL-3.0"),
        ({"licence": "", "layout": "yolox", "file": "yolox_s.pth"}, "YOLOX code, published under Apache-2.0"),
        ({"licence": "MIT", "layout": "yolox"}, "states MIT"),
        ({"licence": "", "layout": ""}, "states no licence: ask its author"),
        ({"licence": None, "layout": "new", "sha256": None}, "states no licence: ask its author"),
    ],
)
def test_what_a_file_states_is_said(origin: dict[str, Any], words: str, tmp_path: Path) -> None:
    found = provenance(imported(tmp_path / "m", **origin))
    assert kinds(found) == ["file"] and found["data"] == []
    assert any(words in line for line in found["says"])
    assert ("AGPL-3.0" in "\n".join(found["says"])) == ("AGPL-3.0" in words)


def test_a_file_given_as_it_is(make_run: Make, tmp_path: Path) -> None:
    """What was written down when the study was planned outlives the file."""
    origin = {"file": "last.pt", "sha256": "cd" * 32, "layout": "yolov5", "licence": "", "tool": "yolov5 7.0"}
    first = make_run("a", weights=tmp_path / "last.pt", weights_origin=origin)
    for found in (provenance(first), provenance(run_of(first))):
        assert kinds(found) == ["file"]
        assert found["weights"][0] == {
            **origin,
            "kind": "file",
            "path": str(tmp_path / "last.pt"),
            "epoch": None,
        }
    assert kinds(provenance(make_run("b", weights=first))) == ["trained", "file"]


@pytest.mark.parametrize("licence", [None, "AGPL-3.0"])
def test_a_file_speaks_for_itself(licence: str | None, tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    torch.save({"model": state_of_theirs(), **({"license": licence} if licence else {})}, file)
    found = provenance(file)
    (link,) = found["weights"]
    assert (link["kind"], link["file"], link["layout"]) == ("file", "last.pt", "ultralytics")
    assert link["licence"] == (licence or "")
    assert link["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert found["code"] == found["data"] == [] and len(found["says"]) == 3


def test_a_chain_that_ends_says_where_and_why(make_run: Make, tmp_path: Path) -> None:
    first = make_run("a")
    second = make_run("b", weights=first)
    stood = first.rename(tmp_path / "moved")
    gone = provenance(second)
    assert kinds(gone) == ["lost"] and gone["weights"][0]["why"] == "gone"
    assert str(first) in "\n".join(gone["says"]) and gone["weights"][0]["sha256"] == tensors_sha256(stood)
    # Other weights in its place are not what the run started from.
    make_model(first, which="another")
    (first / "state.json").write_bytes((make_model(tmp_path / "spare") / "state.json").read_bytes())
    changed = provenance(second)
    assert kinds(changed) == ["lost"] and changed["weights"][0]["why"] == "changed"
    alone = provenance(stood)
    assert kinds(alone) == ["lost"] and alone["weights"][0]["why"] == "alone"
    assert alone["data"][0]["fingerprints"] == {"train": "f" * 64, "eval": "e" * 64}
    later = provenance(make_run("c", weights=stood))
    assert kinds(later) == ["trained", "lost"] and later["weights"][1]["why"] == "alone"
    # As of a subject that stands alone, its fingerprints are told, be it start or teacher.
    taught = provenance(run_of(make_run("d", teacher=lesson(stood))))
    for found, role in ((later, {}), (taught, TEACHER)):
        assert found["data"][1:] == [alone["data"][0] | role]
        assert any("keeps fingerprints of its data" in line for line in found["says"])


def test_a_damaged_ancestor_ends_the_chain(make_run: Make) -> None:
    first = make_run("a")
    second = make_run("b", weights=first)
    (run_of(first) / "manifest.json").write_text("{", encoding="utf-8")
    assert kinds(provenance(second)) == ["lost"]
    digest = tensors_sha256(first)
    for state in ({"kind": "arm"}, {"kind": "model"}, {"kind": "model", "spec": {"layers": 3}}, []):
        whole = state | {"sha256": digest} if isinstance(state, dict) else state
        (first / "state.json").write_text(json.dumps(whole), encoding="utf-8")
        assert kinds(provenance(second)) == ["lost"]


def test_a_circle_ends(make_run: Make) -> None:
    first = make_run("a")
    second = make_run("b", weights=first)
    manifest = read_json(run_of(first) / "manifest.json")
    manifest |= {"weights": str(second), "weights_sha256": ""}
    write_json(run_of(first) / "manifest.json", manifest)
    found = provenance(second)
    assert kinds(found) == ["trained", "trained", "lost"] and found["weights"][2]["why"] == "circle"


def roles(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(link.get("role", ""), link["kind"]) for link in found["weights"]]


def lesson(folder: Path, **facts: Any) -> dict[str, Any]:
    """What a manifest says of a teacher."""
    return {"path": str(folder), "sha256": tensors_sha256(folder), "model": "yolov8n", **facts}


def test_a_file_that_taught_is_in_the_chain(make_run: Make, tmp_path: Path) -> None:
    origin = {"file": "last.pt", "sha256": "cd" * 32, "layout": "ultralytics", "licence": "AGPL-3.0"}
    told = {"path": str(tmp_path / "last.pt"), "sha256": "cd" * 32, "model": "yolov8n", "origin": origin}
    plain = make_run("a", teacher=told)
    taught = make_model(plain.parent.with_name("seed-1") / "model", taught_by=told)
    for subject in (run_of(plain), taught):
        found = provenance(subject)
        assert roles(found) == [("", "fresh"), ("teacher", "file")]
        said = "\n".join(found["says"])
        assert "teacher: the chain goes back to last.pt, which states AGPL-3.0" in said
        assert "weights: the chain begins with random numbers\n" in said and "no other weights" not in said
        assert "whether its licence reaches its pupils, no file says" in said
        assert "trained on before is not written in it" in said
        assert len(provenance(subject, lang="zh")["says"]) == len(found["says"])
        assert "教师：源自 last.pt" in "\n".join(provenance(subject, lang="zh")["says"])
    # The arm beside it learned from nobody.
    assert roles(provenance(plain)) == [("", "fresh")]
    # Who starts from a pupil has its teacher behind him as well.
    assert roles(provenance(make_run("b", weights=taught))) == [
        ("", "trained"),
        ("", "fresh"),
        ("teacher", "file"),
    ]


def test_a_teacher_is_followed_with_its_data_and_its_code(make_run: Make, tmp_path: Path) -> None:
    planes = tmp_path / "planes"
    planes.mkdir()
    (planes / "README.md").write_text("License: CC BY-NC 4.0\n", encoding="utf-8")
    mine = tmp_path / "mine.py"
    mine.write_text(OWN.replace("Mine", "Theirs"), encoding="utf-8")
    oldest = make_run("oldest", data=planes)
    at = make_run("t", weights=imported(tmp_path / "imported")).with_name("best")
    its = make_model(at, graft_text=f"{mine}::Theirs@neck.p3", taught_by=lesson(oldest))
    taught = make_model(make_run("a").with_name("best"), taught_by=lesson(its))
    found = provenance(taught)
    assert roles(found) == [
        ("", "fresh"),
        ("teacher", "trained"),
        ("teacher", "file"),
        ("teacher", "trained"),
        ("teacher", "fresh"),
    ]
    assert [row["name"] for row in found["data"] if "role" in row][-1] == "planes"
    assert "CC BY-NC 4.0" in "\n".join(found["says"])
    (row,) = [row for row in found["code"] if "role" in row]
    assert row["origin"] == "own" and row["name"].endswith("::Theirs")
    # Two that taught each other are a tale of hand-changed files, and it ends.
    state = read_json(oldest / "state.json")
    write_json(oldest / "state.json", state | {"taught_by": lesson(its)})
    assert roles(provenance(taught)) == roles(found)
    # Who taught himself a second time stands there as start and as teacher.
    again = make_run("c", weights=oldest, teacher=lesson(oldest), data=planes)
    assert roles(provenance(run_of(again)))[:3] == [("", "trained"), ("", "fresh"), ("teacher", "trained")]
    gone = provenance(make_model(taught.with_name("gone"), taught_by={"path": "nowhere", "sha256": "x"}))
    assert roles(gone) == [("", "fresh"), ("teacher", "lost")]
    # What is no teacher at all teaches nobody.
    for nonsense in ("x", 3, {"path": 4}, []):
        assert roles(provenance(make_model(taught.with_name("odd"), taught_by=nonsense))) == [("", "fresh")]


def test_data_that_is_built_in_or_gone_or_silent(
    make_run: Make, tmp_path: Path, planned: dict[str, Any]
) -> None:
    silent = tmp_path / "silent"
    silent.mkdir()
    lines = provenance(run_of(make_run("a", data=silent)))["says"]
    assert any("silent states no licence" in line for line in lines)
    silent.rmdir()
    found = provenance(tmp_path / "a")
    assert not found["data"][0]["found"] and any("not at" in line for line in found["says"])
    built_in = planned["data"] | {"path": "shapes", "name": "shapes"}
    write_json(tmp_path / "a" / "manifest.json", planned | {"data": built_in})
    found = provenance(tmp_path / "a")
    assert found["data"][0]["licences"] == [{"text": "Apache-2.0", "file": "yolograft"}]
    assert any("drawn by yolograft" in line for line in found["says"])


def test_what_has_no_chain_is_refused(make_run: Make, tmp_path: Path) -> None:
    file = tmp_path / "yolov8n.pt"
    file.write_bytes(b"x")
    checkpoint = make_run("a")
    state = read_json(checkpoint / "state.json")
    write_json(checkpoint / "state.json", state | {"kind": "arm"})
    for place, code in (
        (file, "YG43"),
        (tmp_path, "YG401"),
        (tmp_path / "no", "YG401"),
        (checkpoint, "YG405"),
    ):
        with pytest.raises(CheckpointError) as caught:
            provenance(place)
        assert caught.value.code.startswith(code)


def test_both_languages_say_the_same(make_run: Make, tmp_path: Path) -> None:
    for key, (english, chinese) in _EN_ZH.items():
        fields = [{f for _, f, _, _ in string.Formatter().parse(text) if f} for text in (english, chinese)]
        assert fields[0] == fields[1], key
        assert bool(HAN.search(chinese)) and not HAN.search(english), key
    first = make_run("a", weights=imported(tmp_path / "m", licence=""))
    model = make_run("b", weights=first)
    english, chinese = provenance(model), provenance(model, lang="zh")
    assert len(english["says"]) == len(chinese["says"]) and all(HAN.search(line) for line in chinese["says"])
    assert {k: v for k, v in english.items() if k != "says"} == {
        k: v for k, v in chinese.items() if k != "says"
    }
    assert chinese["says"] == sentences(chinese, lang="zh")
