"""What a new study takes over from studies before it: the candidates they tried, never their seeds.

A study is not extended: looking once more at grown data is what makes nothing look like something. A new
study of the same question takes fresh seeds, and its error is shared with every candidate tried before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolograft.errors import StudyError
from yolograft.study.planning.arms import judged_against
from yolograft.study.planning.contrasts import contrasts_of


def follow(earlier: Mapping[Path, Mapping[str, Any]], seeds: Sequence[int]) -> dict[str, Any]:
    """For the manifest: which studies came before, and how many verdicts they tried.

    Args:
        earlier: run folder -> its manifest. seeds: of the new study.

    Raises:
        StudyError: a seed was taken by one of them (YG643).
    """
    rows, tried = [], 0
    for run, manifest in earlier.items():
        taken = set(manifest["seeds"]) | {
            seed for row in manifest.get("follows", []) for seed in row["seeds"]
        }
        if again := sorted(taken & set(seeds)):
            raise StudyError(
                "YG643",
                f"seed {again[0]} was taken by a study that this one follows",
                where=str(run),
                fix=f"--first-seed {max(taken) + 1}, or leave --first-seed out",
            )
        verdicts = tried_in(manifest)
        rows.append({"name": run.resolve().name, "seeds": sorted(taken), "tried": verdicts})
        tried += verdicts
    return {"follows": rows, "tried_before": tried}


def fresh_seed(earlier: Mapping[Path, Mapping[str, Any]]) -> int:
    """The first seed behind all that earlier studies, and those they follow, have taken; 0 without any."""
    rows = follow(earlier, ())["follows"]
    return max((seed for row in rows for seed in row["seeds"]), default=-1) + 1


def tried_in(manifest: Mapping[str, Any]) -> int:
    """The verdicts of a study that share its chance of error, those of the studies it follows included."""
    pairs = judged_against(manifest["arms"], across=manifest.get("across", False))
    own = sum(len(others) for _, others in pairs) + len(contrasts_of(manifest))
    return own + int(manifest.get("tried_before") or 0)
