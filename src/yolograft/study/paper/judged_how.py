"""The sentences of a methods paragraph on how the difference was judged: design, interval, controls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from yolograft.study.holes import rows, table, whole, words_of
from yolograft.study.paper.citations import key_of, paper_of
from yolograft.study.report.design import branch_epochs, contrast_names, group_rule, lent_runs, looks_planned
from yolograft.study.report.notation import percent
from yolograft.study.report.reading import Arm, levels_of
from yolograft.study.report.wording import Wording

SPLIT_ONLY = "this evaluation split"


def design(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> list[str]:
    """When the study was judged, where its arms branched, and the studies it follows."""
    said = []
    shared, epochs = branch_epochs(results), whole(table(results.get("budget")).get("epochs"))
    if shared is not None:
        said.append(words("m_branch", shared=shared, epochs=epochs or "?"))
    looks = looks_planned(results)
    if looks:
        seeds = words("list_comma").join(str(n) for n, _ in looks)
        levels = words("list_comma").join(f"{alpha:g}" for _, alpha in looks)
        said.append(words("m_looks", seeds=seeds, alphas=levels))
    elif len(arms) > 1:
        said.append(words("m_one_look"))
    earlier = [table(row) for row in rows(results.get("follows"))]
    if earlier:
        names = words("list_comma").join(words_of(row.get("name")) for row in earlier)
        said.append(words("m_follows", studies=names, tried=whole(results.get("tried_before")) or 0))
    if named := contrast_names(results):
        said.append(words("m_contrasts", pairs=words("list_semicolon").join(named)))
    return said


def interval_said(results: Mapping[str, Any], arms: Sequence[Arm], words: Wording) -> list[str]:
    """What the intervals rest on and what they allow for; nothing where there is none."""
    found = [arm.difference for arm in arms if arm.difference and arm.difference.low is not None]
    if not found:
        return []
    scope = words_of(results.get("scope")) or SPLIT_ONLY
    key = "m_interval_split" if scope.startswith(SPLIT_ONLY) else "m_interval_images"
    said = [words(key, level=levels_of(arms), scope=words.verdict(scope))]
    if rule := group_rule(results):
        units = {d.evidence.units for d in found if d.evidence and d.evidence.units}
        said.append(words("m_group", rule=rule, count=max(units, default="?")))
    runs, groups = lent_runs(results)
    if runs:
        said.append(words("m_bank", runs=runs, groups=groups))
    if results.get("paired") is True:
        said.append(words("m_paired"))
    # A control is judged by itself, at a level of its own.
    shared = [arm.difference.evidence for arm in arms if not arm.control and arm.difference]
    several = [evidence for evidence in shared if evidence and evidence.tried > 1]
    levels = sorted({e.alpha for e in several if math.isfinite(e.alpha)}, reverse=True)
    if levels:
        tried, joint = max(e.tried for e in several), [percent(1 - alpha) for alpha in levels]
        key = "m_tried" if len(levels) == 1 else "m_tried_looks"
        said.append(words(key, tried=tried, joint=words("list_comma").join(joint)))
    return said


def controls(arms: Sequence[Arm], words: Wording, *, cite: bool) -> list[str]:
    """What every kind of control arm shows, and beside how many grafts a placebo stands."""
    said = []
    kinds = dict.fromkeys(arm.control for arm in arms if arm.control)
    for kind in kinds:
        if kind in ("identity", "next-scale"):
            said.append(words(f"m_control_{kind}"))
        elif kind == "placebo":
            grafts = {arm.label for arm in arms if not (arm.baseline or arm.control)}
            beside = len(grafts & {arm.of for arm in arms if arm.control == kind})
            paper = f" [{key_of(paper_of('placebo'))}]" if cite else ""
            key = "m_control_placebo" if beside == len(grafts) else "m_control_placebo_some"
            said.append(words(key, count=beside, grafts=len(grafts), paper=paper))
    return said
