"""``yolograft explain RUN``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from yolograft.cli.options import Output
from yolograft.cli.terminal import print_json, say


def explain_(
    run: Path,
    /,
    *,
    images: Annotated[int, Parameter(validator=Number(gte=0, lte=64))] = 4,
    device: str | None = None,
    code: Annotated[list[str] | None, Parameter(negative="")] = None,
    out: Path | None = None,
    output: Output | None = None,
) -> None:
    """Draw where every arm looks: gains of its grafts and class-activation maps, base and graft side by side.

    They go into the run folder, and into its report. Activation maps need the extra explain.

    Parameters
    ----------
    run
        Run folder of a study.
    images
        Images spaced evenly over the evaluation split; the largest win and the largest loss come on top.
    device
        cpu or a GPU index; the first GPU when there is one.
    code
        File with a class of your own that the run refers to.
    out
        Another folder for the pictures; the report is left alone then.
    """
    from yolograft.engine.runfolder import sole_writer
    from yolograft.errors import StudyError
    from yolograft.study.explain import explain_study
    from yolograft.study.planning.manifest import read_manifest
    from yolograft.study.results import collect
    from yolograft.study.run import publish
    from yolograft.study.source import same_dataset

    output = output or Output()
    dataset, why = same_dataset(read_manifest(run))
    if dataset is None:
        raise StudyError("YG623", f"no pictures to look at: {why}", where=str(run))
    with sole_writer(run):
        results = collect(run)
        found = explain_study(
            run, results, dataset, images=images, device=device, code=tuple(code or ()), folder=out
        )
        if out is None:
            publish(run, dataset, lang=output.lang)
    if output.json:
        print_json(found.index | ({"note": found.note} if found.note else {}))
        return
    panels = sum(len(arm["panels"]) for image in found.index["images"] for arm in image["arms"])
    say(f"{panels} maps of {len(found.index['images'])} images in {found.folder}")
    if found.note:
        say(f"without class-activation maps: {found.note}")
    if out is None:
        say(f"report: {run / 'report.html'}")
