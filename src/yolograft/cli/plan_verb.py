"""``yolograft plan``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from yolograft.cli.options import Machine, Output, Training
from yolograft.cli.terminal import plain_table, print_json, say
from yolograft.errors import SpecError

Grafts = Annotated[
    list[str] | None, Parameter(negative="", help="One arm: a graft expression. Repeat for more.")
]
Banks = Annotated[
    list[Path] | None,
    Parameter(negative="", help="Folder with earlier runs of the same baseline. Repeat for more."),
]


def plan_(
    model: str | None = None,
    /,
    *,
    graft: Grafts = None,
    margin: float = 0.5,
    pilot: Path | None = None,
    bank: Banks = None,
    hours: float | None = None,
    training: Training | None = None,
    machine: Machine | None = None,
    output: Output | None = None,
) -> None:
    """Say what a study would take before it is started: seeds, images and hours for a difference.

    Without a pilot a few steps are timed, and the noise is a prior for sets of this size, which is said.

    Parameters
    ----------
    model
        Model name; that of the weights, or yolov8n, when left out.
    margin
        Smallest difference that matters, in AP points.
    pilot
        Finished run folder or records whose noise and speed stand for the planned study.
    hours
        A budget: which difference it can see.
    """
    from yolograft.cli import launch
    from yolograft.graph.expr import parse_graft
    from yolograft.study.forecast import forecast
    from yolograft.study.records.bank_match import free_seed

    training, machine, output = training or Training(), machine or Machine(), output or Output()
    if training.resume is not None:
        raise SpecError("YG193", "plan and --resume: that study is planned already", fix="leave --resume out")
    named = model or launch.model_of(training)
    grafts = tuple(parse_graft(text, init=launch.start_of(training)) for text in graft or ())
    # Seeds that no run of the bank has; which they are does not matter to a plan.
    first = free_seed(bank or ())
    asked = launch.plan_of(
        training,
        machine,
        demo={},
        kind="compare",
        model=named,
        grafts=grafts,
        seeds=(first, first + 1, first + 2),
        margin=margin,
        bank=tuple(bank or ()),
    )
    found = forecast(asked, launch.code_for(asked, training), pilot=pilot, hours=hours)
    if output.json:
        print_json(found)
    else:
        _show(found, zh=output.lang == "zh")


def _show(found: Mapping[str, Any], *, zh: bool) -> None:
    for line in lines(found, zh=zh):
        say(line)
    plain_table(HEADS_ZH if zh else HEADS, [table_row(row, zh=zh) for row in found["rows"]])
    if line := budget_line(found, zh=zh):
        say(f"\n{line}")


HEADS = ("true difference (AP)", "seeds per arm", "hours here", "images needed")
HEADS_ZH = ("真实差异 (AP)", "每组种子数", "本机小时数", "所需图像数")

# In which respect a pilot is another experiment; the English words are those of its `source`.
_RESPECTS_ZH = {
    "model": "模型", "starting weights": "起始权重", "training images": "训练图像",
    "evaluation images": "评估图像", "recipe": "训练配方", "precision": "精度", "threads": "线程数",
    "design": "设计", "distillation": "蒸馏",
}  # fmt: skip


# What the table rests on: the subject, the noise, the pace, and what is said where images were not measured.
_LINES = {
    False: (
        "{model} on {data} ({train_images} training images, {epochs} epochs), "
        "one baseline and {arms} candidate(s), 80 % power",
        "runs differ by an sd of {sd:.2f} AP, planned with {planned_sd:.2f} ({source})",
        "one seed of all arms: {minutes:.1f} min ({timed})",
        "what images add is not known: planned for seeds alone; a --pilot RUN measures it",
    ),
    True: (
        "{model}，{data}（训练 {train_images} 张图，{epochs} 轮），一个基线与 {arms} 个候选组，功效 80 %",
        "各次训练的标准差：{sd:.2f} AP，按 {planned_sd:.2f} 规划（{source}）",
        "所有组训练一个种子：{minutes:.1f} 分钟",
        "图像带来的波动未测：只按种子规划；--pilot RUN 可测得",
    ),
}


def lines(found: Mapping[str, Any], *, zh: bool) -> list[str]:
    """What the table rests on."""
    subject, noise, pace, unknown = _LINES[zh]
    minutes = found["seconds_per_seed"] / 60 if found["timed"] else 0.0
    facts = {**found, "minutes": minutes, "source": _source_zh(found) if zh else found["source"]}
    said = [subject, noise, *([pace] if found["timed"] else []), *([] if found["units"] else [unknown])]
    return [line.format_map(facts) for line in said]


def _source_zh(found: Mapping[str, Any]) -> str:
    if not found["df"]:
        return "先验值，未实测"
    another = found["pilot_of_another"]
    return "实测" + (f"；预实验与本计划不同：{_RESPECTS_ZH.get(another, another)}" if another else "")


def table_row(row: Mapping[str, Any], *, zh: bool) -> tuple[str, str, str, str]:
    """One difference and its price; where images are the limit no number of seeds is named."""
    more = "种子再多也看不出" if zh else "no number of seeds"
    seeds = f"{row['seeds']:,}" if row["seeds"] else more
    hours = "-" if row["hours"] is None else f"{row['hours']:.1f}"
    images = f">= {row['images']:,}" if row["images"] else "-"
    return f"{row['difference']:g}", seeds, hours, images


def budget_line(found: Mapping[str, Any], *, zh: bool) -> str:
    """What the hours asked for can see; empty where none were."""
    budget = found["budget"]
    if budget is None:
        return ""
    hours, seeds, smallest = budget["hours"], budget["seeds"], budget["difference"]
    if smallest is None:
        few = f"{hours:g} h are {seeds} seed(s) per arm: too few for any verdict, three are the least"
        return f"{hours:g} 小时只够每组 {seeds} 个种子：至少三个才能下结论" if zh else few
    if zh:
        return f"{hours:g} 小时：每组 {seeds} 个种子，有五分之四的机会看出 {smallest:.1f} AP 的真实差异"
    found_of = f"{seeds} seeds per arm find a true difference of {smallest:.1f} AP"
    return f"{hours:g} h: {found_of} four times out of five"
