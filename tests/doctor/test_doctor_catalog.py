"""Every module of the catalog that can be grafted passes the examination that strangers' modules get."""

from __future__ import annotations

import pytest

from yolograft.doctor import check_module
from yolograft.doctor.examine import CHECKS, SLOW
from yolograft.doctor.specimen import EXAMINED
from yolograft.models.catalog import ENTRIES, LISTED

QUICK = [name for name in CHECKS if name not in SLOW]
# The gate of a fresh NAM is sigmoid(z / C), one half everywhere, as published.
NOTED = {"nam": {"scale": "only_scales"}}
OURS = [entry.name for entry in ENTRIES if entry.kind in EXAMINED]


@pytest.mark.parametrize("name", OURS)
def test_the_quick_checks_pass(name: str) -> None:
    report = check_module(name, checks=QUICK)
    noted = {row.name: row.key for row in report.rows if row.status != "pass"}
    assert noted == NOTED.get(name, {}), report.text()


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_compiled_and_exported_it_computes_the_same(name: str) -> None:
    report = check_module(name, checks=SLOW)
    assert {row.status for row in report.rows} == {"pass"}, report.text()


def test_what_the_list_of_modules_shows_can_be_examined() -> None:
    assert {"density", "placebo"} < set(OURS) and set(LISTED) <= set(EXAMINED)


def test_a_timm_layer_is_examined_by_its_key() -> None:
    report = check_module("timm:eca", checks=QUICK)
    assert report.passed, report.text()
