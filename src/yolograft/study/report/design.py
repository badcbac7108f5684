"""What a study was planned with beyond its budget: looks, groups, lent runs, contrasts, branches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yolograft.study.holes import number, rows, table, whole, words_of
from yolograft.study.report.wording import Wording


def looks_planned(results: Mapping[str, Any]) -> list[tuple[int, float]]:
    """Seeds and level of every planned look; empty where the study is judged once."""
    seeds = [n for n in map(whole, rows(results.get("looks"))) if n is not None]
    alphas = [a for a in map(number, rows(results.get("alpha_plan"))) if a is not None]
    return list(zip(seeds, alphas, strict=True)) if len(seeds) == len(alphas) > 1 else []


def group_rule(results: Mapping[str, Any]) -> str:
    """The rule by which evaluation images belong together; empty without one."""
    return words_of(results.get("group"))


def lent_runs(results: Mapping[str, Any]) -> tuple[int, int]:
    """How many earlier baseline runs lend their noise, and in how many groups."""
    sizes = [len(rows(table(row).get("values"))) for row in rows(results.get("bank"))]
    return sum(sizes), sum(size > 0 for size in sizes)


def contrast_names(results: Mapping[str, Any]) -> list[str]:
    """The pairs of arms judged against each other, as `new vs old`."""
    found = [table(row) for row in rows(results.get("contrasts"))]
    pairs = [(words_of(row.get("label")), words_of(row.get("against"))) for row in found]
    return [f"{new} vs {old}" for new, old in pairs if new and old]


def branch_epochs(results: Mapping[str, Any]) -> int | None:
    """Epochs that all arms of a seed share, trained as the baseline; None where every arm starts anew."""
    return whole(results.get("branch_at"))


def design_rows(results: Mapping[str, Any], words: Wording) -> list[tuple[str, str]]:
    """The plan as label and value, for the report; only what is not as it is without being asked for."""
    looks, (runs, groups), shared = looks_planned(results), lent_runs(results), branch_epochs(results)
    earlier = [table(row) for row in rows(results.get("follows"))]
    tried = whole(results.get("tried_before")) or 0
    planned = words("list_comma").join(words("look_at", seeds=n, alpha=f"{a:g}") for n, a in looks)
    return [
        (words("looks_field"), planned),
        (words("paired_field"), words("paired_value") if results.get("paired") is True else ""),
        (words("group_field"), group_rule(results)),
        (words("bank_field"), words("bank_value", runs=runs, groups=groups) if runs else ""),
        (words("follows_field"), words("list_comma").join(words_of(row.get("name")) for row in earlier)),
        (words("tried_field"), str(tried) if tried else ""),
        (words("contrasts_field"), words("list_semicolon").join(contrast_names(results))),
        (words("branch_field"), "" if shared is None else words("branch_value", epochs=shared)),
    ]
