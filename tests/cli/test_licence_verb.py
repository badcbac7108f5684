"""``yolograft licence``: where a model that was really trained comes from, in both languages and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from yolograft.cli.app import run as run_command
from yolograft.engine.modelfolder import tensors_sha256

HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def runs(tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run from scratch, and one with a graft that started from it."""
    torch.set_num_threads(1)
    base = tmp_path_factory.mktemp("runs")
    words = ["train", *tiny, "--runs", str(base)]
    assert run_command([*words, "--name", "first"]) == 0
    first, later = base / "first-001", base / "later-001"
    graft = ["--name", "later", "--weights", str(first), "--graft", "coord_att@neck.p3"]
    assert run_command([*words, *graft]) == 0
    return first, later


def test_the_chain_of_a_trained_model(runs: tuple[Path, Path], command: Any) -> None:
    first, later = runs
    answer = command("licence", later, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert [link["kind"] for link in answer.json["weights"]] == ["trained", "fresh"]
    model = next(first.glob("arms/*/seed-0/model"))
    assert answer.json["weights"][0]["path"] == str(model.resolve())
    assert answer.json["weights"][0]["sha256"] == tensors_sha256(model)
    manifest = json.loads((later / "manifest.json").read_text(encoding="utf-8"))
    fingerprint = manifest["data"]["train"]["fingerprint"]
    assert [row["fingerprints"]["train"] for row in answer.json["data"]] == [fingerprint] * 2
    assert "coord_att" in [row["name"] for row in answer.json["code"]]
    own = command("licence", next(later.glob("arms/*/seed-0/model")), "--json")
    assert own.json["weights"] == answer.json["weights"] and own.json["code"] == answer.json["code"]
    assert [link["kind"] for link in command("licence", first, "--json").json["weights"]] == ["fresh"]


def test_people_read_tables_and_sentences(runs: tuple[Path, Path], command: Any) -> None:
    for lang in ("en", "zh"):
        answer = command("licence", runs[1], "--lang", lang)
        assert (answer.code, answer.err) == (0, "")
        document = command("licence", runs[1], "--lang", lang, "--json").json
        assert answer.out.endswith("\n".join(document["says"]) + "\n")
        for words in ("coord_att", "2103.02907", "Apache-2.0", document["weights"][0]["sha256"][:12]):
            assert words in answer.out
        heads = [line for line in answer.out.splitlines() if "sha256" in line]
        assert len(heads) == 2 and all(bool(HAN.search(head)) == (lang == "zh") for head in heads)


def test_what_is_no_run_is_one_line(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "yolov8n.pt"
    file.write_bytes(b"x")
    for place in (tmp_path, tmp_path / "nothing", file):
        answer = command("licence", place)
        assert (answer.code, answer.out) == (2, "") and answer.err.startswith("YG4")
        assert answer.err.count("\n") == 1
