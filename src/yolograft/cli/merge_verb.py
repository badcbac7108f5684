"""``yolograft merge OUT RUN...``."""

from __future__ import annotations

from pathlib import Path

from yolograft.cli.options import Output
from yolograft.cli.terminal import print_json, say


def merge_(
    out: Path,
    /,
    *runs: Path,
    seeds: int | None = None,
    first_seed: int = 0,
    output: Output | None = None,
) -> None:
    """Join the runs that several machines made for one study, and judge the whole.

    Models, recipe, data and looks must agree. The inputs stay as they are.

    Parameters
    ----------
    out
        New folder for the whole, as records.
    runs
        Run folders or folders of records of the same study.
    seeds
        How many seeds the whole has, where the parts were planned with different ones.
    first_seed
        The first of these consecutive seeds.
    """
    from yolograft.cli.results_table import result_lines
    from yolograft.cli.verdict_verb import noise_line, spoken
    from yolograft.study.records.merge import merge
    from yolograft.study.results import collect

    output = output or Output()
    declared = None if seeds is None else range(first_seed, first_seed + seeds)
    merge(runs, out, seeds=declared)
    results = collect(out, where=output.json)
    if output.json:
        print_json(results)
        return
    result_lines(spoken(results, output.lang))
    if line := noise_line(results["noise"]):
        say(f"\n{line}")
    say(f"records: {out}")
