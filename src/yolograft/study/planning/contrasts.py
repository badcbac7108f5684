"""Arm against arm: comparisons of two candidates, named before the first run.

Whether one module is better than another is not answered by two verdicts against the baseline: "helps" and
"not enough seeds" may differ by nothing. A contrast is a verdict of its own, and shares the chance of error
with all others of the study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yolograft.errors import StudyError


def read_contrast(text: str) -> tuple[str, str]:
    """``NEW,BASE`` as two labels.

    Raises:
        StudyError: it does not name two (YG645).
    """
    labels = tuple(label.strip() for label in text.split(","))
    if len(labels) != 2 or not all(labels) or labels[0] == labels[1]:
        raise StudyError("YG645", f"--contrast {text}", fix="two labels of arms: --contrast NEW,OTHER")
    return labels[0], labels[1]


def check_contrasts(
    contrasts: Sequence[tuple[str, str]],
    models: Mapping[str, str],
    *,
    bases: Sequence[str],
    looks: int,
    across: bool = False,
) -> None:
    """See that every contrast is of two arms of the study and asked once.

    Args:
        models: label -> model of all arms. bases: labels of baselines, against which the arms of their model
            are judged anyway. looks: planned. across: the other baselines are judged against the first.

    Raises:
        StudyError: it is not, or the study has several looks (YG645).
    """
    if contrasts and looks > 1:
        cause = "contrasts at several looks: one takes both arms with every seed"
        raise StudyError("YG645", cause, fix="leave --until-verdict out")
    seen: set[frozenset[str]] = set()
    for pair in contrasts:
        for label in pair:
            if label not in models:
                raise StudyError("YG645", f"no arm '{label}'", fix=f"arms: {', '.join(sorted(models))}")
        # Named the other way round it would be the same question, counted twice.
        kin = models[pair[0]] == models[pair[1]]
        first = bases[:1] if across and set(pair) <= set(bases) else []
        anyway = [label for label in pair if label in (bases if kin else first)]
        if anyway:
            other = pair[1] if pair[0] == anyway[0] else pair[0]
            raise StudyError("YG645", f"'{other}' is judged against {anyway[0]} anyway", fix="leave it out")
        if frozenset(pair) in seen:
            raise StudyError("YG645", f"the contrast of {' and '.join(pair)} stands twice")
        seen.add(frozenset(pair))


def contrasts_of(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels as (new, base), as the manifest names them."""
    return [(str(new), str(base)) for new, base in manifest.get("contrasts") or []]
