"""The result of a study in the terminal: the columns of every result table, then the verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yolograft.cli.terminal import plain_table, say

METRICS = (
    ("P", "p"),
    ("R", "r"),
    ("F1", "f1"),
    ("AP50", "ap50"),
    ("AP", "ap"),
    ("AP_S", "ap_s"),
    ("AP_M", "ap_m"),
    ("AP_L", "ap_l"),
)


def result_lines(results: Mapping[str, Any]) -> None:
    """Print the tables and one verdict sentence per graft."""
    from yolograft.study.report.subject import detector_line, models_note, seeds_behind
    from yolograft.study.report.wording import Wording

    arms = results["arms"]
    seeds = seeds_behind([sum(run["status"] == "done" for run in arm["runs"]) for arm in arms])
    data, model = results["data"], detector_line(results, Wording())
    held = data["eval"]
    say(
        f"\n{model} on {data['name']} ({data['train']['images']} training images), "
        f"mean of {seeds} seed(s) on '{held['split']}' ({held['images']} images), in points"
    )
    plain_table(
        ("arm", *(head for head, _ in METRICS), "sd(AP)", "difference"),
        [
            (
                arm["label"],
                *(arm["mean"].get(key) for _, key in METRICS),
                arm["sd"].get("ap"),
                _difference(arm),
            )
            for arm in arms
        ],
    )
    plain_table(
        ("arm", "params (M)", "GFLOPs", "GFLOPs (ul.)", "p50 ms", "p90 ms", "FPS", "train MB", "train s"),
        [_cost(arm) for arm in arms],
    )
    timed = next((arm["latency_of"] for arm in arms if arm.get("latency_of")), "")
    if timed:
        say(f"latency: {timed}; GFLOPs: convolution + matmul, 2 per MAC, and the ultralytics convention")
    if not results["bitwise"]:
        say("not bitwise: some runs were made on another machine or torch build than the first")
    for arm in arms:
        for run in arm["runs"]:
            if run["status"] == "diverged":
                say(f"{arm['label']} seed {run['seed']} diverged: {run['reason']}")
    for found in (*(arm["comparison"] for arm in arms), *results.get("contrasts", ())):
        if found:
            say(f"\n{found['sentence']}")
            if found["known"]:
                say(f"  known: {found['known']}")
    if note := models_note(results, Wording()):
        say(f"\n{note}")
    for warning in results.get("warnings", ()):
        say(f"  warning: {warning}")


def _difference(arm: Mapping[str, Any]) -> str:
    found = arm["comparison"]
    if not found or found["delta"] is None:
        return "-"
    if found["low"] is None:
        return f"{found['delta']:+.1f}"
    return f"{found['delta']:+.1f} [{found['low']:+.1f}, {found['high']:+.1f}]"


def _cost(arm: Mapping[str, Any]) -> tuple[object, ...]:
    latency = arm.get("latency_ms") or {}
    return (
        arm["label"],
        arm["params"] / 1e6 if "params" in arm else None,
        arm["flops"] / 1e9 if "flops" in arm else None,
        arm.get("gflops_ultralytics"),
        latency.get("p50"),
        latency.get("p90"),
        arm.get("fps"),
        arm.get("peak_memory_mb"),
        arm.get("train_seconds"),
    )
