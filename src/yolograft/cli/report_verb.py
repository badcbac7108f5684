"""``yolograft report RUN``."""

from __future__ import annotations

from pathlib import Path

from yolograft.cli.options import Output
from yolograft.cli.terminal import print_json, say


def report_(run: Path, /, *, pdf: bool = False, output: Output | None = None) -> None:
    """Write a study's report and tables again from its run folder.

    The pictures with detections need the dataset; where it is gone or has changed they are left out.

    Parameters
    ----------
    run
        Run folder of a study.
    pdf
        Every figure in PDF beside its SVG; needs the extra figures.
    """
    from yolograft.engine.runfolder import sole_writer
    from yolograft.study.paper.figures import write_figures
    from yolograft.study.paper.tables import FOLDER
    from yolograft.study.planning.manifest import read_manifest
    from yolograft.study.run import publish
    from yolograft.study.source import same_dataset

    output = output or Output()
    dataset, why = same_dataset(read_manifest(run))
    with sole_writer(run):
        results = publish(run, dataset, lang=output.lang)
        if pdf:
            write_figures(results, run / FOLDER, pdf=True)
    if output.json:
        print_json(results)
        return
    if why:
        say(f"without sample pictures: {why}")
    say(f"report: {run / 'report.html'}")
    say(f"for a paper: {run / FOLDER}")
