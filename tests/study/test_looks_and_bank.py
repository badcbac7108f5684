"""The levels of looks, and earlier runs that lend their variance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats as distributions
from test_study_verdicts import planned, scored

from yolograft.engine.checkpoint import write_json
from yolograft.errors import StudyError
from yolograft.rng import stream
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.results import collect
from yolograft.study.run import publish
from yolograft.study.sequence import Look, looks_of, walk
from yolograft.study.statistics.bank import Bank, agreement, pooled
from yolograft.study.statistics.compare import ArmScores, compare
from yolograft.study.statistics.evidence import NON_VERDICTS, evidence_of
from yolograft.study.statistics.looks import look_alphas
from yolograft.study.statistics.verdict import judge

BASE = ArmScores("base", (50.0, 51.0, 52.0))
ARM = ArmScores("arm", (52.6, 53.6, 54.6))


def test_planned_looks_and_no_others():
    assert look_alphas([5]) == (0.05,) and look_alphas([3, 5, 10]) == (0.01, 0.02, 0.028)
    for plan in ([], [3, 5], [3, 4, 5, 6, 7], [10, 5, 3], [0]):
        with pytest.raises(StudyError, match="YG607"):
            look_alphas(plan)


def test_a_bank_adds_degrees_of_freedom_to_the_baseline():
    bank = Bank(((40.0, 41.0, 42.0, 43.0), (60.0, 61.0), (33.0,)))
    variance, df = pooled(bank, BASE.values)
    assert df == 4 and bank.runs == 6
    assert variance == pytest.approx((3 * np.var([40, 41, 42, 43], ddof=1) + 0.5) / 4)
    alone, helped = compare(BASE, [ARM])[0], compare(BASE, [ARM], bank=bank)[0]
    base_variance = (2 * 1.0 + 4 * variance) / 6
    g0, g = base_variance / 3, (6 * base_variance + 2) / 8 / 3
    df = (g0 + g) ** 2 / (g0**2 / 6 + g**2 / 8)
    assert alone.df == 4 and helped.df == pytest.approx(min(df, 8)) and helped.delta == alone.delta
    assert helped.evidence.sd_base**2 == pytest.approx(max(base_variance, (6 * base_variance + 2) / 8))
    assert helped.high - helped.low < alone.high - alone.low
    assert helped.evidence.bank_runs == 6 and alone.evidence.bank_runs == 0
    assert pooled(Bank(()), BASE.values) == (0.0, 0)


def test_a_bank_of_another_kind_is_refused():
    quiet = Bank(((40.0, 40.001, 40.002, 39.999), (41.0, 41.001, 40.999)))
    with pytest.raises(StudyError, match="YG608"):
        compare(BASE, [ARM], bank=quiet)
    with pytest.raises(StudyError, match="YG608"):
        pooled(Bank(((40.0, 40.0, 40.0), (41.0, 42.0, 43.0))), ())
    with pytest.raises(StudyError, match="YG601"):
        pooled(Bank(((40.0, float("nan")),)), ())


def test_agreement_holds_its_level_where_chi_square_does_not():
    degrees = (2, 2, 2, 2)
    drawn = stream(2, "bank test").chisquare(2, (20_000, 4)) / 2
    assert (agreement(drawn, degrees) < 0.01).mean() == pytest.approx(0.01, abs=0.003)
    # Two groups are the two-sided F test.
    f = np.array([30.0])
    two = agreement(np.stack([f, np.ones(1)], axis=-1), (4, 4))
    assert two[0] == pytest.approx(2 * distributions.f.sf(30.0, 4, 4), abs=0.002)


QUIET = [{"values": [20.0, 20.001, 20.002, 19.999]}, {"values": [21.0, 21.001, 20.999, 21.0]}]
LIKE = [{"values": [20.0, 20.4, 19.8, 20.3]}]
RUNS = ((20.0, 20.4, 19.8), (20.2, 20.5, 20.1))


def with_bank(run: Path, bank: list[dict[str, list[float]]]) -> dict[str, Any]:
    """Results of a study whose manifest holds this bank."""
    write_json(run / "manifest.json", read_manifest(run) | {"bank": bank})
    return collect(run)


def test_a_bank_that_disagrees_after_training_is_left_out_and_named(tmp_path: Path) -> None:
    run = planned(tmp_path, "se@neck.p3")
    for label, values in zip(("baseline", "se-neck.p3"), RUNS, strict=True):
        scored(run, label, values)
    alone = with_bank(run, [])["arms"][1]["comparison"]
    refused = with_bank(run, QUIET)["arms"][1]["comparison"]
    assert (refused["low"], refused["high"], refused["df"]) == (alone["low"], alone["high"], alone["df"])
    assert refused["evidence"]["bank_refused"] and refused["evidence"]["bank_runs"] == 0
    assert "without the noise bank, whose noise differs" in refused["sentence"]
    evidence = evidence_of(refused["evidence"])
    assert evidence is not None and "噪声库与基线的噪声不一致，未采用" in judge(evidence, lang="zh")[1]
    publish(run, None)
    assert "whose noise differs" in (run / "report.html").read_text(encoding="utf-8")
    lent = with_bank(run, LIKE)["arms"][1]["comparison"]
    assert not lent["evidence"]["bank_refused"] and lent["evidence"]["bank_runs"] == 4
    assert "bank" not in alone["sentence"] and "bank" not in lent["sentence"]


def test_a_bank_serves_the_model_whose_runs_it_holds(tmp_path: Path) -> None:
    run = planned(tmp_path, "se@neck.p3", more_models=("yolov5n",))
    arms = read_manifest(run)["arms"]
    for arm in arms:
        scored(run, arm["label"], RUNS[0 if arm["baseline"] else 1])
    found = {arm["model"]: arm["comparison"] for arm in with_bank(run, LIKE)["arms"] if arm["comparison"]}
    assert {m: one["evidence"]["bank_runs"] for m, one in found.items()} == {"yolov8n": 4, "yolov5n": 0}


@pytest.mark.parametrize("word", NON_VERDICTS)
def test_what_is_no_verdict_goes_on_at_an_early_look(word: str) -> None:
    looks = looks_of({"seeds": [*range(10)], "looks": [3, 5, 10], "alpha_plan": look_alphas([3, 5, 10])})
    seen: list[int] = []

    def judged(look: Look, taken: Mapping[str, int]) -> dict[str, SimpleNamespace]:
        seen.append(taken["a"])
        return {"a": SimpleNamespace(verdict=word)}

    (look, _) = walk(looks, ["a"], {"a": 10}, judged)["a"]
    assert (seen, look.seeds) == ([3, 5, 10], 10)


def test_not_enough_images_is_no_verdict() -> None:
    assert set(NON_VERDICTS) == {"not enough seeds", "not enough images"}
    rng = stream(3, "early look")
    liking = rng.normal(0, 20, (2, 60))
    sides = [ArmScores(label, (50.0, 50.1, 49.9), influence=np.tile(psi - psi.mean(), (3, 1)))
             for label, psi in zip(("base", "arm"), liking, strict=True)]  # fmt: skip
    (found,) = compare(sides[0], sides[1:], alpha=look_alphas([3, 5, 10])[0])
    assert found.verdict == "not enough images" and found.verdict in NON_VERDICTS
