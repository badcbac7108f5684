"""``yolograft compare``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from yolograft.cli.options import Machine, Output, Training

# What plain `yolograft compare` runs: a module as its paper means it, and one as a post printed it.
DEMO_GRAFTS = (
    "coord_att=coord_att@neck.p3,neck.p4,neck.p5",
    "a2-as-printed=double_att:c_n=1,reproject=off@backbone.p2",
)
DEMO = {"epochs": 15, "imgsz": "128", "batch": 8, "eval_points": 3}


def compare_(
    model: str = "yolov8n",
    /,
    *,
    graft: Annotated[
        list[str] | None, Parameter(negative="", help="One arm: a graft expression. Repeat for more.")
    ] = None,
    seeds: int = 3,
    first_seed: int = 0,
    margin: float = 0.5,
    training: Training | None = None,
    machine: Machine | None = None,
    output: Output | None = None,
) -> int:
    """Train grafts beside their baseline on the same batches and judge the difference.

    Without arguments: two grafts on the built-in set `shapes`, three seeds, a few minutes on two cores.

    Parameters
    ----------
    model
        Model name, e.g. yolov8n.
    seeds
        Runs per arm; a verdict takes at least 3.
    first_seed
        The first of the consecutive seeds.
    margin
        Smallest difference that matters, in AP points.
    """
    from yolograft.cli import launch
    from yolograft.graph.expr import parse_graft
    from yolograft.study.plan import Plan

    training, machine, output = training or Training(), machine or Machine(), output or Output()
    if training.resume is not None:
        asked = graft is not None or (seeds, first_seed, margin) != (3, 0, 0.5)
        return launch.resume(training, asked=asked, machine=machine, output=output)
    # A graft onto trained weights starts as the identity unless the expression says otherwise.
    start_as = "identity" if training.weights else "paper"
    plan = Plan(
        kind="compare",
        model=model,
        data=training.data,
        grafts=tuple(parse_graft(text, init=start_as) for text in graft or DEMO_GRAFTS),
        seeds=tuple(range(first_seed, first_seed + seeds)),
        recipe=launch.recipe_of(training, **DEMO if training.data == "shapes" else {}),
        margin=margin,
        device=launch.device_of(machine),
        command=launch.command_line(),
        weights=launch.weights_of(training),
    )
    return launch.start(plan, training, machine=machine, output=output)
