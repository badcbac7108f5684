"""Planned looks: who is judged when, what stops, and that a resumed study takes the same way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from test_study_verdicts import Silent, planned

from yolograft.engine.arm import DONE
from yolograft.engine.checkpoint import write_json
from yolograft.engine.runfolder import arm_folder
from yolograft.engine.train import Settings
from yolograft.errors import StudyError
from yolograft.study import run as running
from yolograft.study.planning.manifest import MANIFEST, read_manifest
from yolograft.study.results import METRICS, collect
from yolograft.study.sequence import OPEN, Look, due_of, going_on, looks_of, walk

LOOKS = (Look(3, 0.01, False), Look(5, 0.02, False), Look(10, 0.028, True))
GRAFT = "se-neck.p3"
# Ten runs whose mean and spread are the same at every look: a noise of about .25 AP.
WOBBLE = (0.0, 0.3, -0.2, 0.1, -0.3, 0.2, 0.0, -0.1, 0.3, -0.2)


@dataclass(frozen=True)
class Word:
    verdict: str


def judge_with(falls: Mapping[str, int], calls: list[tuple[int, dict[str, int]]]):
    """A judge whose verdict for a label falls at so many seeds."""

    def judge(look: Look, taken: Mapping[str, int]) -> dict[str, Word]:
        calls.append((look.seeds, dict(taken)))
        return {x: Word("helps" if look.seeds >= falls[x] else OPEN) for x in falls}

    return judge


def test_a_verdict_stands_at_the_look_where_it_fell() -> None:
    calls: list[tuple[int, dict[str, int]]] = []
    falls = {"a": 3, "b": 5, "c": 99}
    found = walk(LOOKS, list(falls), dict.fromkeys(falls, 10), judge_with(falls, calls))
    assert {label: look.seeds for label, (look, _) in found.items()} == {"a": 3, "b": 5, "c": 10}
    # Arms of a family stay in the pool, with the seeds of the look where they stopped.
    assert calls == [(3, {"a": 3, "b": 3, "c": 3}), (5, {"a": 3, "b": 5, "c": 5}),
                     (10, {"a": 3, "b": 5, "c": 10})]  # fmt: skip


@pytest.mark.parametrize(("seeds", "look"), [(2, None), (3, 3), (4, 3), (5, 5), (9, 5), (10, 10)])
def test_nothing_is_judged_between_looks(seeds: int, look: int | None) -> None:
    calls: list[tuple[int, dict[str, int]]] = []
    found = walk(LOOKS, ["a"], {"a": seeds}, judge_with({"a": 99}, calls))
    assert (found["a"][0].seeds if found else None) == look
    assert [c[0] for c in calls] == [n for n in (3, 5, 10) if n <= seeds]


def test_a_look_waits_for_every_arm_that_goes_on() -> None:
    calls: list[tuple[int, dict[str, int]]] = []
    falls = {"a": 3, "b": 99}
    found = walk(LOOKS, ["a", "b"], {"a": 3, "b": 5}, judge_with(falls, calls))
    assert {x: look.seeds for x, (look, _) in found.items()} == {"a": 3, "b": 5}
    found = walk(LOOKS, ["a", "b"], {"a": 5, "b": 4}, judge_with(falls, calls))
    assert {x: look.seeds for x, (look, _) in found.items()} == {"a": 3, "b": 3}


def arm(
    label: str, *, base: bool = False, control: str = "", of: str = "", model: str = "m"
) -> dict[str, Any]:
    return {"label": label, "baseline": base, "control": control, "of": of, "model": model}


def test_controls_keep_no_study_going() -> None:
    arms = [arm("base", base=True), arm("a"), arm("b"), arm("a.placebo", control="placebo", of="a"),
            arm("b.placebo", control="placebo", of="b"), arm("identity", control="identity")]  # fmt: skip
    own = {"a": 3, "b": 5, "a.placebo": 10, "b.placebo": 3, "identity": 10}
    assert due_of(arms, own, across=False) == {
        "base": 5, "a": 3, "b": 5, "a.placebo": 3, "b.placebo": 5, "identity": 5}  # fmt: skip
    # Where they are all there is, they are what the study is about.
    alone = [arms[0], arms[5]]
    assert due_of(alone, {"identity": 10}, across=False) == {"base": 10, "identity": 10}


def test_baselines_go_on_for_those_set_against_them() -> None:
    arms = [arm("n", base=True), arm("n.a"), arm("s", base=True, model="s"), arm("s.a", model="s")]
    assert due_of(arms, {"n.a": 3, "s.a": 5}, across=False) == {"n": 3, "n.a": 3, "s": 5, "s.a": 5}
    own = {"n.a": 3, "s.a": 3, "s": 10}
    assert due_of(arms, own, across=True) == {"n": 10, "n.a": 3, "s": 10, "s.a": 3}


def test_after_the_last_look_nobody_goes_on() -> None:
    manifest = {"arms": [arm("base", base=True), arm("a")]}
    assert going_on(manifest, {"a": {"verdict": OPEN}}, LOOKS[0]) == {"base", "a"}
    assert going_on(manifest, {"a": {"verdict": OPEN}}, LOOKS[2]) == frozenset()
    assert going_on(manifest, {"a": {"verdict": "hurts"}}, LOOKS[0]) == frozenset()


def test_a_study_from_before_looks_has_one() -> None:
    assert looks_of({"seeds": [4, 5, 6]}) == (Look(3, 0.05, True),)
    planned_ = {"seeds": list(range(10)), "looks": [3, 5, 10], "alpha_plan": [0.01, 0.02, 0.028]}
    assert looks_of(planned_) == LOOKS


@dataclass
class Bench:
    """Stands in for training: a run's AP comes from a table, and what was trained is remembered."""

    values: Mapping[str, float]
    trained: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)

    def seed(self, bench: running.Bench, arms: Sequence[Any], seed: int) -> bool:
        missing = []
        for a in arms:
            folder = arm_folder(bench.run, a.label, seed)
            if (folder / "scores.json").exists():
                continue
            missing.append(a.label)
            folder.mkdir(parents=True)
            ap = self.values[a.label] + WOBBLE[(seed + len(a.label)) % 10]
            scores = {"seed": seed, "steps": 4, "status": DONE, "reason": "", "seconds": 1.0, "history": [],
                      "images_per_second": 9.0, "per_class": []}  # fmt: skip
            write_json(folder / "scores.json", scores | dict.fromkeys(METRICS, ap))
        if missing:
            self.trained.append((seed, tuple(missing)))
        return bool(missing)


