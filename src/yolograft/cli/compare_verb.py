"""``yolograft compare``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from yolograft.cli.options import Design, Machine, Output, Training

if TYPE_CHECKING:
    from yolograft.graph.ablate import Ablation
    from yolograft.graph.expr import GraftSpec

# What plain `yolograft compare` runs: a module as its paper means it, and one as a post printed it.
DEMO_GRAFTS = (
    "coord_att=coord_att@neck.p3,neck.p4,neck.p5",
    "a2-as-printed=double_att:c_n=1,reproject=off@backbone.p2",
)
DEMO = {"epochs": 15, "imgsz": (128, 128), "batch": 8, "eval_points": 3}


Models = Annotated[
    list[str] | None, Parameter("--model", negative="", help="A further model name. Repeat for more.")
]
Grafts = Annotated[
    list[str] | None, Parameter(negative="", help="One arm: a graft expression. Repeat for more.")
]


def compare_(
    model: str | None = None,
    /,
    *,
    more_models: Models = None,
    graft: Grafts = None,
    ablate: str | None = None,
    ablate_cumulative: str | None = None,
    design: Design | None = None,
    training: Training | None = None,
    machine: Machine | None = None,
    output: Output | None = None,
) -> int:
    """Train grafts beside their baseline on the same batches and judge the difference.

    Without arguments: two grafts on the built-in set `shapes`, three seeds, a few minutes on two cores.

    Parameters
    ----------
    model
        Model name; that of the weights, or yolov8n, when left out. Every model trains beside its own grafts.
    ablate
        Grafts in all combinations: "A; B; C", each an expression.
    ablate_cumulative
        The staircase instead: A, then A and B, then all three.
    """
    from yolograft.cli import launch
    from yolograft.cli.designs import design_of, refuse_growth

    training, machine, output = training or Training(), machine or Machine(), output or Output()
    design = design or Design()
    if training.resume is not None:
        refuse_growth(design, training.resume)
        asked = (model, more_models, graft, ablate, ablate_cumulative) != (None,) * 5 or design != Design()
        return launch.resume(training, asked=asked, machine=machine, output=output)
    models = [*([model] if model else []), *(more_models or [])] or [launch.model_of(training)]
    start_as = "identity" if design.design == "branch" else launch.start_of(training)
    taken = _ablation(ablate, ablate_cumulative, start_as)
    # Several models need no graft to be a study, nor does an A/A arm or another scale; one model does.
    alone = taken is None and len(models) == 1 and set(design.control) <= {"placebo"}
    demo = DEMO_GRAFTS if alone else ()
    plan = launch.plan_of(
        training,
        machine,
        demo=DEMO if training.data in (None, "shapes") else {},
        kind="compare",
        model=models[0],
        more_models=tuple(models[1:]),
        across=training.recipe == launch.COMMON,
        grafts=_parsed(graft or demo, start_as) + (taken.arms if taken else ()),
        **design_of(design),
        ablation=taken.to_json() if taken else None,
    )
    return launch.start(plan, training, machine=machine, output=output)


def _parsed(texts: Iterable[str], start_as: str) -> tuple[GraftSpec, ...]:
    from yolograft.graph.expr import parse_graft

    return tuple(parse_graft(text, init=start_as) for text in texts)


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
