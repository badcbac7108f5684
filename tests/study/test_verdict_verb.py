"""A verdict recomputes anywhere: from run folders, from records alone, from parts of several machines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricated import finish, split, study

from yolograft.cli.app import run as command
from yolograft.engine.checkpoint import read_json, write_json
from yolograft.errors import CheckpointError, StudyError, YolograftError
from yolograft.study.budget import (
    Outlook,
    budget_rows,
    outlook_of_bank,
    outlook_of_pilot,
    outlook_of_prior,
    seconds_of_pilot,
    within,
)
from yolograft.study.noise import noise_of, pooled_sd
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.records.bank_match import bank_of, free_seed, key_of, match_bank
from yolograft.study.records.merge import merge
from yolograft.study.records.studyrecord import keep_record, read_study, without_paths, write_study
from yolograft.study.results import collect, results_of

# Paths are cut, and tables of error bins stay with the run folder.
UNLIKE = ("command", "where")
ARMS = {"baseline": 0.45, "better": 0.75, "same": 0.45}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study(tmp_path_factory.mktemp("runs") / "clear-001", ARMS)


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a JSON document with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from numbers(item, f"{path}/{index}")
    else:
        yield path, value


def agree(one: Any, two: Any, *, but: tuple[str, ...] = ()) -> None:
    """Every number to 1e-9, everything else equal."""
    left, right = (
        {path: value for path, value in numbers(side) if path.split("/")[1] not in but} for side in (one, two)
    )
    assert left.keys() == right.keys()
    for path, value in left.items():
        if isinstance(value, float):
            assert math.isclose(value, right[path], rel_tol=1e-9, abs_tol=1e-9), path
        else:
            assert value == right[path], path


def test_records_alone_give_every_number_again(run: Path, tmp_path: Path) -> None:
    write_study(read_study(run), tmp_path / "kept")
    files = sorted(p.relative_to(tmp_path / "kept").as_posix() for p in (tmp_path / "kept").rglob("*.npz"))
    assert files == [f"records/{label}-{seed}.npz" for label in sorted(ARMS) for seed in range(3)]
    agree(collect(run), collect(tmp_path / "kept"), but=UNLIKE)
    kinds = [{table["kind"] for table in collect(place)["where"]} for place in (run, tmp_path / "kept")]
    assert {"class", "size"} <= kinds[1] < kinds[0]
    # The folder of records, a record and the manifest stand for the study as well.
    for place in ("records", "records/same-1.npz", "manifest.json"):
        assert collect(tmp_path / "kept" / place) == collect(tmp_path / "kept")
    text = (tmp_path / "kept" / "manifest.json").read_text(encoding="utf-8")
    assert "/somewhere" not in text and "of mine" not in text and "tiny" in text


def test_records_written_at_the_end_of_a_run_change_nothing(run: Path, tmp_path: Path) -> None:
    before = collect(run)
    for label in ARMS:
        keep_record(run, read_manifest(run), label, 1)
    agree(before, collect(run))


def test_the_interval_covers_new_images_and_recomputes_by_hand(run: Path) -> None:
    found = {arm["label"]: arm["comparison"] for arm in collect(run)["arms"]}
    assert found["baseline"] is None
    better = found["better"]
    assert better["verdict"] == "helps" and better["scope"] == "new images like these"
    parts = better["variance"]
    both = max(parts["image"] - parts["interaction"], 0)
    assert better["se"] ** 2 == pytest.approx(max(parts["seed"] + both, parts["image"]), rel=1e-9)
    assert parts["seed"] == pytest.approx(parts["sd_base"] ** 2 / 3 + parts["sd_arm"] ** 2 / 3, rel=1e-9)
    assert better["high"] - better["delta"] == pytest.approx(better["critical"] * better["se"], rel=1e-9)
    assert parts["units"] == 40
    assert better["look"] == {"seeds": 3, "alpha": 0.05, "of": [3], "open": False}
    assert found["same"]["verdict"] != "helps"


def test_without_tables_a_verdict_speaks_of_this_split(tmp_path: Path) -> None:
    bare = study(tmp_path / "bare", ARMS)
    for path in bare.rglob("matches.npz"):
        path.unlink()
    results = collect(bare)
    assert results["scope"] == "this evaluation split"
    assert results["arms"][1]["comparison"]["variance"]["image"] is None


def test_groups_of_images_count_as_one(tmp_path: Path) -> None:
    of = " ".join(str(i // 2) for i in range(80))
    one = study(tmp_path / "one", ARMS, images=80, group="prefix:_", groups={"count": 40, "of": of})
    assert collect(one)["arms"][1]["comparison"]["variance"]["units"] == 40
    few = " ".join(str(i // 8) for i in range(80))
    manifest = read_json(one / "manifest.json") | {"groups": {"count": 10, "of": few}}
    write_json(one / "manifest.json", manifest)
    assert collect(one)["scope"] == "this evaluation split"
    write_json(one / "manifest.json", manifest | {"groups": {"count": 2, "of": "0 1"}})
    with pytest.raises(StudyError, match="YG630"):
        collect(one)


def test_noise_is_that_of_the_runs(run: Path) -> None:
    results = collect(run)
    values = [[r["ap"] for r in arm["runs"]] for arm in results["arms"]]
    own = [np.var(v, ddof=1) for v in values]
    assert results["noise"]["sd"] == pytest.approx(np.sqrt(np.mean(own)), rel=1e-12)
    assert (results["noise"]["runs"], results["noise"]["arms"]) == (9, 3)
    rho = np.corrcoef(values[0], values[1])[0, 1]
    assert results["arms"][1]["comparison"]["rho"] == pytest.approx(rho, abs=1e-9)
    assert pooled_sd([[1.0], []]) == (None, 0, 0)


def test_a_study_that_is_not_over_gives_no_verdict(tmp_path: Path) -> None:
    half = study(tmp_path / "half", ARMS, seeds=(0, 1), planned=(0, 1, 2))
    results = collect(half)
    assert results["status"] == "partial"
    assert [r["status"] for r in results["arms"][0]["runs"]] == ["done", "done", "missing"]
    sentence = results["arms"][1]["comparison"]["sentence"]
    assert "the study is not finished, 3 runs are missing -> not enough seeds" in sentence


def test_looks_are_taken_one_by_one(tmp_path: Path) -> None:
    plan = {"looks": [3, 5, 10], "alpha_plan": [0.01, 0.02, 0.028]}
    arms = {"baseline": 0.3, "better": 0.9, "same": 0.31}
    looked = study(tmp_path / "looked", arms, seeds=(0, 1, 2), planned=range(10), wobble=0.08, **plan)
    rows = {arm["label"]: arm for arm in collect(looked)["arms"]}
    assert rows["better"]["comparison"]["verdict"] == "helps"
    assert rows["better"]["comparison"]["look"] == {
        "seeds": 3, "alpha": 0.01, "of": [3, 5, 10], "open": False
    }  # fmt: skip
    same = rows["same"]["comparison"]
    assert same["verdict"] == "not enough seeds" and same["look"]["open"]
    # The arm that stopped needs no further seed; the open one and the baseline go on to five.
    assert [len(rows[label]["runs"]) for label in arms] == [5, 3, 5]
    assert collect(looked)["status"] == "partial"
    between = read_manifest(looked)
    for label in ("baseline", "same"):
        finish(looked, between, label, 3, quality=0.3, records=split(40, 3))
    assert {a["label"]: a for a in collect(looked)["arms"]}["same"]["comparison"]["look"]["seeds"] == 3


def test_a_placebo_stands_beside_its_graft(tmp_path: Path) -> None:
    beside = study(tmp_path / "beside", {"baseline": 0.3, "graft": 0.8, "graft.placebo": 0.8})
    manifest = read_json(beside / "manifest.json")
    manifest["arms"][2] |= {"control": "placebo", "of": "graft", "baseline": False}
    write_json(beside / "manifest.json", manifest)
    rows = {arm["label"]: arm["comparison"] for arm in collect(beside)["arms"]}
    assert "not shown better than a plain convolution" in rows["graft"]["sentence"]
    assert rows["graft"]["placebo"]["against"] == "graft.placebo"
    assert rows["graft"]["evidence"]["tried"] == 1  # controls take no share of the error


def test_runs_that_do_not_belong_together_carry_no_verdict(tmp_path: Path) -> None:
    twin = study(tmp_path / "twin", ARMS)
    state = twin / "arms" / "better" / "seed-1" / "model" / "state.json"
    write_json(state, read_json(state) | {"sha256": "one"})
    other = twin / "arms" / "better" / "seed-2" / "model" / "state.json"
    write_json(other, read_json(other) | {"sha256": "one"})
    results = collect(twin)
    assert "one and the same checkpoint" in results["unsound"]
    judged = results["arms"][1]["comparison"]
    assert judged["delta"] is None and judged["sentence"].endswith("-> no verdict")


def test_the_verb_prints_and_keeps(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    assert command(["verdict", str(run), "--save-records", str(tmp_path / "kept")]) == 0
    shown = capsys.readouterr().out
    assert "better" in shown and "helps" in shown and "noise: runs differ by an sd of" in shown
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before
    assert command(["verdict", str(tmp_path / "kept"), "--json"]) == 0
    agree(json.loads(capsys.readouterr().out), collect(run), but=UNLIKE)
    assert command(["verdict", str(tmp_path / "kept"), str(run), "--lang", "zh"]) == 0
    assert capsys.readouterr().out.count("有效") >= 2
    assert command(["verdict"]) == 2
    assert command(["verdict", str(run), "--save-records", str(tmp_path / "kept")]) == 2
    assert command(["verdict", str(tmp_path / "none")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in said] == ["YG639", "YG632", "YG401"]


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": "much"},
        {"margin": float("1e9")},
        {"arms": [{"label": "../x"}]},
        {"arms": [{"label": "x"}]},
        {"seeds": ["0"]},
        {"seeds": [0, 0]},
        {"recipe": {}},
        {"environment": {}},
        {"data": {"train": {}}},
        {"looks": "three"},
        {"alpha_plan": [7]},
        {"anchors": 5},
        {"bank": [{"values": [float("1e300")]}]},
        {"groups": {"of": "x"}},
        {"ablation": {"members": 3}},
        {"warnings": None},
        {"warnings": 3},
        {"code": None},
        {"code": []},
        {"code": 3},
        {"code": {"a": 3}},
        {"contrasts": 3},
    ],
    ids=str,
)
def test_a_hostile_manifest_is_one_line(run: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    write_study(read_study(run), tmp_path / "kept")
    path = tmp_path / "kept" / "manifest.json"
    write_json(path, read_json(path) | changes)
    with pytest.raises(YolograftError) as caught:
        collect(tmp_path / "kept")
    assert len(caught.value.line()) <= 240


def test_two_records_of_one_run_are_refused(run: Path, tmp_path: Path) -> None:
    write_study(read_study(run), tmp_path / "kept")
    records = tmp_path / "kept" / "records"
    (records / "again.npz").write_bytes((records / "same-1.npz").read_bytes())
    with pytest.raises(StudyError, match="YG631"):
        collect(tmp_path / "kept")


def test_paths_go_and_names_stay() -> None:
    shorn = without_paths(
        {
            "data": {"path": "/a/b c/voc"},
            "command": "yolograft compare --data '/a/b c/voc' --runs=/x/y "
            "--graft /x/att.py::A@neck.p3 C:\\u\\v",
            "code": {"/x/att.py::A": {"sha256": "s", "source": "secret"}},
            "weights": "/home/me/my weights/best.pt",
            "notes": ["3/4 of https://a.org/b", "conv 1/2"],
        }
    )
    assert shorn["data"]["path"] == "not kept" and shorn["weights"] == "best.pt"
    assert shorn["command"] == "yolograft compare --data 'voc' --runs=y --graft att.py::A@neck.p3 v"
    assert shorn["code"] == {"att.py::A": {"sha256": "s", "source": ""}}
    assert shorn["notes"] == ["3/4 of https://a.org/b", "conv 1/2"]


def part(base: Path, name: str, seeds: tuple[int, ...], **more: Any) -> Path:
    return study(base / name, ARMS, seeds=seeds, records=split(40, 3), **more)


def test_parts_of_one_plan_are_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = part(tmp_path, "whole", (0, 1, 2, 3), planned=(0, 1, 2, 3))
    one = part(tmp_path, "one", (0, 1), planned=(0, 1, 2, 3))
    two = part(tmp_path, "two", (1, 2, 3), planned=(0, 1, 2, 3))
    kept = {p: p.read_bytes() for p in (*one.rglob("*"), *two.rglob("*")) if p.is_file()}
    assert command(["merge", str(tmp_path / "out"), str(one), str(two)]) == 0
    assert "helps" in capsys.readouterr().out
    agree(collect(whole)["arms"], collect(tmp_path / "out")["arms"])
    assert {p: p.read_bytes() for p in kept} == kept
    assert collect(tmp_path / "out")["status"] == "complete"


def test_parts_of_other_seeds_are_joined_when_declared(tmp_path: Path) -> None:
    one, two = part(tmp_path, "one", (0, 1)), part(tmp_path, "two", (2, 3))
    state = read_json(two / "manifest.json")
    state["environment"]["torch"] = "9.9"
    write_json(two / "manifest.json", state)
    with pytest.raises(StudyError, match=r"YG637.*--seeds 4"):
        merge([one, two], tmp_path / "out")
    with pytest.raises(StudyError, match=r"YG637.*seed 3"):
        merge([one, two], tmp_path / "out", seeds=range(3))
    assert not (tmp_path / "out").exists()
    merge([one, two], tmp_path / "out", seeds=range(4))
    results = collect(tmp_path / "out")
    assert results["looks"] == [4] and results["budget"]["seeds"] == [0, 1, 2, 3]
    assert any("not bitwise: torch" in line for line in results["warnings"])
    assert any("nobody looked" in line for line in results["warnings"])
    with pytest.raises(StudyError, match="YG632"):
        merge([one, two], tmp_path / "out", seeds=range(4))


def test_what_is_no_part_of_the_study_is_refused(tmp_path: Path) -> None:
    one = part(tmp_path, "one", (0, 1), planned=(0, 1, 2))
    again = part(tmp_path, "again", (1, 2), planned=(0, 1, 2), luck=1)
    recipe = part(tmp_path, "recipe", (2,), planned=(0, 1, 2), recipe_sha256="other")
    margin = part(tmp_path, "margin", (2,), planned=(0, 1, 2), margin=1.0)
    fewer = study(tmp_path / "fewer", {"baseline": 0.4}, seeds=(2,), planned=(0, 1, 2))
    moved = part(tmp_path, "moved", (2,), planned=(0, 1, 2))
    state = read_json(moved / "manifest.json")
    state["data"]["eval"]["fingerprint"] = "other"
    write_json(moved / "manifest.json", state)
    for other, code in (
        (again, "YG636"),
        (recipe, r"YG635.*recipe"),
        (margin, r"YG635.*margin"),
        (fewer, r"YG635.*arms"),
        (moved, r"YG635.*eval split"),
        (one, "YG634"),
    ):
        with pytest.raises(StudyError, match=code):
            merge([one, other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bank_takes_runs_of_one_kind_once(run: Path, tmp_path: Path) -> None:
    base = {"baseline": 0.45}
    study(tmp_path / "bank" / "one", base, seeds=(10, 11, 12))
    study(tmp_path / "bank" / "deeper" / "two", base, seeds=(0, 1, 20))
    write_study(read_study(tmp_path / "bank" / "one"), tmp_path / "bank" / "one-again")
    study(tmp_path / "bank" / "other", base, seeds=(30, 31), recipe_sha256="other")
    planned = read_manifest(run)
    found = match_bank([tmp_path / "bank"], planned)
    assert [group.seeds for group in found.groups] == [(20, 10, 11, 12)] or found.groups[0].seeds == (
        20, 10, 11, 12
    )  # fmt: skip
    assert found.skipped == ("two: 2 run(s) have seeds that this study will train", "other: another recipe")
    assert found.runs == 4 and free_seed([tmp_path / "bank"]) == 32 and free_seed([]) == 0
    assert found.groups[0].sources == ("two", "one")
    bank = bank_of({"bank": [group.to_json() for group in found.groups]})
    assert bank is not None and bank.values == (found.groups[0].values,)
    assert bank_of({}) is None
    threads = planned | {"environment": planned["environment"] | {"threads": 8}}
    assert key_of(planned, "baseline").differs(key_of(threads, "baseline")) == "threads"
    assert match_bank([tmp_path / "bank"], threads).groups == ()
    with pytest.raises(StudyError, match="YG633"):
        match_bank([tmp_path / "empty"], planned)
    with pytest.raises(StudyError, match="YG633"):
        bank_of({"bank": [{"values": [-1]}]})
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="YG401"):
        match_bank([tmp_path / "torn"], planned)


def test_a_bank_narrows_the_interval(run: Path, tmp_path: Path) -> None:
    study(tmp_path / "bank", {"baseline": 0.45}, seeds=range(10, 22))
    lent = match_bank([tmp_path / "bank"], read_manifest(run))
    banked = study(tmp_path / "banked", ARMS, bank=[group.to_json() for group in lent.groups])
    plain, with_bank = (collect(x)["arms"][2]["comparison"] for x in (run, banked))
    assert with_bank["evidence"]["bank_runs"] == 12
    assert with_bank["critical"] < plain["critical"]


def test_a_plan_from_a_pilot(run: Path) -> None:
    pilot = read_study(run)
    outlook = outlook_of_pilot(pilot, results_of(pilot)["noise"])
    assert outlook.df == 6 and outlook.planned_sd > outlook.sd > 0
    assert seconds_of_pilot(pilot, images=160, epochs=20) == pytest.approx(2 * 160 * 10 / 80.25)
    noise = noise_of(pilot, {})
    assert noise["image_variance"] is None and noise["sd"] == outlook.sd


def test_a_plan_names_seeds_hours_and_images() -> None:
    outlook = Outlook(1.0, "assumed", seconds=1800.0)
    half, one, two = budget_rows(outlook, (1.0, 2.0, 0.5))
    assert [row["difference"] for row in (half, one, two)] == [0.5, 1.0, 2.0]
    assert half["seeds"] > one["seeds"] > two["seeds"] >= 3
    assert one["hours"] == pytest.approx(one["seeds"] / 2)
    sees = within(outlook, one["hours"])
    assert sees["seeds"] == one["seeds"] and sees["difference"] <= 1.0
    assert within(outlook, 1.4)["difference"] is None
    noisy = Outlook(1.0, "measured", image_variance=4.0, units=100)
    (row,) = budget_rows(noisy, (1.0,))
    assert row["seeds"] is None and row["hours"] is None and row["images"] > 100
    with pytest.raises(StudyError, match="YG602"):
        within(Outlook(1.0, "never timed"), 2.0)


def test_priors_are_said_to_be_priors() -> None:
    assert [outlook_of_prior(n).sd for n in (205, 5_000, 118_000)] == [2.4, 0.6, 0.3]
    assert "prior" in outlook_of_prior(205).source and outlook_of_prior(205).df == 0
    lent = outlook_of_bank([(20.0, 21.0, 22.0), (30.0,)])
    assert (lent.sd, lent.df, lent.bank_df) == (1.0, 2, 2)
    with pytest.raises(StudyError, match="YG638"):
        outlook_of_bank([(20.0,)])
