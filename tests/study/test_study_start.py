"""What a study settles before its first step: losses that fit, labels, and the anchors arms start with."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from report_inputs import synthetic
from test_study_verdicts import Silent, planned

from yolograft.engine.arm import Arm
from yolograft.engine.checkpoint import read_json
from yolograft.engine.modelfolder import read_model, store_model
from yolograft.engine.recipe import Recipe
from yolograft.errors import SpecError
from yolograft.graph.anchors import anchors_of, with_anchors, with_anchors_of
from yolograft.graph.dialect.write import write_index_file
from yolograft.graph.expr import folder_name, parse_graft
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build, inspect_spec, model_spec
from yolograft.models.codebook import from_grafts
from yolograft.models.modelfile import stocks, words_with
from yolograft.study.planning.anchors import anchor_rows
from yolograft.study.planning.arms import planned_arms
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.provenance import provenance
from yolograft.study.report.page import render_report
from yolograft.study.results import collect
from yolograft.study.start import start_arms, started_from
from yolograft.study.statistics.power import minimum_detectable

OWN = tuple(float(side) for side in range(11, 29))


class Heard(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def recipe(**values: Any) -> Recipe:
    return Recipe(epochs=1, batch=4, imgsz=(64, 64), precision="fp32", **values)


def weights(folder: Path, *, anchors: Sequence[float] = OWN, only: str = "", **about: Any) -> Path:
    """A model folder of YOLOv5n; `only` part of its tensors."""
    spec = with_anchors(model_spec("yolov5n", num_classes=5), anchors)
    tensors = {key: value for key, value in build(spec).state_dict().items() if only in key}
    facts = {"imgsz": [64, 64], "names": ["a", "b", "c", "d", "e"], **about}
    store_model(folder, Arm("baseline", spec), tensors, facts)
    return folder


def anchors_in(run: Path) -> set[tuple[float, ...]]:
    return {anchors_of(ModelSpec.from_json(arm["spec"])) for arm in read_manifest(run)["arms"]}


def notes_of(run: Path) -> list[str]:
    manifest, heard = read_manifest(run), Heard()
    specs = {arm["label"]: ModelSpec.from_json(arm["spec"]) for arm in manifest["arms"]}
    code = from_grafts([parse_graft("coord_att@neck.p3")])
    start_arms([Arm(label, spec, code) for label, spec in specs.items()], manifest, recipe(), heard)
    return heard.notes


@pytest.mark.parametrize("values", [{"model": "yolov5n"}, {"more_models": ("yolov5n",)}])
def test_a_recipe_one_loss_does_not_fit_is_refused_before_anything_is_written(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "yolograft.study.planning.create.choose_batch", lambda *args, **how: pytest.fail("too late")
    )
    with pytest.raises(SpecError, match=r"YG198 the loss of yolov5 has no dfl_gain"):
        planned(tmp_path, recipe=recipe(dfl_gain=1.5), auto_batch=True, **values)
    assert list(tmp_path.iterdir()) == []


def test_a_backbone_that_was_not_loaded_cannot_be_frozen(tmp_path: Path) -> None:
    source, runs = weights(tmp_path / "w", only="layers.head."), tmp_path / "runs"
    asked = {"model": "yolov5n", "weights": str(source), "force": True}
    with pytest.raises(SpecError, match="YG171"):
        planned(runs, recipe=recipe(freeze_epochs=1, freeze="backbone"), **asked)
    assert not runs.exists()


def test_labels_are_folder_names_however_long_and_never_the_same() -> None:
    spec = model_spec("yolov8n", num_classes=5)
    deep = "a/very/long/folder/" * 5
    models = [f"{deep}mine.yaml", f"{deep}other/mine.yaml", "m.yml:s", "模型.yaml", f"{'x' * 70}1.yaml"]
    models.append(f"{'x' * 70}2.yaml")
    grafts = [parse_graft(f"{'y' * 59}{end}=se@neck.p3") for end in "ab"]
    arms = planned_arms(dict.fromkeys(models, spec), grafts)
    labels = [arm.label for arm in arms]
    assert len(set(labels)) == len(labels) == 18
    assert all(folder_name(label) == label for label in labels)
    assert labels[::3][:4] == ["mine", "mine-2", "m-s", "model"]
    assert labels[1].startswith(f"mine.{'y' * 40}")


def test_no_verdict_no_line_about_what_is_seen(tmp_path: Path) -> None:
    assert read_manifest(planned(tmp_path))["sees"] == ""
    pair = [
        read_manifest(planned(tmp_path, *grafts, **values))["sees"]
        for grafts, values in ((("se@neck.p3",), {}), (("se@neck.p3",), {"more_models": ("yolov5n",)}))
    ]
    # One verdict, and two groups of one: the noise is pooled as before, alpha is halved.
    expected = [minimum_detectable(2.4, 3), minimum_detectable(2.4, 3, alpha=0.025)]
    assert [f"{value:.1f} AP" in line for value, line in zip(expected, pair, strict=True)] == [True, True]
    assert expected[1] > 1.1 * expected[0]


def test_anchors_of_the_weights_are_taken_and_said(tmp_path: Path) -> None:
    source = weights(tmp_path / "w")
    run = planned(tmp_path, "coord_att:init=identity@neck.p3", model="yolov5n", weights=str(source))
    assert anchors_in(run) == {OWN}
    (row,) = anchor_rows(read_manifest(run))
    assert (row["how"], row["model"], row["after"]) == ("weights", "yolov5n", list(OWN))
    assert row["line"].startswith("anchors of the weights, not the published ones: 11,12 ")
    notes = " ".join(notes_of(run))
    assert "identical to the base: max |difference| 0 " in notes and "anchors changed" not in notes
    assert collect(run)["anchors"] == [row]
    page = render_report({**synthetic(), "anchors": [row]})
    assert "<dt>Anchors</dt><dd>anchors of the weights" in page
    assert "<dt>Anchors</dt>" not in render_report(synthetic())


def test_anchors_auto_starts_from_those_of_the_weights(tmp_path: Path) -> None:
    source = weights(tmp_path / "w")
    run = planned(
        tmp_path, "coord_att:init=identity@neck.p3", model="yolov5n", weights=str(source), anchors="auto"
    )
    first, second = anchor_rows(read_manifest(run))
    assert first["how"] == "weights" and second["how"] == "auto" and second["before"] == list(OWN)
    assert anchors_in(run) == {tuple(second["after"])} != {OWN}
    notes = notes_of(run)
    said = [note for note in notes if note.endswith("anchors changed: the kept head predicts other boxes")]
    # The maps are the same; the boxes are not.
    assert len(said) == 2 and "identical" not in " ".join(notes)


def test_every_model_has_its_row_and_a_row_from_before_is_read(tmp_path: Path) -> None:
    run = planned(tmp_path, model="yolov5n", more_models=("yolov5s", "yolov8n"), anchors="auto")
    assert [row["model"] for row in anchor_rows(read_manifest(run))] == ["yolov5n", "yolov5s"]
    assert anchor_rows({"anchors": {"line": "as it was"}}) == [{"line": "as it was"}]
    assert anchor_rows({"anchors": None}) == anchor_rows({}) == []


@pytest.mark.parametrize("own", [True, False])
def test_a_model_file_keeps_the_anchors_it_says(own: bool, tmp_path: Path) -> None:
    spec = model_spec("yolov5n", num_classes=5)
    channels = {fact.name: fact.out_channels for fact in inspect_spec(spec)}
    written = write_index_file(spec, words=words_with(()), stocks=stocks(), channels=channels, title="mine")
    start, end = written.text.index("anchors:"), written.text.index("backbone:")
    file = tmp_path / "mine.yaml"
    said = written.text[start:end] if own else "anchors: 3\n\n"
    file.write_text(written.text[:start] + said + written.text[end:], encoding="utf-8")
    run = planned(tmp_path / "runs", model=str(file), weights=str(weights(tmp_path / "w")))
    (row,) = anchor_rows(read_manifest(run))
    assert row["how"] == ("file" if own else "weights") and ("stay as its file says" in row["line"]) == own
    assert anchors_in(run) == {anchors_of(spec) if own else OWN}
    assert ("anchors changed" in " ".join(notes_of(run))) == own


def test_fewer_levels_take_their_own_anchors() -> None:
    source = with_anchors(model_spec("yolov5n", num_classes=5), OWN)
    assert anchors_of(with_anchors_of(model_spec("yolov5n", levels=("p4", "p5")), source)) == OWN[6:]
    fewer = with_anchors_of(model_spec("yolov5n", levels=("p3", "p4")), source)
    assert anchors_of(fewer) == OWN[:12]
    # Two levels and two levels, but not the same ones.
    other = model_spec("yolov5n", levels=("p4", "p5"))
    assert with_anchors_of(other, fewer) is other
    stock = model_spec("yolov8n")
    assert with_anchors_of(stock, source) is stock and with_anchors_of(source, stock) is source


def test_equal_anchors_are_the_same_detector() -> None:
    spec = model_spec("yolov5n", num_classes=5)
    assert with_anchors(spec, [float(side) for side in anchors_of(spec)]) is spec
    assert with_anchors(spec, OWN).digest() != spec.digest()


def test_a_model_folder_taken_out_of_its_run_keeps_its_chain(tmp_path: Path) -> None:
    origin = {"file": "last.pt", "sha256": "cd" * 32, "layout": "yolov5", "licence": "AGPL-3.0"}
    root = weights(tmp_path / "root", origin=origin)
    run = planned(tmp_path / "runs", model="yolov5n", weights=str(root))
    start = started_from(read_manifest(run))
    assert start["weights"] == str(root) and start["origin"] == origin
    assert start["sha256"] == read_json(root / "state.json")["sha256"]
    middle = weights(tmp_path / "middle", started_from=start, data={"train": "f" * 64})
    found = provenance(middle)
    assert [link["kind"] for link in found["weights"]] == ["file"]
    assert found["data"][0]["fingerprints"] == {"train": "f" * 64}
    next_run = planned(tmp_path / "runs", model="yolov5n", weights=str(middle))
    end = weights(tmp_path / "end", started_from=started_from(read_manifest(next_run)))
    moved = Path(shutil.copytree(end, tmp_path / "elsewhere" / "end"))
    assert [link["kind"] for link in provenance(moved)["weights"]] == ["trained", "file"]
    fresh = weights(tmp_path / "fresh", started_from=started_from({"weights": ""}))
    assert provenance(fresh)["weights"] == [{"kind": "fresh"}]
    assert read_model(fresh).about["started_from"]["weights"] == ""
