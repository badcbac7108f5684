"""``yolograft compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from yolograft.cli.options import Code, Machine, Output, read_imgsz

# What plain `yolograft compare` runs: a module as its paper means it, and one as a post printed it.
DEMO_GRAFTS = (
    "coord_att@neck.p3,neck.p4,neck.p5",
    "a2-as-printed=double_att:c_n=1,reproject=off@backbone.p2",
)
DEMO = {"imgsz": "160", "epochs": 40, "batch": 16}


def compare_(
    model: str | None = None,
    /,
    *,
    data: str = "shapes",
    graft: Annotated[
        list[str] | None, Parameter(negative="", help="One arm: a graft expression. Repeat for more.")
    ] = None,
    seeds: int = 3,
    first_seed: int = 0,
    epochs: int | None = None,
    imgsz: str | None = None,
    batch: int | None = None,
    margin: float = 0.5,
    set_: Annotated[
        list[str] | None, Parameter(name="--set", negative="", help="Recipe value, key=value.")
    ] = None,
    resume: Path | None = None,
    code: Code | None = None,
    runs: Path = Path("runs"),
    name: str = "compare",
    machine: Machine | None = None,
    output: Output | None = None,
) -> int:
    """Train grafts beside their baseline on the same batches and judge the difference.

    Without arguments: two grafts on the built-in set `shapes`, three seeds, a few minutes on two cores.

    Parameters
    ----------
    model
        Model name; yolov8n when left out.
    data
        Dataset folder, its data.yaml or JSON, or "shapes" (built in).
    seeds
        Runs per arm; a verdict takes at least 3.
    first_seed
        The first of the consecutive seeds.
    epochs
        Training epochs.
    imgsz
        Image size: S or H,W, multiples of 32.
    batch
        Images per step.
    margin
        Smallest difference that matters, in AP points.
    resume
        Run folder of a study to go on with.
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
    demo = data == "shapes"
    recipe = make_recipe(
        set_ or (),
        epochs=epochs or (DEMO["epochs"] if demo else None),
        imgsz=read_imgsz(imgsz or (str(DEMO["imgsz"]) if demo else "640")),
        batch=batch,
    )
    plan = Plan(
        kind="compare",
        model=model or "yolov8n",
        data=data,
        grafts=tuple(parse_graft(text) for text in graft or DEMO_GRAFTS),
        seeds=tuple(range(first_seed, first_seed + seeds)),
        recipe=recipe,
        margin=margin,
        device=launch.device_of(machine),
        command=launch.command_line(),
    )
    return launch.start(plan, runs=runs, name=name, machine=machine, output=output)
