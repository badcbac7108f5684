"""``yolograft train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from yolograft.cli.options import Machine, Output, Training


def train_(
    model: str = "yolov8n",
    /,
    *,
    graft: Annotated[str | None, Parameter(help="Graft expression, e.g. coord_att@neck.p3.")] = None,
    seed: int = 0,
    weights: Annotated[Path | None, Parameter(help="Run or model folder to start from.")] = None,
    training: Training | None = None,
    machine: Machine | None = None,
    output: Output | None = None,
) -> int:
    """Train one detector, grafted or not.

    Parameters
    ----------
    model
        Model name, e.g. yolov8n.
    seed
        Seed of weights, order and augmentation.
    """
    from yolograft.cli import launch
    from yolograft.graph.expr import parse_graft
    from yolograft.study.plan import Plan

    training, machine, output = training or Training(), machine or Machine(), output or Output()
    if training.resume is not None:
        return launch.resume(training, machine=machine, output=output)
    # A graft onto trained weights starts as the identity unless the expression says otherwise.
    start_as = "identity" if weights else "paper"
    plan = Plan(
        kind="train",
        model=model,
        data=training.data,
        grafts=(parse_graft(graft, init=start_as),) if graft else (),
        seeds=(seed,),
        recipe=launch.recipe_of(training, epochs=None, imgsz="640"),
        baseline=graft is None,
        device=launch.device_of(machine),
        command=launch.command_line(),
        weights=str(weights) if weights else "",
    )
    return launch.start(plan, training, machine=machine, output=output)
