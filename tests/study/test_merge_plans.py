"""What `merge` may not do: shrink a plan, drop its looks, or join two designs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fabricated import study

from yolograft.errors import StudyError
from yolograft.study.records.merge import merge
from yolograft.study.results import collect

ARMS = {"baseline": 0.5, "g": 0.62}
LOOKS: dict[str, Any] = {"looks": [3, 5, 10], "alpha_plan": [0.01, 0.02, 0.028]}


def part(base: Path, name: str, seeds: tuple[int, ...], planned: range, **more: Any) -> Path:
    return study(base / name, ARMS, seeds=seeds, planned=tuple(planned), images=20, **more)


def test_a_plan_is_not_shrunk_to_what_has_run(tmp_path: Path) -> None:
    parts = [part(tmp_path, "one", (0, 1, 2), range(10)), part(tmp_path, "two", (3,), range(10))]
    with pytest.raises(StudyError, match=r"YG637.*seed 4.*never left out"):
        merge(parts, tmp_path / "out", seeds=range(4))
    merge(parts, tmp_path / "out", seeds=range(10))
    results = collect(tmp_path / "out", where=False)
    assert results["status"] == "partial" and results["budget"]["seeds"] == list(range(10))


@pytest.mark.parametrize("seeds", [range(4), range(12)])
def test_several_looks_do_not_become_one(tmp_path: Path, seeds: range) -> None:
    parts = [part(tmp_path, "one", (0, 1, 2), range(10), **LOOKS),
             part(tmp_path, "two", (3,), range(10), **LOOKS)]  # fmt: skip
    with pytest.raises(StudyError, match=r"YG637.*3 looks"):
        merge(parts, tmp_path / "out", seeds=seeds)
    # As planned they are one study, declared or not.
    merge(parts, tmp_path / "out", seeds=range(10))
    assert collect(tmp_path / "out", where=False)["looks"] == [3, 5, 10]


def test_a_look_planned_in_one_part_alone_is_a_look(tmp_path: Path) -> None:
    parts = [part(tmp_path, "one", (0, 1, 2), range(10), **LOOKS), part(tmp_path, "two", (3,), range(10))]
    with pytest.raises(StudyError, match=r"YG635.*'looks'"):
        merge(parts, tmp_path / "out")
    other = part(tmp_path, "other", (10,), range(10, 20))
    with pytest.raises(StudyError, match=r"YG637.*3 looks"):
        merge([parts[0], other], tmp_path / "out", seeds=range(20))


@pytest.mark.parametrize("more", [{"branch_at": 24}, {"contrasts": [["g", "baseline"]]}], ids=str)
def test_two_designs_are_two_studies(tmp_path: Path, more: dict[str, Any]) -> None:
    parts = [part(tmp_path, "one", (0,), range(3)), part(tmp_path, "two", (1,), range(3), **more)]
    with pytest.raises(StudyError, match=rf"YG635.*'{next(iter(more))}'"):
        merge(parts, tmp_path / "out")
