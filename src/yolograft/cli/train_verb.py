"""``yolograft train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from yolograft.cli.options import Code, Machine, Output, read_imgsz


def train_(
    model: str = "yolov8n",
    /,
    *,
    data: str = "shapes",
    graft: Annotated[str | None, Parameter(help="Graft expression, e.g. coord_att@neck.p3.")] = None,
    seed: int = 0,
    epochs: int | None = None,
    imgsz: str = "640",
    batch: int | None = None,
    weights: Annotated[Path | None, Parameter(help="Run or model folder to start from.")] = None,
    set_: Annotated[
        list[str] | None, Parameter(name="--set", negative="", help="Recipe value, key=value.")
    ] = None,
    resume: Path | None = None,
    code: Code | None = None,
    runs: Path = Path("runs"),
    name: str = "train",
    machine: Machine | None = None,
    output: Output | None = None,
) -> int:
    """Train one detector, grafted or not.

    Parameters
    ----------
    model
        Model name, e.g. yolov8n.
    data
        Dataset folder, its data.yaml or JSON, or "shapes" (built in).
    seed
        Seed of weights, order and augmentation.
    epochs
        Training epochs.
    imgsz
        Image size: S or H,W, multiples of 32.
    batch
        Images per step.
    resume
        Run folder to go on with.
    runs
        Where run folders are made.
    name
        Start of the run folder's name.
    """
    from yolograft.cli import launch
    from yolograft.cli.recipes import make_recipe
    from yolograft.graph.expr import parse_graft
    from yolograft.study.plan import Plan

    machine, output = machine or Machine(), output or Output()
    if resume is not None:
        return launch.resume(resume, code_files=code or (), machine=machine, output=output)
    # A graft onto trained weights starts as the identity unless the expression says otherwise.
    start_as = "identity" if weights else "paper"
    plan = Plan(
        kind="train",
        model=model,
        data=data,
        grafts=(parse_graft(graft, init=start_as),) if graft else (),
        seeds=(seed,),
        recipe=make_recipe(set_ or (), epochs=epochs, imgsz=read_imgsz(imgsz), batch=batch),
        baseline=graft is None,
        device=launch.device_of(machine),
        command=launch.command_line(),
        weights=str(weights) if weights else "",
    )
    return launch.start(plan, runs=runs, name=name, machine=machine, output=output)
