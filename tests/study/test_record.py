"""Records: small always, exact where a verdict needs it, and never trusted when they come from a stranger."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricated import manifest_of, matches_of, split, study

from yolograft.engine.modelfolder import LAST
from yolograft.errors import StudyError
from yolograft.metrics.archive import read_bounded
from yolograft.metrics.influence import grouped, influence
from yolograft.metrics.matches import average_precision
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.records.record import MOST_BYTES, RunRecord, judged_units
from yolograft.study.records.studyrecord import keep_record, record_of
from yolograft.study.results import collect


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study(tmp_path_factory.mktemp("runs") / "a", {"baseline": 0.5}, seeds=(0,))


def record(run: Path) -> RunRecord:
    found = record_of(run, read_manifest(run), "baseline", 0)
    assert found is not None
    return found


def psi_of(record: RunRecord) -> np.ndarray:
    assert record.influence is not None
    return record.influence


def long_scores(classes: int, *, epochs: int = 300) -> dict[str, Any]:
    """Scores of a long run with many classes: numbers that hardly compress."""
    rng = np.random.default_rng(1)
    keys = ("ap", "ap50", "ap75", "ap_s", "ap_m", "ap_l", "p", "r", "f1")
    per_class = [
        {"name": f"class {i}", "ap": rng.random(), "ap50": rng.random(), "gt": i} for i in range(classes)
    ]
    history = [{"epoch": e, **{k: rng.random() for k in ("lr", "box", "cls", "dfl", "loss", "ap")}}
               for e in range(epochs)]  # fmt: skip
    cells = " ".join(f"{rng.integers(81)},{rng.integers(81)},{rng.integers(900)}" for _ in range(4_000))
    curves = {key: " ".join(f"{v:.4g}" for v in 100 * rng.random(101)) for key in ("recall", "p", "r", "f1")}
    return {"seed": 0, "status": "done", "seconds": 9.0, "images_per_second": 9.0, "history": history,
            "per_class": per_class, "confusion": {"cells": cells}, "curves": curves,
            **dict.fromkeys(keys, 41.0)}  # fmt: skip


def test_a_record_comes_back_as_it_was_written(run: Path, tmp_path: Path) -> None:
    made = record(run)
    kept = made.save(tmp_path / "r.npz")
    back = RunRecord.load(tmp_path / "r.npz")
    assert kept.dropped == back.dropped == ()
    assert back.scores == made.scores and back.data == {"train": "train", "eval": "eval"}
    assert (back.label, back.seed, back.checkpoint_sha256) == ("baseline", 0, made.checkpoint_sha256)
    assert np.array_equal(psi_of(back), psi_of(made))
    table = back.table()
    assert table is not None and np.array_equal(influence(table) * 100, psi_of(made))
    assert abs(psi_of(made).sum()) < 1e-9 * np.abs(psi_of(made)).sum()


def test_a_kept_record_is_read_instead_of_the_table(run: Path) -> None:
    before = record(run)
    keep_record(run, read_manifest(run), "baseline", 0)
    place = run / "arms" / "baseline" / "seed-0"
    (place / "matches.npz").rename(place / "away.npz")
    try:
        after = record(run)
    finally:
        (place / "away.npz").rename(place / "matches.npz")
    assert np.array_equal(psi_of(after), psi_of(before))
    assert after.scores == before.scores


def test_a_record_of_other_scores_is_not_believed(run: Path) -> None:
    keep_record(run, read_manifest(run), "baseline", 0)
    scores = run / "arms" / "baseline" / "seed-0" / "scores.json"
    text = scores.read_text(encoding="utf-8")
    changed = json.loads(text) | {"ap": 12.0}
    scores.write_text(json.dumps(changed), encoding="utf-8")
    try:
        assert record(run).scores["ap"] == 12.0
    finally:
        scores.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("images", "classes", "dtype"), [(1, 1, "<f8"), (2_000, 80, "<f8"), (5_000, 80, "<f4"), (8_000, 3, "<f4")]
)
def test_a_record_stays_within_60_kb(
    run: Path, tmp_path: Path, images: int, classes: int, dtype: str
) -> None:
    rng = np.random.default_rng(images)
    psi = rng.normal(0, 30, images)
    psi -= psi.mean()
    psi = psi if dtype == "<f8" else psi.astype(np.float32).astype(np.float64)
    matches = matches_of(min(images, 1_500), classes)
    ap = 100 * average_precision(matches)
    scores = long_scores(classes) | {"ap": ap if math.isfinite(ap) else None}
    parts = {"influence": psi, "units": "groups", "matches": matches, "packed": None}
    made = replace(record(run), **parts, scores=scores)
    kept = made.save(tmp_path / "r.npz")
    assert (tmp_path / "r.npz").stat().st_size <= MOST_BYTES == 60_000
    back = RunRecord.load(tmp_path / "r.npz")
    assert np.array_equal(psi_of(back), psi)
    assert back.dropped == kept.dropped
    assert ("matches" in kept.dropped) == (back.table() is None)
    assert read_bounded(tmp_path / "r.npz", file_bytes=10**6, array_bytes=10**8)["influence"].dtype == dtype
    assert back.scores["ap"] == scores["ap"]
    if images >= 2_000:
        assert kept.dropped[:1] == ("matches",)


def test_many_images_become_blocks_with_the_same_variance() -> None:
    matches = matches_of(9_001, 2)
    psi, units = judged_units(matches)
    assert psi is not None and (units, len(psi)) == ("blocks of images", 8_000)
    single = 100 * influence(matches)
    assert abs(psi.sum()) < 1e-2
    assert psi.var() / len(psi) == pytest.approx(single.var() / len(single), rel=0.25)
    by_video, units = judged_units(matches, tuple(i // 3 for i in range(9_001)))
    assert by_video is not None and (units, len(by_video)) == ("groups", 3_001)
    wanted = grouped(single, np.arange(9_001) // 3)
    assert np.allclose(by_video, wanted, rtol=1e-6, atol=1e-6)


def test_groups_of_images_are_the_units(run: Path) -> None:
    made = record(run)
    groups = tuple(i // 4 for i in range(40))
    drawn = made.drawn(groups)
    assert drawn is not None and np.allclose(drawn, grouped(psi_of(made), groups))
    assert made.drawn(None) is made.influence
    with pytest.raises(StudyError, match=r"YG630.*40"):
        made.drawn(groups[:39])


def rewritten(path: Path, source: Path, **arrays: Any) -> Path:
    """The record with some arrays put in place of its own; None takes one away."""
    found = read_bounded(source, file_bytes=10**6, array_bytes=10**8) | arrays
    kept: dict[str, Any] = {k: v for k, v in found.items() if v is not None}
    np.savez_compressed(path, **kept)
    return path


def facts_with(source: Path, **changes: Any) -> np.ndarray:
    facts = json.loads(read_bounded(source, file_bytes=10**6, array_bytes=10**8)["facts"].tobytes())
    return np.frombuffer(json.dumps(facts | changes).encode(), np.uint8)


HOSTILE_FACTS: list[dict[str, Any]] = [
    {"label": "../../etc"},
    {"label": "a/b"},
    {"label": 7},
    {"label": ""},
    {"seed": "0"},
    {"seed": True},
    {"seed": 10**30},
    {"status": "running"},
    {"baseline": "yes"},
    {"units": "pixels"},
    {"data": {"train": "x"}},
    {"data": []},
    {"scores": []},
    {"scores": {"seed": 0, "status": "done"}},
    {"dropped": "matches"},
    {"checkpoint_sha256": "x" * 10_000},
    {"matches": {"images": -1, "num_classes": 3, "fingerprint": ""}},
    {"matches": {"images": 40, "num_classes": 10**12, "fingerprint": ""}},
    {"matches": {"images": 10**12, "num_classes": 3, "fingerprint": ""}},
]


@pytest.mark.parametrize("changes", HOSTILE_FACTS, ids=str)
def test_hostile_facts_are_refused_in_one_line(run: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    record(run).save(tmp_path / "r.npz")
    path = rewritten(tmp_path / "h.npz", tmp_path / "r.npz", facts=facts_with(tmp_path / "r.npz", **changes))
    with pytest.raises(StudyError) as caught:
        RunRecord.load(path)
    assert caught.value.code == "YG630"
    assert "\n" not in caught.value.line() and len(caught.value.line()) <= 240


@pytest.mark.parametrize("value", [float("nan"), "41", True, 101.0, -1.0, [1]])
def test_scores_that_are_no_points_are_refused(run: Path, tmp_path: Path, value: object) -> None:
    made = record(run)
    made.save(tmp_path / "r.npz")
    scores = {**made.scores, "ap": value}
    path = rewritten(
        tmp_path / "h.npz", tmp_path / "r.npz", facts=facts_with(tmp_path / "r.npz", scores=scores)
    )
    with pytest.raises(StudyError, match="YG630"):
        RunRecord.load(path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"influence": np.array([np.nan] * 40)},
        {"influence": np.full(40, np.inf)},
        {"influence": np.zeros((40, 2))},
        {"influence": np.zeros(0)},
        {"influence": np.zeros(39)},
        {"influence": np.zeros(40)},
        {"influence": np.full(40, 3.0)},
        {"influence": np.zeros(8_001)},
        {"influence": np.full(40, 1e30)},
        {"influence": np.array(["x"] * 40)},
        {"facts": np.frombuffer(b"[" * 40_000, np.uint8)},
        {"facts": np.frombuffer(b"\xff\xfe", np.uint8)},
        {"facts": None},
        {"about": None},
        {"about": np.array(['{"kind": "matches", "version": 1}'])},
        {"matches.code": None},
        {"matches.image": np.zeros(3, np.uint8)},
        {"matches.gt_count": np.ones((400, 4), np.uint8)},
        {"matches.rows_per_class": np.array([2**62, 1, 1], np.int64)},
        {"matches.gt_image": np.array([10**6], np.int64)},
        {"matches.patterns": np.zeros((1, 10), np.float64)},
    ],
    ids=str,
)
def test_hostile_arrays_are_refused_in_one_line(run: Path, tmp_path: Path, arrays: dict[str, Any]) -> None:
    record(run).save(tmp_path / "r.npz")
    path = rewritten(tmp_path / "h.npz", tmp_path / "r.npz", **arrays)
    with pytest.raises(StudyError, match="YG630") as caught:
        RunRecord.load(path)
    assert len(caught.value.line()) <= 240


def test_a_record_that_contradicts_itself_is_refused(run: Path, tmp_path: Path) -> None:
    made = record(run)
    made.save(tmp_path / "r.npz")
    scores = {**made.scores, "ap": made.scores["ap"] + 5}
    facts = facts_with(tmp_path / "r.npz", scores=scores)
    with pytest.raises(StudyError, match=r"YG630.*by its match table"):
        RunRecord.load(rewritten(tmp_path / "h.npz", tmp_path / "r.npz", facts=facts))
    psi = psi_of(made).copy()
    psi[[0, 1]] += [4.0, -4.0]
    with pytest.raises(StudyError, match=r"YG630.*influences disagree"):
        RunRecord.load(rewritten(tmp_path / "h.npz", tmp_path / "r.npz", influence=psi))
    with pytest.raises(StudyError, match=r"YG630.*sum"):
        RunRecord.load(rewritten(tmp_path / "h.npz", tmp_path / "r.npz", influence=psi + 1))


def test_a_table_of_a_million_rows_is_not_unfolded(run: Path, tmp_path: Path) -> None:
    record(run).save(tmp_path / "r.npz")
    rows = 1_000_000
    arrays = {f"matches.{name}": np.zeros(rows, np.uint8) for name in ("image", "code", "score_steps")}
    arrays["matches.rows_per_class"] = np.array([rows, 0, 0])
    path = rewritten(tmp_path / "h.npz", tmp_path / "r.npz", **arrays)
    assert path.stat().st_size < MOST_BYTES
    with pytest.raises(StudyError, match=r"YG630.*too large"):
        RunRecord.load(path)


def test_records_keep_tables_packed(run: Path, tmp_path: Path) -> None:
    made = record(run)
    assert made.matches is None and made.packed is not None
    made.save(tmp_path / "r.npz")
    back = RunRecord.load(tmp_path / "r.npz")
    assert back.matches is None and back.packed is not None
    back.save(tmp_path / "again.npz")
    assert np.array_equal(psi_of(RunRecord.load(tmp_path / "again.npz")), psi_of(made))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe_sha256": "other"}, "another recipe"),
        ({"data": {"train": "train", "eval": "other"}}, "measured on other images"),
        ({"sha256": "baseline-1-"}, "one and the same checkpoint"),
    ],
)
def test_a_kept_record_does_not_hide_what_its_folder_says(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    run = study(tmp_path / "run", {"baseline": 0.5, "other": 0.6})
    manifest = read_manifest(run)
    for label in ("baseline", "other"):
        for seed in (0, 1, 2):
            keep_record(run, manifest, label, seed)
    assert collect(run, where=False)["unsound"] == ""
    states = [run / "arms" / "baseline" / f"seed-{seed}" / LAST / "state.json" for seed in (0, 1)]
    if "sha256" in changes:
        changes = {"sha256": json.loads(states[1].read_text(encoding="utf-8"))["sha256"]}
    text = json.loads(states[0].read_text(encoding="utf-8")) | changes
    states[0].write_text(json.dumps(text), encoding="utf-8")
    assert said in collect(run, where=False)["unsound"]


def npy(shape: str, body: bytes, descr: str = "'<f8'") -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode("latin1") + body


@pytest.mark.parametrize(
    "member",
    [
        npy("(1000000000000,)", b"12345678"),
        npy("(-1,)", b""),
        npy("(0, 99999999999999999999)", b"x"),
        npy("(1,)", b"12345678", "'|O'"),
        npy("(100000000000,)", b"", "'<U0'"),
        npy("(1,)", b"12345678", "[('a', '<f8')]"),
        npy("(3,", b"12345678"),
        npy("(" * 200, b"12345678"),
        b"no array",
        b"",
    ],
    ids=range(10),
)
def test_an_array_that_claims_more_than_it_is(tmp_path: Path, member: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "h.npz", "w") as archive:
        archive.writestr("influence.npy", member)
    with pytest.raises(ValueError, match=r"."):
        read_bounded(tmp_path / "h.npz", file_bytes=10**6, array_bytes=10**8)
    with pytest.raises(StudyError, match="YG630"):
        RunRecord.load(tmp_path / "h.npz")


def test_zip_bombs_and_other_files_are_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("influence.npy", npy("(6000000,)", b"\0" * 48_000_000))
    assert bomb.stat().st_size < MOST_BYTES
    many = tmp_path / "many.npz"
    with zipfile.ZipFile(many, "w") as archive:
        for i in range(100):
            archive.writestr(f"{i}.npy", b"")
    large = tmp_path / "large.npz"
    large.write_bytes(b"x" * 100_000)
    text = tmp_path / "text.npz"
    text.write_bytes(b"PK\x03\x04 torn")
    for path in (bomb, many, large, text, tmp_path / "none.npz", tmp_path):
        with pytest.raises(StudyError, match="YG630"):
            RunRecord.load(path)


def test_a_diverged_run_leaves_a_record_without_influence(tmp_path: Path) -> None:
    from fabricated import finish

    records = split(5, 2)
    manifest = manifest_of(["baseline"], [0], images=5, classes=2)
    finish(tmp_path, manifest, "baseline", 0, quality=None, records=records)
    keep_record(tmp_path, manifest, "baseline", 0)
    back = RunRecord.load(tmp_path / "arms" / "baseline" / "seed-0" / "record.npz")
    assert back.status == "diverged" and back.influence is None and back.table() is None


def test_what_is_judged_is_what_the_file_keeps() -> None:
    psi, units = judged_units(matches_of(2_001, 2))
    assert psi is not None and units == "images"
    assert np.array_equal(psi, psi.astype(np.float32))
