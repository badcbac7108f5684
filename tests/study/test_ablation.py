"""Interactions against a linear model fitted by least squares, and their error rate by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from yolograft.graph.ablate import ablate
from yolograft.study.ablation import interactions

SITES = ("neck.p3", "neck.p4", "neck.p5", "backbone.p4", "backbone.p5")


def entry(count, *, cumulative=False):
    return ablate("; ".join(f"se@{site}" for site in SITES[:count]), cumulative=cumulative).to_json()


def arms_of(ablation, values, *, diverged=()):
    """Arms as results.json holds them; values: label -> AP of its runs, the baseline under ''."""
    arms = []
    for label in ("", *ablation["members"]):
        runs = [{"seed": i, "status": "done", "ap": float(v)} for i, v in enumerate(values[label])]
        runs += [{"seed": 99, "status": "diverged"}] if label in diverged else []
        arms.append({"label": label or "baseline", "baseline": not label, "runs": runs})
    return arms


def drawn(ablation, rng, *, seeds=4, sd=1.0):
    return {label: rng.normal(40 + 2 * len(label), sd, seeds) for label in ("", *ablation["members"])}


@pytest.mark.parametrize("count", [2, 3, 4])
def test_joint_interactions_are_the_product_terms_of_the_full_linear_model(count):
    ablation = entry(count)
    values = drawn(ablation, np.random.default_rng(count))
    members = {"": (), **{label: tuple(m) for label, m in ablation["members"].items()}}
    terms = [c for n in range(count + 1) for c in itertools.combinations(range(count), n)]
    design = [
        [float(set(t) <= set(members[label])) for t in terms] for label in values for _ in values[label]
    ]
    observed = np.concatenate(list(values.values()))
    coefficient, residual, rank, _ = np.linalg.lstsq(np.array(design), observed, rcond=None)
    assert rank == len(terms)
    of_label = {label: coefficient[terms.index(m)] for label, m in members.items()}
    found = interactions(ablation, arms_of(ablation, values))
    joint = {r["label"]: r for r in found["rows"] if r["kind"] == "joint" or len(members[r["label"]]) == 2}
    assert joint.keys() == {label for label, m in members.items() if len(m) > 1}
    for label, row in joint.items():
        assert row["value"] == pytest.approx(of_label[label], abs=1e-9)
    # The model's own standard error is the pooled one; ours is never smaller.
    df = len(observed) - rank
    cov = float(residual[0]) / df * np.linalg.inv(np.array(design).T @ np.array(design))
    assert found["df"] == df
    for label, row in joint.items():
        pooled = math.sqrt(cov[terms.index(members[label]), terms.index(members[label])])
        assert row["se"] >= pooled * (1 - 1e-9)


def test_equal_variances_give_exactly_the_models_standard_error_and_interval():
    ablation = entry(2)
    noise = np.array([-1.0, 0.0, 1.0])
    values = {"": 40 + noise, "a": 42 + noise, "b": 43 + noise, "a-b": 44 + noise}
    (row,) = (found := interactions(ablation, arms_of(ablation, values)))["rows"]
    assert (row["found"], row["sum"], row["value"]) == pytest.approx((4, 5, -1))
    assert row["se"] == pytest.approx(math.sqrt(4 / 3)) and found["df"] == 8
    half = stats.t.ppf(0.975, 8) * math.sqrt(4 / 3)
    assert (row["low"], row["high"]) == pytest.approx((-1 - half, -1 + half))
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(1 / math.sqrt(4 / 3), 8))
    assert row["word"] == "not shown"


def test_beyond_the_sum_is_what_the_parts_alone_do_not_give():
    ablation = entry(3)
    values = drawn(ablation, np.random.default_rng(5))
    mean = {label: np.mean(v) for label, v in values.items()}
    found = interactions(ablation, arms_of(ablation, values))
    assert len(found["rows"]) == 5 and found["level"] == pytest.approx(0.99)
    row = next(r for r in found["rows"] if r["label"] == "a-b-c" and r["kind"] == "beyond")
    alone = sum(mean[x] - mean[""] for x in "abc")
    assert row["sum"] == pytest.approx(alone)
    assert row["value"] == pytest.approx(mean["a-b-c"] - mean[""] - alone)


def test_a_staircase_shows_each_step_over_the_one_before():
    ablation = entry(3, cumulative=True)
    values = drawn(ablation, np.random.default_rng(6))
    rows = interactions(ablation, arms_of(ablation, values))["rows"]
    means = [np.mean(values[label]) for label in ("", "a", "a-b", "a-b-c")]
    assert [r["label"] for r in rows] == ["a", "a-b", "a-b-c"]
    assert [r["value"] for r in rows] == pytest.approx(np.diff(means))
    assert all(r["sum"] is None and r["word"] in ("gains", "loses", "not shown") for r in rows)


def test_words_fall_only_where_every_arm_carries_them():
    ablation, noise = entry(2), np.array([-0.1, 0.0, 0.1])
    values = {"": 40 + noise, "a": 45 + noise, "b": 45 + noise, "a-b": 45 + noise}
    (row,) = interactions(ablation, arms_of(ablation, values))["rows"]
    assert row["word"] == "less than the sum"
    (row,) = interactions(ablation, arms_of(ablation, values | {"a-b": 60 + noise}))["rows"]
    assert row["word"] == "more than the sum"
    (row,) = interactions(ablation, arms_of(ablation, values, diverged=("b",)))["rows"]
    assert row["word"] == "not enough seeds" and row["low"] is not None
    (row,) = interactions(ablation, arms_of(ablation, values | {"b": values["b"][:2]}))["rows"]
    assert row["word"] == "not enough seeds"
    (row,) = interactions(ablation, arms_of(ablation, values | {"b": []}))["rows"]
    assert (row["value"], row["low"], row["word"]) == (None, None, "not enough seeds")


def test_one_seed_equal_runs_and_a_study_without_baseline_give_no_interval():
    ablation = entry(2)
    for values in (
        {"": [40.0], "a": [41.0], "b": [42.0], "a-b": [43.0]},
        {label: [40.0, 40.0, 40.0] for label in ("", "a", "b", "a-b")},
    ):
        (row,) = interactions(ablation, arms_of(ablation, values))["rows"]
        assert row["value"] is not None and row["low"] is None and row["word"] == "not enough seeds"
    arms = arms_of(ablation, {label: [1.0, 2.0, 3.0] for label in ("", "a", "b", "a-b")})[1:]
    assert interactions(ablation, arms)["rows"] == []


def test_additive_arms_are_rarely_called_an_interaction():
    """Family-wise error over the five rows of three parts, 3 seeds: at most 6 % of 400 simulations."""
    ablation, rng, wrong = entry(3), np.random.default_rng(8), 0
    for _ in range(400):
        values = {
            label: 40 + 2 * (label.count("-") + 1 if label else 0) + rng.normal(0, 1.5, 3)
            for label in ("", *ablation["members"])
        }
        rows = interactions(ablation, arms_of(ablation, values))["rows"]
        wrong += any(
            row["word"] in ("more than the sum", "less than the sum", "positive", "negative") for row in rows
        )
    assert wrong / 400 <= 0.06


def test_the_baseline_counts_twice_in_the_noise_beyond_the_sum_of_three():
    """Weights 1, -1, -1, -1, 2: variance 8 s^2 / K at equal s."""
    ablation, noise = entry(3), np.array([-1.0, 0.0, 1.0])
    values = {label: 40 + noise for label in ("", *ablation["members"])}
    rows = interactions(ablation, arms_of(ablation, values))["rows"]
    assert {(r["kind"], round(r["se"] ** 2, 9)) for r in rows if r["label"] == "a-b-c"} == {
        ("beyond", round(8 / 3, 9)),
        ("joint", round(8 / 3, 9)),
    }
    assert all(r["se"] == pytest.approx(math.sqrt(4 / 3)) for r in rows if r["label"] != "a-b-c")
