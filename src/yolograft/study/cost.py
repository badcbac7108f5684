"""What arms cost: counted on their graphs and timed at batch 1 in turn, at the image size of the study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yolograft.engine.arm import ArmRun
from yolograft.engine.memory import need_of_lesson
from yolograft.engine.recipe import Recipe
from yolograft.metrics.cost import (
    count_flops,
    count_parameters,
    gflops_ultralytics_convention,
    latencies,
    training_memory_mb,
)

LATENCY_RUNS, LATENCY_WARMUP = 30, 5


def measure_costs(trained: Sequence[ArmRun], recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters, FLOPs in both conventions, latency p50/p90, FPS and training memory of every arm.

    What a teacher adds to training counts.
    """
    detectors = [one.shadow for one in trained]
    timed = latencies(detectors, recipe.imgsz, runs=LATENCY_RUNS, warmup=LATENCY_WARMUP)
    costs: list[dict[str, Any]] = []
    for one, detector, spent in zip(trained, detectors, timed, strict=True):
        taught = need_of_lesson(one.arm, detector, recipe.imgsz).of(recipe.batch) / 2**20
        costs.append(
            {
                "params": count_parameters(detector),
                "flops": count_flops(detector, recipe.imgsz),
                "gflops_ultralytics": gflops_ultralytics_convention(detector, recipe.imgsz),
                "latency_ms": {"p50": spent.p50_ms, "p90": spent.p90_ms},
                "latency_of": f"{spent.device}, {spent.threads} threads, {spent.precision}",
                "fps": spent.fps,
                "peak_memory_mb": training_memory_mb(detector, recipe.imgsz, batch=recipe.batch) + taught,
            }
        )
    return costs
