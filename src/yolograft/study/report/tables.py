"""The tables of the report as HTML: results with their cost lines, AP of every run, how it was run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yolograft.study.holes import number, rows, table, whole, words_of
from yolograft.study.report.design import design_rows
from yolograft.study.report.notation import decimal, duration, interval, signed
from yolograft.study.report.reading import Arm, baseline_of, beside
from yolograft.study.report.subject import detector_line
from yolograft.study.report.svg import esc
from yolograft.study.report.wording import Wording

ACCURACY = (
    ("p", "P"),
    ("r", "R"),
    ("f1", "F1"),
    ("ap50", "AP50"),
    ("ap", "AP"),
    ("ap_s", "AP<sub>S</sub>"),
    ("ap_m", "AP<sub>M</sub>"),
    ("ap_l", "AP<sub>L</sub>"),
)
COST = ("params", "flops", "gflops", "latency", "fps", "train_time")


def result_table(arms: Sequence[Arm], *, words: Wording) -> str:
    """One row an arm; under every grafted arm a line with its cost before and after."""
    groups = [
        ("", 1),
        (words("accuracy"), len(ACCURACY)),
        (words("difference"), 2),
        (words("cost"), len(COST)),
    ]
    top = "".join(f'<th colspan="{span}" scope="colgroup">{esc(name)}</th>' for name, span in groups)
    heads = [esc(words("arm")), *(head for _, head in ACCURACY), "ΔAP", esc(words("verdict"))]
    heads += [esc(words(key)) for key in COST]
    second = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = []
    for arm in arms:
        body.append(_result_row(arm, words, beside=beside(arm, arms)))
        base = baseline_of(arm, arms)
        change = "" if arm.baseline or base is None else cost_line(base, arm, words=words)
        if change:
            note = f"{esc(words('before_after'))}: {change}"
            body.append(f'<tr class="change"><td></td><td colspan="{len(heads) - 1}">{note}</td></tr>')
    return (
        f'<table class="results"><thead><tr>{top}</tr><tr>{second}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _result_row(arm: Arm, words: Wording, *, beside: bool) -> str:
    swatch = f'<i class="swatch" style="background:{arm.colour}"></i>'
    cells = [f'<th scope="row">{swatch}{esc(arm.label)}</th>']
    for key, _ in ACCURACY:
        shown = decimal(arm.mean.get(key))
        if key == "ap" and "ap" in arm.sd and "ap" in arm.mean:
            shown = f"<b>{shown}</b> ± {decimal(arm.sd['ap'])}"
        cells.append(f"<td>{shown}</td>")
    found = arm.difference
    if beside:
        cells += ["<td>–</td>", f'<td class="words">{esc(words("not_judged"))}</td>']
    elif arm.baseline and found is None:
        cells += ["<td></td>", "<td></td>"]
    elif found is None:
        cells += ["<td>–</td>", f'<td class="words">{esc(words("no_verdict"))}</td>']
    else:
        shown = f"<b>{signed(found.delta)}</b> {interval(found.low, found.high)}".strip()
        verdict = words.verdict(found.qualified) or words("no_verdict")
        cells += [f"<td>{shown}</td>", f'<td class="words">{esc(verdict)}</td>']
    return f"<tr>{''.join(cells + _cost_cells(arm))}</tr>"


def _cost_cells(arm: Arm) -> list[str]:
    params, flops = arm.cost.get("params"), arm.cost.get("flops")
    latency = f"{decimal(arm.cost.get('p50'))} / {decimal(arm.cost.get('p90'))}"
    shown = [
        decimal(None if params is None else params / 1e6, 3),
        decimal(None if flops is None else flops / 1e9, 3),
        decimal(arm.cost.get("gflops")),
        latency if {"p50", "p90"} & arm.cost.keys() else "–",
        decimal(arm.cost.get("fps")),
        duration(arm.cost.get("seconds")),
    ]
    return [f"<td>{cell}</td>" for cell in shown]


def cost_line(base: Arm, arm: Arm, *, words: Wording) -> str:
    """Before and after of each cost both arms know: `params 3,011,433 → 3,012,201 (+768, +0.03 %)`."""
    parts = []
    for key, name, unit, places, suffix in (
        ("params", words("cost_params"), 1.0, 0, ""),
        ("flops", "FLOPs", 1e-9, 3, " G"),
        ("p50", words("cost_p50"), 1.0, 1, " ms"),
        ("seconds", words("cost_seconds"), 1.0, 0, " s"),
        ("memory", words("cost_memory"), 1.0, 0, " MB"),
    ):
        if key not in base.cost or key not in arm.cost:
            continue
        before, after = base.cost[key] * unit, arm.cost[key] * unit
        change = [signed(after - before, 0)] if key == "params" else []
        if before:
            share = 100 * (after - before) / before
            change.append(f"{signed(share, 2 if abs(share) < 1 else 1)} %")
        values = f"{decimal(before, places)} → {decimal(after, places)}{suffix}"
        parts.append(f"{esc(name)} {values} ({', '.join(change)})" if change else f"{esc(name)} {values}")
    return " · ".join(parts)


def seed_table(arms: Sequence[Arm], *, words: Wording) -> str:
    """AP of every run, one row an arm and one column a seed; what has no AP says why."""
    seeds = list(dict.fromkeys(run.seed for arm in arms for run in arm.runs))
    if not seeds:
        return ""
    heads = [words("arm"), *(words("seed", seed=seed) for seed in seeds), words("mean_sd")]
    body = []
    for arm in arms:
        cells = [f'<th scope="row">{esc(arm.label)}</th>']
        for seed in seeds:
            run = next((run for run in arm.runs if run.seed == seed), None)
            status = "missing" if run is None else run.status
            if run in arm.done and run is not None:
                shown = decimal(run.metrics["ap"], 2)
            else:
                shown = words(status) if status in ("diverged", "missing") else "–"
            cells.append(f"<td>{esc(shown)}</td>")
        mean, sd = arm.mean.get("ap"), arm.sd.get("ap")
        shown = decimal(mean, 2) if sd is None else f"{decimal(mean, 2)} ± {decimal(sd, 2)}"
        body.append(f"<tr>{''.join(cells)}<td>{shown}</td></tr>")
        body += _best_row(arm, seeds, words)
    head = "".join(f'<th scope="col">{esc(h)}</th>' for h in heads)
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def _best_row(arm: Arm, seeds: Sequence[str], words: Wording) -> list[str]:
    """The best epoch of every run under its last one: shown for orientation, never judged."""
    best = {run.seed: run.best for run in arm.done if run.best}
    if not best:
        return []
    cells = []
    for seed in seeds:
        found = best.get(seed)
        cells.append(f"<td>{decimal(found[1], 2)} @ {found[0] + 1}</td>" if found else "<td></td>")
    name = f"{arm.label}, {words('best_epoch')}"
    return [f'<tr class="best"><th scope="row">{esc(name)}</th>{"".join(cells)}<td></td></tr>']


def method_tables(results: Mapping[str, Any], *, words: Wording) -> str:
    """Data, budget, hashes and environment as label-value lists; what is unknown is left out."""
    lists = [
        (words("data"), _data_rows(results, words)),
        (words("budget"), _budget_rows(results, words)),
        (words("plan"), design_rows(results, words)),
        (words("environment"), [(k, words_of(v)) for k, v in table(results.get("environment")).items()]),
        (words("hashes"), _hash_rows(results, words)),
    ]
    blocks = []
    for title, pairs in lists:
        lines = "".join(f"<dt>{esc(k)}</dt><dd>{esc(v)}</dd>" for k, v in pairs if v)
        if lines:
            blocks.append(f"<div><h3>{esc(title)}</h3><dl>{lines}</dl></div>")
    return f'<div class="method">{"".join(blocks)}</div>' if blocks else ""


def timed_on(results: Mapping[str, Any], words: Wording) -> str:
    """What latency was measured on, as the study recorded it."""
    timed = (words_of(table(arm).get("latency_of")) for arm in rows(results.get("arms")))
    known = next((text for text in timed if text), "")
    if known:
        *device, threads, precision = known.split(", ")
        number_of = threads.removesuffix(" threads")
        if not device or not number_of.isdecimal():
            return known
        return ", ".join([*device, _threads(number_of, words), precision])
    budget = table(results.get("budget"))
    threads = words_of(budget.get("threads"))
    parts = [words_of(budget.get("device")), _threads(threads, words) if threads else ""]
    return ", ".join(part for part in [*parts, words_of(budget.get("precision"))] if part) or "?"


def _threads(count: str, words: Wording) -> str:
    return words("one_thread" if count == "1" else "threads", count=count)


def image_size(results: Mapping[str, Any]) -> str:
    """`320 × 320` from the budget, empty when unknown."""
    size = table(results.get("budget")).get("imgsz")
    pair = rows(size) or [size]
    known = [whole(side) for side in (pair * 2 if len(pair) == 1 else pair)]
    return "\u00a0×\u00a0".join(str(side) for side in known) if None not in known else ""


def _data_rows(results: Mapping[str, Any], words: Wording) -> list[tuple[str, str]]:
    data = table(results.get("data"))
    name = " · ".join(p for p in (words_of(data.get("name")), words_of(data.get("format"))) if p)
    pairs = [
        (words("data"), name),
        (words("classes_field"), ", ".join(map(words_of, rows(data.get("names"))))),
    ]
    for key, title in (("train", words("train_split")), ("eval", words("eval_split"))):
        split = table(data.get(key))
        images, boxes = whole(split.get("images")), whole(split.get("boxes"))
        if images is not None:
            counts = words("images_boxes", images=f"{images:,}", boxes="–" if boxes is None else f"{boxes:,}")
            name = words_of(split.get("split"))
            pairs.append((title, f"{name}: {counts}" if name else counts))
    return pairs


def _budget_rows(results: Mapping[str, Any], words: Wording) -> list[tuple[str, str]]:
    budget = table(results.get("budget"))
    pairs = [
        (words("model"), detector_line(results, words)),
        (words("anchors_field"), "; ".join(_anchor_lines(results))),
        (words("seeds_field"), ", ".join(map(words_of, rows(budget.get("seeds"))))),
        (words("epochs_field"), words_of(budget.get("epochs"))),
        (words("imgsz_field"), image_size(results)),
        (words("batch_field"), words_of(budget.get("batch"))),
        (words("precision_field"), words_of(budget.get("precision"))),
        (words("device_field"), words_of(budget.get("device"))),
        (words("threads_field"), words_of(budget.get("threads"))),
    ]
    margin = number(results.get("margin"))
    return [*pairs, (words("margin_field"), "" if margin is None else f"{margin:g} AP")]


def _anchor_lines(results: Mapping[str, Any]) -> list[str]:
    """What became of anchors, model by model where there are several; none for a study as published."""
    found = [table(row) for row in rows(results.get("anchors"))]
    many = len({words_of(row.get("model")) for row in found}) > 1
    lines = [(words_of(row.get("model")), words_of(row.get("line"))) for row in found]
    return [f"{model}: {line}" if many else line for model, line in lines if line]


def _hash_rows(results: Mapping[str, Any], words: Wording) -> list[tuple[str, str]]:
    data = table(results.get("data"))
    splits = (("train", words("train_split")), ("eval", words("eval_split")))
    pairs = [(title, words_of(table(data.get(key)).get("fingerprint"))) for key, title in splits]
    return pairs + [(str(k), words_of(v)) for k, v in table(results.get("hashes")).items()]
