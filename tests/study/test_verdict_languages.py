"""One verdict in two languages: same word, same numbers, nothing left in English."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from yolograft.study.planning.sees import sees_line
from yolograft.study.report.wording import Wording
from yolograft.study.statistics.compare import ArmScores, compare
from yolograft.study.statistics.evidence import Evidence, evidence_json, evidence_of
from yolograft.study.statistics.verdict import judge

BASE = ArmScores("baseline", (20.0, 20.4, 19.8))
ARMS = {
    "helps": ArmScores("se-neck.p3", (40.0, 40.3, 39.9)),
    "hurts": ArmScores("se-neck.p3", (10.0, 10.3, 9.9)),
    "open": ArmScores("se-neck.p3", (20.5, 21.3, 19.9)),
    "withheld": ArmScores("se-neck.p3", (40.0, 40.3, 39.9), 1),
    "one": ArmScores("se-neck.p3", (40.0,)),
    "none": ArmScores("se-neck.p3", (), 3),
}
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?")
ENGLISH = re.compile(r"[A-Za-z]{3,}")


def evidence(name: str, *, base: ArmScores = BASE) -> Evidence:
    return compare(base, [ARMS[name]], margin=0.5)[0].evidence


@pytest.mark.parametrize("name", ARMS)
def test_both_languages_hold_the_same_word_and_numbers(name):
    found = evidence(name)
    word, english, known = judge(found)
    word_zh, chinese, known_zh = judge(found, lang="zh")
    assert word == word_zh
    for one, other in ((english, chinese), (known, known_zh)):
        # A Chinese sentence may count first what the English one counts last.
        assert sorted(NUMBER.findall(one)) == sorted(NUMBER.findall(other))
        assert not ENGLISH.findall(other.replace("se-neck.p3", ""))
    assert bool(known) == bool(known_zh)


def test_equal_runs_and_small_gains_are_said_in_chinese():
    still = ArmScores("baseline", (20.0, 20.0, 20.0))
    same = compare(still, [ArmScores("a", (21.0, 21.0, 21.0))], margin=0.5)[0].evidence
    assert "噪声未知" in judge(same, lang="zh")[2]
    near = replace(evidence("helps"), delta=0.3, low=0.1, high=0.5)
    assert judge(near, lang="zh")[1].endswith("有效，但小于设定阈值")
    none = replace(near, low=-0.1, high=0.1, delta=0.0, equivalence_half=0.05)
    assert "无可检测差异（|Δ| < 0.5）" in judge(none, lang="zh")[1]
    assert "不作“有效”的结论" in judge(evidence("withheld"), lang="zh")[1]


@pytest.mark.parametrize("name", ARMS)
def test_evidence_survives_json(name):
    found = evidence(name)
    again = evidence_of(json.loads(json.dumps(evidence_json(found), allow_nan=False)))
    assert (
        again is not None
        and judge(again) == judge(found)
        and judge(again, lang="zh") == judge(found, lang="zh")
    )


@pytest.mark.parametrize("damage", [{"seeds": 3}, {"tried": None}, {"delta": "x"}, {"failed": [1]}])
def test_damaged_evidence_is_none(damage):
    assert evidence_of({}) is None
    assert evidence_of(evidence_json(evidence("open")) | damage) is None


def test_what_the_budget_sees_is_said_in_chinese():
    words = Wording("zh")
    for line in (sees_line(3, arms=2), sees_line(5, arms=1), sees_line(1, arms=1)):
        said = words.verdict(line)
        assert sorted(NUMBER.findall(said)) == sorted(NUMBER.findall(line).copy()) or "三个" in said
        assert not ENGLISH.findall(said)
    left = "se-neck.p3: the study is not finished, 4 runs are missing -> not enough seeds"
    assert words.verdict(left) == "实验尚未完成，还缺 4 次训练"
