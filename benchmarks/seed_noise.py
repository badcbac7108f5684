"""How runs differ, and what an hour sees: the planning figures of finished studies.

    python benchmarks/seed_noise.py STUDY... [--hours 1]

STUDY is a run folder, a folder of records, or one that `judge --save` made of runs given in the order of
their seeds, which does not say how long they took (--minutes). For each: run-to-run sd of AP, its correlation
over shared seeds between an arm and its baseline (rho), the share of the difference's variance that images
keep however many seeds there are, the training time of one run, and for one graft the seeds that fit the
hours with the difference they find four times out of five, unpaired and, from rho, paired. With --design
branch a seed costs the trunk once. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from yolograft.study.judge.again import is_judged, judged_again
from yolograft.study.noise import image_variance, pooled_rho, pooled_sd
from yolograft.study.planning.branching import SHARE
from yolograft.study.results import collect
from yolograft.study.statistics.power import Design, minimum_detectable

FEWEST = 3


KEPT = ("sd", "runs", "rho", "pairs", "image_share", "image_variance", "units")


def figures(folder: Path, hours: float, minutes: float | None) -> dict[str, Any]:
    """The planning figures of one study; differences in AP points."""
    found, noise, seconds, branches = of_judged(folder) if is_judged(folder) else of_study(folder)
    found |= {key: noise[key] for key in KEPT}
    seconds = 60 * minutes if minutes else seconds
    if seconds is None:
        return found
    of_seed = seconds * (SHARE + 2 * (1 - SHARE) if branches else 2)
    seeds = int(hours * 3600 // of_seed)
    found |= {"seconds_per_run": seconds, "branches": branches, "seeds_in_hours": seeds}
    return found | sees(noise, seeds)


def of_study(folder: Path) -> tuple[dict[str, Any], dict[str, Any], float | None, bool]:
    """What a study is, how its runs differ, mean seconds a run, whether its arms branch."""
    results = collect(folder, where=False)
    seconds = statistics.fmean(r["seconds"] for arm in results["arms"] for r in arm["runs"] if "seconds" in r)
    budget = results["budget"]
    found = {"study": results["name"], "model": results["model"], "data": results["data"]["name"]}
    found |= {"epochs": budget["epochs"], "imgsz": budget["imgsz"], "threads": budget["threads"]}
    return found, results["noise"], seconds, results.get("branch_at") is not None


def of_judged(folder: Path) -> tuple[dict[str, Any], dict[str, Any], None, bool]:
    """The same of a judgement: run k of an arm and run k of the base are of one seed."""
    document = judged_again(folder)
    base, *arms = ([run["ap"] for run in arm["runs"]] for arm in document["arms"])
    sd, runs, _ = pooled_sd([base, *arms])
    rho, pairs = pooled_rho(np.array([base, arm]) for arm in arms if len(arm) == len(base))
    rows = [arm["comparison"] for arm in document["arms"][1:]]
    known = [value for row in rows if (value := image_variance(row)) is not None]
    image = float(np.median(known)) if known else None
    share = None if image is None else min(image / statistics.fmean(row["se"] ** 2 for row in rows), 1.0)
    noise = {
        "sd": sd,
        "runs": runs,
        "rho": rho,
        "pairs": pairs,
        "image_variance": image,
        "image_share": share,
    }
    return {"study": folder.name}, noise | {"units": document["gt"]["images"]}, None, False


def sees(noise: dict[str, Any], seeds: int) -> dict[str, Any]:
    """The difference that so many seeds find four times out of five, unpaired and paired."""
    found: dict[str, Any] = {}
    if noise["sd"] is None or seeds < FEWEST:
        return found
    images = {"image_variance": noise["image_variance"] or 0.0, "units": noise["units"] or 0}
    found["sees"] = minimum_detectable(noise["sd"], seeds, design=Design(**images))
    if noise["rho"] is not None and noise["rho"] < 1:
        of_differences = noise["sd"] * math.sqrt(2 * (1 - noise["rho"]))
        found["sees_paired"] = minimum_detectable(of_differences, seeds, design=Design(paired=True, **images))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, help="of one run, instead of those measured")
    options = parser.parse_args()
    rows = [figures(folder, options.hours, options.minutes) for folder in options.studies]
    print(json.dumps({"hours": options.hours, "studies": rows}, indent=1))


if __name__ == "__main__":
    main()
