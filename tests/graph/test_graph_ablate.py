"""Ablations: every combination once, smaller ones first, names fit for folders."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolograft.errors import SpecError
from yolograft.graph.ablate import ablate, ablate_grafts
from yolograft.graph.expr import parse_graft

SITES = ("neck.p3", "neck.p4", "neck.p5", "backbone.p3", "backbone.p4")


def test_three_parts_make_seven_arms():
    made = ablate("se@neck.p3; nam@neck.p4+se@neck.p5; eca:k_size=3@backbone.p4")
    assert [arm.label for arm in made.arms] == ["a", "b", "c", "a-b", "a-c", "b-c", "a-b-c"]
    assert made.members == ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
    assert made.arms[-1].text() == "se@neck.p3+nam@neck.p4+se@neck.p5+eca:k_size=3@backbone.p4"
    assert made.arms == ablate_grafts("se@neck.p3; nam@neck.p4+se@neck.p5; eca:k_size=3@backbone.p4")


def test_a_staircase_adds_one_part_a_step():
    arms = ablate_grafts("se@neck.p3;nam@neck.p4;eca@neck.p5;", cumulative=True)
    assert [(arm.label, len(arm.terms)) for arm in arms] == [("a", 1), ("a-b", 2), ("a-b-c", 3)]


def test_labels_of_the_user_are_kept_and_init_reaches_every_term():
    made = ablate("CA=coord_att@neck.p3; se:init=paper@neck.p4", init="identity")
    assert [arm.label for arm in made.arms] == ["ca", "b", "ca-b"]
    assert [term.ref.init for term in made.arms[2].terms] == ["identity", "paper"]


def test_necks_and_distillation_are_parts():
    made = ablate("CA=coord_att@neck.p3; neck:bifpn; distill:cwd:tau=2")
    assert [arm.label for arm in made.arms] == ["ca", "b", "c", "ca-b", "ca-c", "b-c", "ca-b-c"]
    assert made.arms[-1].text() == "coord_att@neck.p3+neck:bifpn+distill:cwd:tau=2"
    for twice in ("neck:bifpn; neck:fpn", "distill:cwd; distill:cwd"):
        with pytest.raises(SpecError, match="YG118"):
            ablate(twice)


@given(st.integers(2, 5), st.booleans())
def test_every_combination_once_with_a_label_of_its_own(count, cumulative):
    text = ";".join(f"se@{site}" for site in SITES[:count])
    made = ablate(text, cumulative=cumulative)
    subsets = {frozenset(m) for m in made.members}
    every = {frozenset(c) for n in range(1, count + 1) for c in itertools.combinations(range(count), n)}
    assert len(made.arms) == len(subsets) == (count if cumulative else 2**count - 1)
    assert subsets <= every
    labels = [arm.label for arm in made.arms]
    assert len(set(labels)) == len(labels) and all(re.fullmatch(r"[a-z0-9._-]{1,60}", x) for x in labels)
    for arm, members in zip(made.arms, made.members, strict=True):
        assert arm.terms == tuple(t for i in members for t in made.parts[i].terms)
        assert parse_graft(arm.text()).terms == arm.terms
    kept = json.loads(json.dumps(made.to_json()))
    assert kept["members"] == {arm.label: list(m) for arm, m in zip(made.arms, made.members, strict=True)}


@pytest.mark.parametrize(
    ("text", "cumulative", "code"),
    [
        ("se@neck.p3", False, "YG117"),
        ("", False, "YG117"),
        ("; ;", False, "YG110"),
        (";".join(f"se@{s}" for s in (*SITES, "backbone.p5")), False, "YG117"),
        (";".join(f"se:reduction={n}@neck.p3" for n in range(1, 12)), True, "YG117"),
        ("se@neck.p3; se@neck.p3", False, "YG118"),
        ("se@neck.p3; X=nam@neck.p4+se@neck.p3", False, "YG118"),
        ("x=se@neck.p3; X=nam@neck.p4", False, "YG118"),
        ("x=se@neck.p3; y=nam@neck.p4; x-y=eca@neck.p5", False, "YG118"),
        ("se@neck.p3; nam", False, "YG112"),
    ],
)
def test_what_makes_no_ablation_is_refused_in_one_line(text, cumulative, code):
    with pytest.raises(SpecError, match=code) as error:
        ablate_grafts(text, cumulative=cumulative)
    assert len(error.value.line()) <= 240 and "\n" not in error.value.line()


def test_six_parts_fit_a_staircase():
    assert len(ablate_grafts(";".join(f"se@{s}" for s in (*SITES, "backbone.p5")), cumulative=True)) == 6