def go(run: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    with monkeypatch.context() as patched:
        patched.setattr(running, "_run_seed", bench.seed)
        # The pages of a report are another test's; here a study is walked many times.
        patched.setattr(running, "publish", lambda run, *_, **__: collect(run))
        return running.run_study(run, code={}, execution=running.Execution(Settings()), progress=Silent())


def sequential(base: Path, *grafts: str, **values: Any) -> Path:
    return planned(base, *grafts, seeds=tuple(range(10)), looks=(3, 5, 10), **values)


def seeds_of(bench: Bench, label: str) -> list[int]:
    return [seed for seed, labels in bench.trained if label in labels]


def test_arms_stop_where_their_verdict_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sequential(tmp_path, "good=se@neck.p3", "same=eca@neck.p3")
    bench = Bench({"baseline": 20.0, "good": 40.0, "same": 20.25})
    results = go(run, bench, monkeypatch)
    assert seeds_of(bench, "good") == [0, 1, 2]
    assert len(seeds_of(bench, "same")) in (5, 10)
    assert seeds_of(bench, "baseline") == seeds_of(bench, "same")
    arms = {a["label"]: a for a in results["arms"]}
    assert arms["good"]["comparison"]["verdict"] == "helps"
    assert arms["good"]["comparison"]["look"]["seeds"] == 3
    assert arms["same"]["comparison"]["look"]["seeds"] == len(seeds_of(bench, "same"))
    assert results["status"] == "complete"


def test_every_verdict_at_the_first_look_ends_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sequential(tmp_path, "se@neck.p3")
    bench = Bench({"baseline": 20.0, GRAFT: 40.0})
    results = go(run, bench, monkeypatch)
    assert [seed for seed, _ in bench.trained] == [0, 1, 2] and results["status"] == "complete"
    # Asked again, nothing more is trained: a study is not extended.
    again = Bench(bench.values)
    assert go(run, again, monkeypatch) == results and again.trained == []


def test_a_study_killed_anywhere_goes_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sequential(tmp_path, "good=se@neck.p3", "same=eca@neck.p3")
    bench = Bench({"baseline": 20.0, "good": 40.0, "same": 20.25})
    whole = go(run, bench, monkeypatch)
    for lost in ([("baseline", 4)], [("same", 2), ("baseline", 2), ("same", 3), ("same", 4)], [("good", 0)]):
        copy = tmp_path / "copy" / run.name
        shutil.rmtree(copy.parent, ignore_errors=True)
        shutil.copytree(run, copy)
        for label, seed in lost:
            shutil.rmtree(arm_folder(copy, label, seed))
        again = Bench(bench.values)
        assert go(copy, again, monkeypatch) == whole
        assert sorted((label, seed) for seed, labels in again.trained for label in labels) == sorted(lost)


def test_controls_stop_with_what_they_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sequential(tmp_path, "good=se@neck.p3", controls=("identity", "placebo"))
    bench = Bench({"baseline": 20.0, "good": 40.0, "good.placebo": 20.1, "identity": 20.05})
    results = go(run, bench, monkeypatch)
    for label in bench.values:
        assert seeds_of(bench, label) == [0, 1, 2]
    assert results["status"] == "complete"
    judged = next(a for a in results["arms"] if a["label"] == "good")["comparison"]
    assert judged["verdict"] == "helps" and "convolution" not in judged["sentence"]


@pytest.mark.parametrize("looks", [(3, 6), (2, 10), (5, 3), (3, 5, 10, 20), (3, 5)])
def test_other_looks_are_refused(looks: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="YG607"):
        planned(tmp_path, "se@neck.p3", seeds=tuple(range(looks[-1])), looks=looks)
    assert list(tmp_path.iterdir()) == []


def test_seeds_and_last_look_agree(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="YG605"):
        planned(tmp_path, "se@neck.p3", seeds=(0, 1, 2), looks=(3, 5, 10))


def test_levels_stand_in_the_manifest(tmp_path: Path) -> None:
    manifest = read_manifest(sequential(tmp_path, "se@neck.p3"))
    assert manifest["looks"] == [3, 5, 10] and manifest["alpha_plan"] == [0.01, 0.02, 0.028]
    one = read_manifest(planned(tmp_path, "se@neck.p3"))
    assert one["looks"] == [3] and one["alpha_plan"] == [0.05]


def test_an_older_manifest_reads_as_it_was_meant(tmp_path: Path) -> None:
    run = planned(tmp_path, "se@neck.p3")
    manifest = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
    new = ("looks", "alpha_plan", "paired", "group", "groups", "bank", "controls", "follows", "tried_before")
    old = {key: value for key, value in manifest.items() if key not in new}
    for entry in old["arms"]:
        del entry["control"], entry["of"]
    (run / MANIFEST).write_text(json.dumps(old), encoding="utf-8")
    read = read_manifest(run)
    assert {key: read[key] for key in new} == {key: manifest[key] for key in new}
    assert collect(run)["arms"][1]["comparison"]["verdict"] == OPEN
