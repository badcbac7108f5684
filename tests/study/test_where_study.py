"""Where arms differ, read from a study's records and run folder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_where import CLASSES, detections, split

from yolograft.engine.runfolder import arm_folder
from yolograft.metrics.matches import build_match_table
from yolograft.study.records.record import RunRecord
from yolograft.study.records.studyrecord import MATCHES, StudyRecord
from yolograft.study.where.kept_parts import keep_parts
from yolograft.study.where.of_study import where_study

SEEDS = [0, 1, 2]


def item(label, **more):
    return {"label": label, "baseline": label == "baseline", "model": "m", **more}


def record(label, seed, matches, status="done"):
    return RunRecord(
        label=label, model="m", expression="", baseline=label == "baseline", seed=seed, status=status,
        spec_sha256="", recipe_sha256="", checkpoint_sha256="", data={}, scores={"ap": 1.0}, matches=matches,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run folder with parts and match tables, and the study with the tables in its records."""
    records, folder = split(images=40), tmp_path_factory.mktemp("run")
    runs = {}
    for first, label in ((0, "baseline"), (10, "graft"), (20, "placebo")):
        for seed in SEEDS:
            table = detections(records, first + seed)
            matches = build_match_table(records, table, len(CLASSES))
            own = arm_folder(folder, label, seed)
            matches.save(own / MATCHES)
            keep_parts(own, records, table, matches)
            runs[label, seed] = record(label, seed, matches)
    arms = [item("baseline"), item("graft"), item("placebo", control="placebo", of="graft")]
    manifest = {"arms": arms, "seeds": SEEDS, "data": {"names": list(CLASSES)}, "across": False}
    return folder, StudyRecord("s", manifest, runs, {})


def test_folder_and_records_say_the_same(made):
    folder, study = made
    whole = where_study(study, folder=folder)
    assert {(t["arm"], t["against"]) for t in whole.tables} == {
        ("graft", "baseline"),
        ("placebo", "baseline"),
    }
    assert {t["kind"] for t in whole.tables} == {"class", "size", "crowding", "overlap", "error"}
    bare = {key: replace(run, matches=None) for key, run in study.runs.items()}
    from_files = where_study(replace(study, runs=bare), folder=folder)
    assert from_files == whole
    little = where_study(study)  # records alone: no boxes, so neither errors nor overlap
    assert {t["kind"] for t in little.tables} == {"class", "size", "crowding"}
    assert little.tables == [t for t in whole.tables if t["kind"] in ("class", "size", "crowding")]
    assert little.images == whole.images
    assert [entry["arm"] for entry in whole.images] == ["graft", "placebo"]
    assert whole.images[0]["best"][0]["gain"] > 0 > whole.images[0]["worst"][0]["gain"]


def test_only_finished_seeds_that_are_due_count(made):
    folder, study = made
    early = where_study(study, folder=folder, due={"baseline": 2, "graft": 2, "placebo": 2})
    lost = {k: replace(r, status="diverged") if k[1] == 2 else r for k, r in study.runs.items()}
    assert where_study(replace(study, runs=lost), folder=folder) == early
    alone = {k: r for k, r in study.runs.items() if k[0] != "graft"}
    assert {t["arm"] for t in where_study(replace(study, runs=alone)).tables} == {"placebo"}


def test_nothing_where_tables_do_not_belong_together(made):
    _, study = made
    bare = {key: replace(run, matches=None) for key, run in study.runs.items()}
    assert where_study(replace(study, runs=bare)).tables == []
    assert where_study(replace(study, runs={})).tables == []
    odd = dict(study.runs)
    odd["graft", 1] = replace(odd["graft", 1], matches=replace(odd["graft", 1].matches, fingerprint="other"))
    assert where_study(replace(study, runs=odd)).tables == []
    groups = {"count": 2, "of": "0 1 0"}
    assert where_study(replace(study, manifest={**study.manifest, "groups": groups})).images == []


def test_groups_of_the_manifest_are_the_units(made):
    folder, study = made
    groups = {"count": 4, "of": " ".join(str(i % 4) for i in range(40))}
    found = where_study(replace(study, manifest={**study.manifest, "groups": groups}), folder=folder)
    assert {row["scope"] for t in found.tables for row in t["rows"]} == {"this evaluation split"}
    nameless = replace(study, manifest={**study.manifest, "data": {}})
    assert [row["name"] for row in where_study(nameless).tables[0]["rows"]] == ["0", "1"]
    assert np.isfinite([row["delta"] for t in found.tables for row in t["rows"]]).all()
