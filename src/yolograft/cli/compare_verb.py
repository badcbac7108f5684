"""``yolograft compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from yolograft.cli.options import Machine, Output, Training

if TYPE_CHECKING:
    from yolograft.graph.ablate import Ablation

# What plain `yolograft compare` runs: a module as its paper means it, and one as a post printed it.
DEMO_GRAFTS = (
    "coord_att=coord_att@neck.p3,neck.p4,neck.p5",
    "a2-as-printed=double_att:c_n=1,reproject=off@backbone.p2",
)
DEMO = {"epochs": 15, "imgsz": (128, 128), "batch": 8, "eval_points": 3}


def compare_(
    model: str | None = None,
    /,
    *,
    graft: Annotated[
        list[str] | None, Parameter(negative="", help="One arm: a graft expression. Repeat for more.")
    ] = None,
    ablate: str | None = None,
    ablate_cumulative: str | None = None,
    seeds: int | None = None,
    first_seed: int | None = None,
    margin: float | None = None,
    training: Training | None = None,
    machine: Machine | None = None,
    output: Output | None = None,
) -> int:
    """Train grafts beside their baseline on the same batches and judge the difference.

    Without arguments: two grafts on the built-in set `shapes`, three seeds, a few minutes on two cores.

    Parameters
    ----------
    model
        Model name; yolov8n when left out.
    ablate
        Grafts in all combinations: "A; B; C", each an expression.
    ablate_cumulative
        The staircase instead: A, then A and B, then all three.
    seeds
        Runs per arm, 3 when left out; a verdict takes at least 3.
    first_seed
        The first of the consecutive seeds; 0 when left out.
    margin
        Smallest difference that matters, in AP points; 0.5 when left out.
    """
    from yolograft.cli import launch
    from yolograft.graph.expr import parse_graft

    training, machine, output = training or Training(), machine or Machine(), output or Output()
    if training.resume is not None:
        asked = (model, graft, ablate, ablate_cumulative, seeds, first_seed, margin) != (None,) * 7
        return launch.resume(training, asked=asked, machine=machine, output=output)
    first = first_seed or 0
    # A graft onto trained weights starts as the identity unless the expression says otherwise.
    start_as = "identity" if training.weights else "paper"
    taken = _ablation(ablate, ablate_cumulative, start_as)
    texts = graft or (DEMO_GRAFTS if taken is None else ())
    plan = launch.plan_of(
        training,
        machine,
        demo=DEMO if training.data in (None, "shapes") else {},
        kind="compare",
        model=model or launch.MODEL,
        grafts=(*(parse_graft(text, init=start_as) for text in texts), *(taken.arms if taken else ())),
        seeds=tuple(range(first, first + (3 if seeds is None else seeds))),
        margin=0.5 if margin is None else margin,
        ablation=taken.to_json() if taken else None,
    )
    return launch.start(plan, training, machine=machine, output=output)


def _ablation(every: str | None, staircase: str | None, start_as: str) -> Ablation | None:
    """What ``--ablate`` or ``--ablate-cumulative`` asks for.

    Raises:
        SpecError: both are given (YG193), or the text is wrong (YG110-YG118).
    """
    from yolograft.errors import SpecError
    from yolograft.graph.ablate import ablate

    if every is not None and staircase is not None:
        raise SpecError("YG193", "--ablate and --ablate-cumulative", fix="choose one of them")
    text = every if every is not None else staircase
    return None if text is None else ablate(text, cumulative=every is None, init=start_as)
