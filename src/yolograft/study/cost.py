"""What an arm costs: counted on its graph and timed at batch 1, at the image size of the study."""

from __future__ import annotations

from typing import Any

from yolograft.engine.memory import Need
from yolograft.engine.recipe import Recipe
from yolograft.metrics.cost import (
    count_flops,
    count_parameters,
    gflops_ultralytics_convention,
    latency,
    training_memory_mb,
)
from yolograft.models.detector import Detector

LATENCY_RUNS, LATENCY_WARMUP = 30, 5


def measure_cost(detector: Detector, recipe: Recipe, *, lesson: Need) -> dict[str, Any]:
    """Parameters, FLOPs in both conventions, latency p50/p90, FPS and training memory.

    Args:
        lesson: what a teacher adds to training.
    """
    timed = latency(detector, recipe.imgsz, runs=LATENCY_RUNS, warmup=LATENCY_WARMUP)
    taught = lesson.of(recipe.batch) / 2**20
    return {
        "params": count_parameters(detector),
        "flops": count_flops(detector, recipe.imgsz),
        "gflops_ultralytics": gflops_ultralytics_convention(detector, recipe.imgsz),
        "latency_ms": {"p50": timed.p50_ms, "p90": timed.p90_ms},
        "latency_of": f"{timed.device}, {timed.threads} threads, {timed.precision}",
        "fps": timed.fps,
        "peak_memory_mb": training_memory_mb(detector, recipe.imgsz, batch=recipe.batch) + taught,
    }
