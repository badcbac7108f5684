"""``yolograft train``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from yolograft.cli.options import Machine, Output, Training


def train_(
    model: str | None = None,
    /,
    *,
    graft: Annotated[str | None, Parameter(help="Graft expression, e.g. coord_att@neck.p3.")] = None,
    seed: int | None = None,
    training: Training | None = None,
    machine: Machine | None = None,
    output: Output | None = None,
) -> int:
    """Train one detector, grafted or not.

    Parameters
    ----------
    model
        Model name; that of the weights, or yolov8n, when left out.
    seed
        Seed of weights, order and augmentation; 0 when left out.
    """
    from yolograft.cli import launch
    from yolograft.graph.expr import parse_graft

    training, machine, output = training or Training(), machine or Machine(), output or Output()
    if training.resume is not None:
        asked = (model, graft, seed) != (None, None, None)
        return launch.resume(training, asked=asked, machine=machine, output=output)
    plan = launch.plan_of(
        training,
        machine,
        demo={},
        kind="train",
        model=model or launch.model_of(training),
        grafts=(parse_graft(graft, init=launch.start_of(training)),) if graft else (),
        seeds=(seed or 0,),
        baseline=graft is None,
    )
    return launch.start(plan, training, machine=machine, output=output)
