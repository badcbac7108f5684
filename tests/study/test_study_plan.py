"""The plan of a study: studies that follow others, earlier noise, what the budget sees, the hours to come."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_study_verdicts import Silent, planned, scored

from yolograft.errors import SpecError, StudyError
from yolograft.study.pace import Pace
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.planning.sees import ASSUMED_SD, noise_of_bank, sees_line
from yolograft.study.statistics.power import Design, minimum_detectable

BASE = (20.0, 20.4, 19.8, 20.3)


def earlier(tmp_path: Path, **values: Any) -> Path:
    """A finished study with a baseline of four runs."""
    run = planned(tmp_path, "se@neck.p3", "nam@neck.p3", seeds=(0, 1, 2, 3), **values)
    scored(run, "baseline", BASE)
    return run


def test_a_study_that_follows_takes_fresh_seeds_and_counts_what_was_tried(tmp_path: Path) -> None:
    first = earlier(tmp_path)
    with pytest.raises(StudyError, match=r"YG643.*seed 3 was taken.*--first-seed 4"):
        planned(tmp_path, "se@neck.p3", seeds=(3, 4, 5), follows=(first,))
    second = planned(tmp_path, "eca@neck.p3", seeds=(4, 5, 6), follows=(first,))
    manifest = read_manifest(second)
    assert manifest["tried_before"] == 2
    assert manifest["follows"] == [{"name": first.name, "seeds": [0, 1, 2, 3], "tried": 2}]
    with pytest.raises(StudyError, match="YG643"):
        planned(tmp_path, "se@neck.p3", seeds=(0, 1, 2), follows=(second,))
    third = read_manifest(planned(tmp_path, "se@neck.p3", seeds=(7, 8, 9), follows=(second,)))
    assert third["tried_before"] == 3 and third["follows"][0]["seeds"] == list(range(7))
    # More candidates share the chance of error, and the budget sees less.
    alone = read_manifest(planned(tmp_path, "se@neck.p3", seeds=(7, 8, 9)))
    assert seen(third["sees"]) > seen(alone["sees"])


def seen(line: str) -> float:
    return float(line.split("difference of ")[1].split(" AP")[0])


def test_earlier_noise_is_copied_into_the_manifest(tmp_path: Path) -> None:
    run = earlier(tmp_path / "old")
    study = planned(tmp_path / "new", "se@neck.p3", seeds=(10, 11, 12), bank=(tmp_path / "old",))
    manifest = read_manifest(study)
    assert [row["values"] for row in manifest["bank"]] == [list(BASE)]
    assert manifest["bank"][0]["sources"] == [run.name]
    noise = noise_of_bank(manifest["bank"])
    assert noise is not None and (noise.runs, noise.df) == (4, 3)
    assert noise.sd == pytest.approx(statistics.stdev(BASE))
    assert "measured in 4 earlier runs" in manifest["sees"] and seen(manifest["sees"]) < 2


def test_a_bank_of_another_kind_is_refused(tmp_path: Path) -> None:
    earlier(tmp_path / "old", model="yolov8s")
    with pytest.raises(StudyError, match=r"YG644.*another model"):
        planned(tmp_path / "new", "se@neck.p3", seeds=(10, 11, 12), bank=(tmp_path / "old",))
    assert not (tmp_path / "new").exists()


def test_pooled_noise_by_hand() -> None:
    noise = noise_of_bank([{"values": [1.0, 3.0]}, {"values": [5.0]}, {"values": [2.0, 2.0, 5.0]}])
    # Variances 2 (df 1) and 3 (df 2); a group of one has none.
    assert noise is not None and noise.sd == pytest.approx(math.sqrt((2 * 1 + 3 * 2) / 3))
    assert (noise.runs, noise.df) == (5, 3)
    assert noise_of_bank([]) is None


def test_what_a_budget_sees_falls_with_seeds_and_rises_with_verdicts() -> None:
    by_seeds = [seen(sees_line(k, arms=1)) for k in (3, 5, 10)]
    assert by_seeds == sorted(by_seeds, reverse=True) and f"an sd of {ASSUMED_SD:g} AP" in sees_line(
        3, arms=1
    )
    assert seen(sees_line(5, arms=1, verdicts=4)) > seen(sees_line(5, arms=1))
    assert seen(sees_line(10, arms=1, alpha=0.028)) > seen(sees_line(10, arms=1))
    assert sees_line(2, arms=1) == "2 seed(s) cannot carry a verdict: three per arm is the least"


def steps(pace: Pace, clock: list[float], count: int, *, each: float, total: int) -> None:
    for i in range(count):
        clock[0] += each
        pace.step([SimpleNamespace(steps=i + 1, length=SimpleNamespace(total_steps=total))], 4)  # type: ignore[list-item]


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_the_hours_to_come_are_said_once() -> None:
    notes, clock = Notes(), [0.0]
    pace = Pace(notes, arms=4, clock=lambda: clock[0])
    pace.seeds_left(3)
    pace.group(["a", "b"], start=0, steps=1000)
    steps(pace, clock, 60, each=2.0, total=1000)
    # 2 s a step, two groups of two arms, three seeds, 14 steps done when it is said.
    assert notes.lines == ["about 3 h 19 min of training to come, for at most 3 seed(s)"]
    pace.group(["c", "d"], start=0, steps=1000)
    steps(pace, clock, 60, each=2.0, total=1000)
    assert len(notes.lines) == 1


def test_a_minute_is_not_announced() -> None:
    notes, clock = Notes(), [0.0]
    pace = Pace(notes, arms=1, clock=lambda: clock[0])
    pace.group(["a"], start=0, steps=30)
    steps(pace, clock, 30, each=1.0, total=30)
    assert notes.lines == []


def test_pairs_are_planned_without_a_correlation() -> None:
    line = sees_line(5, arms=1, paired=True)
    assert "paired, no correlation over seeds assumed" in line
    sd = ASSUMED_SD * math.sqrt(2)
    assert seen(line) == pytest.approx(minimum_detectable(sd, 5, design=Design(paired=True)), abs=0.05)
    assert seen(line) > seen(sees_line(5, arms=1))


def test_noise_that_is_not_lent_promises_nothing() -> None:
    noise = noise_of_bank([{"values": [1.0, 3.0, 2.0]}] * 6)
    with_bank, without = (seen(sees_line(3, arms=1, noise=noise, lent=lent)) for lent in (True, False))
    assert with_bank < without


def test_pairs_and_a_bank_do_not_go_together(tmp_path: Path) -> None:
    earlier(tmp_path / "old")
    asked = {"seeds": (10, 11, 12), "bank": (tmp_path / "old",), "paired": True}
    with pytest.raises(SpecError, match=r"YG193.*--paired with --bank"):
        planned(tmp_path / "new", "se@neck.p3", **asked)
