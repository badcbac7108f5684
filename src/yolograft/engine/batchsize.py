"""``--batch auto``: as many images a step as the device has memory for, found before the study is planned."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from yolograft.engine.arm import Arm, ArmRun, Length
from yolograft.engine.device import open_fabric, places
from yolograft.engine.memory import Need, free_bytes, need_of
from yolograft.engine.recipe import Recipe
from yolograft.errors import MachineError
from yolograft.types import Targets

# A CPU is no faster with more images at once, and fewer steps an epoch learn less.
CPU_MOST, CPU_SHARE = 16, 0.5
GPU_MOST, GPU_SHARE = 256, 0.7
BOXES_AN_IMAGE = 8


@dataclass(frozen=True)
class BatchChoice:
    """The batch chosen, and one line that says from what."""

    batch: int
    why: str


def choose_batch(
    arms: Sequence[Arm], recipe: Recipe, *, device: str, precision: str, images: int
) -> BatchChoice:
    """The largest power of two that fits, for the arm that needs most.

    On a CPU by count: half of the free memory, 16 at most. On a GPU the count is where real trial steps
    start: the largest whose peak stays within 70 % of the free memory, 256 at most.

    Args:
        images: of the training split; no batch is larger.

    Raises:
        MachineError: not even one image fits (YG703).
    """
    place = places(device)[0]
    free = free_bytes(place)
    tried = _neediest([(arm, need_of(arm, recipe)) for arm in arms])
    need = tried[0][1]
    gpu = place.type == "cuda"
    room = free * (GPU_SHARE if gpu else CPU_SHARE)
    most = _power_below(min(GPU_MOST if gpu else CPU_MOST, max(images, 1)))
    peaks: dict[int, float] = {}

    def fits(batch: int) -> bool:
        held = [_peak_of_a_step(arm, recipe, batch, device, precision) for arm, _ in tried] if gpu else []
        peaks[batch] = max(held, default=need.of(batch))
        return peaks[batch] <= room

    # Half-precision maps take half of what was counted, hence a start that may be doubled.
    start = min(_power_below(max((room - need.of(0)) / need.image, 1)), most)
    batch = largest_that_fits(fits, start=start, most=most)
    how = "by a trial step" if gpu else "by count"
    why = f"batch {batch}: {peaks[batch] / 2**30:.2f} GiB {how}, of {free / 2**30:.1f} GiB free"
    return BatchChoice(batch, why + (" (no more needed)" if batch == most else ""))


def _neediest(needs: Sequence[tuple[Arm, Need]]) -> list[tuple[Arm, Need]]:
    """The arm that needs most by count; behind it, where it has no teacher, the first among those that have.

    What a teacher's forward pass holds for a moment is not counted: a trial step finds it.
    """
    falling = sorted(needs, key=lambda pair: pair[1].of(16), reverse=True)
    taught = [pair for pair in falling if pair[0].distill]
    return falling[:1] + ([] if falling[0][0].distill else taught[:1])


def largest_that_fits(fits: Callable[[int], bool], *, start: int, most: int) -> int:
    """The largest power of two up to `most` that fits, asked for near `start`.

    Raises:
        MachineError: not even one image fits (YG703).
    """
    batch = start
    if fits(batch):
        while 2 * batch <= most and fits(2 * batch):
            batch *= 2
        return batch
    while batch > 1:
        batch //= 2
        if fits(batch):
            return batch
    raise MachineError("YG703", "not even one image fits", fix="lower --imgsz, or a smaller model")


def _power_below(value: float) -> int:
    return 2 ** int(math.log2(max(value, 1)))


def _peak_of_a_step(arm: Arm, recipe: Recipe, batch: int, device: str, precision: str) -> float:
    """Bytes a real training step holds at most; infinite when it does not fit."""
    place = places(device)[0]
    _give_back(place)
    before = torch.cuda.memory_allocated(place)
    try:
        _take_two_steps(arm, recipe, batch, device, precision)
        return float(torch.cuda.max_memory_allocated(place) - before)
    except torch.cuda.OutOfMemoryError:
        return math.inf
    finally:
        if arm.teacher is not None:
            arm.teacher.go_to(torch.device("cpu"))
        _give_back(place)


def _take_two_steps(arm: Arm, recipe: Recipe, batch: int, device: str, precision: str) -> None:
    """Two steps on grey images: the second is the first to hold the optimiser's moments throughout."""
    fabric = open_fabric(device, precision)
    run = ArmRun(arm, recipe, fabric=fabric, precision=precision, seed=0, length=Length(2, 2))
    place = fabric.device
    height, width = recipe.largest_size()
    grey = torch.full((batch, 3, height, width), 114, dtype=torch.uint8, device=place)
    images = run.detector.normalise(grey.contiguous(memory_format=torch.channels_last))
    box = torch.tensor([0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height], device=place)
    targets = Targets(
        boxes=box.repeat(batch * BOXES_AN_IMAGE, 1),
        labels=torch.zeros(batch * BOXES_AN_IMAGE, dtype=torch.int64, device=place),
        image=torch.arange(batch, device=place).repeat_interleave(BOXES_AN_IMAGE),
        batch_size=batch,
    )
    for _ in range(2):
        run.step(images, targets, (), shown=run.look(grey))


def _give_back(place: torch.device) -> None:
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(place)
