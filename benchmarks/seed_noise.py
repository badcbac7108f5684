"""How runs differ, and what an hour sees: the planning figures of finished studies.

    python benchmarks/seed_noise.py STUDY... [--hours 1]

STUDY is a run folder or a folder of records. For each: run-to-run sd of AP, its correlation over shared seeds
between an arm and its baseline (rho), the share of the difference's variance that images keep however many
seeds there are, the training time of one run, and for one graft the seeds that fit the hours with the
difference they find four times out of five, unpaired and, from rho, paired. With --design branch a seed costs
the trunk once. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

from yolograft.study.branching import SHARE
from yolograft.study.results import collect
from yolograft.study.statistics.power import Design, minimum_detectable

FEWEST = 3


def figures(folder: Path, hours: float) -> dict[str, Any]:
    """The planning figures of one study; differences in AP points."""
    results = collect(folder, where=False)
    noise = results["noise"]
    seconds = statistics.fmean(r["seconds"] for arm in results["arms"] for r in arm["runs"] if "seconds" in r)
    branches = results.get("branch_at") is not None
    of_seed = seconds * (SHARE + 2 * (1 - SHARE) if branches else 2)
    seeds = int(hours * 3600 // of_seed)
    found = {"study": results["name"], "model": results["model"], "data": results["data"]["name"]}
    found |= {"epochs": results["budget"]["epochs"], "imgsz": results["budget"]["imgsz"]}
    found |= {
        key: noise[key] for key in ("sd", "runs", "rho", "pairs", "image_share", "image_variance", "units")
    }
    found |= {"seconds_per_run": seconds, "threads": results["budget"]["threads"], "seeds_in_hours": seeds}
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
    options = parser.parse_args()
    rows = [figures(folder, options.hours) for folder in options.studies]
    print(json.dumps({"hours": options.hours, "studies": rows}, indent=1))


if __name__ == "__main__":
    main()
