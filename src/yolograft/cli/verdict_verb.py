"""``yolograft verdict RUN...``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from yolograft.cli.judged_text import judged_lines
from yolograft.cli.options import Output
from yolograft.cli.results_table import result_lines
from yolograft.cli.terminal import print_json, say


def verdict_(
    *runs: Path, save_records: Annotated[Path | None, Parameter()] = None, output: Output | None = None
) -> None:
    """Compute the verdicts of a study again, from its run folder or from committed records alone.

    Nothing in the folder is changed.

    Parameters
    ----------
    runs
        Run folder, folder of records, or files of such a folder; or one folder that `judge --save` made. Each
        study is judged by itself.
    save_records
        New folder for the study as records: at most 60 KB a run, no path of this machine in them.
    """
    from yolograft.errors import StudyError
    from yolograft.study.judge.again import is_judged
    from yolograft.study.records.studyrecord import folder_of, read_study, write_study
    from yolograft.study.results import collect

    output = output or Output()
    if len(runs) == 1 and is_judged(runs[0]):
        _judged(runs[0], save_records, output)
        return
    folders = list(dict.fromkeys(folder_of(run) for run in runs))
    if not folders or (save_records and len(folders) > 1):
        cause = f"{len(folders)} studies named"
        raise StudyError("YG639", cause, fix="yolograft verdict RUN; --save-records takes one")
    found = [collect(folder, where=output.json) for folder in folders]
    if save_records:
        write_study(read_study(folders[0]), save_records)
    if output.json:
        print_json(found[0] if len(found) == 1 else found)
        return
    for results in found:
        result_lines(spoken(results, output.lang))
        if line := noise_line(results["noise"]):
            say(f"\n{line}")
    if save_records:
        say(f"records: {save_records}")


def _judged(folder: Path, save_records: Path | None, output: Output) -> None:
    from yolograft.errors import StudyError
    from yolograft.study.judge.again import judged_again

    if save_records:
        raise StudyError("YG639", "--save-records of a judgement: it is one already", where=str(folder))
    document = judged_again(folder, lang=output.lang)
    if output.json:
        print_json(document)
    else:
        judged_lines(document, output.lang)


def spoken(results: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """The results with the sentences of their verdicts in a language."""
    from yolograft.study.report.wording import Wording
    from yolograft.study.statistics.evidence import evidence_of
    from yolograft.study.statistics.verdict import judge

    arms = []
    for arm in results["arms"]:
        row = arm["comparison"]
        evidence = evidence_of(row["evidence"]) if row and row.get("evidence") else None
        if evidence is not None:
            _, sentence, known = judge(evidence, lang=lang)
            row = {**row, "sentence": sentence, "known": known}
        elif row:
            words = Wording(lang)
            row = {**row, "sentence": words.verdict(row["sentence"]), "known": words.verdict(row["known"])}
        arms.append({**arm, "comparison": row})
    return {**results, "arms": arms}


def noise_line(noise: Mapping[str, Any]) -> str:
    """How runs of this study differ, in one line; empty where too few are in."""
    if noise["sd"] is None:
        return ""
    line = (
        f"noise: runs differ by an sd of {noise['sd']:.2f} AP ({noise['runs']} runs of {noise['arms']} arms)"
    )
    if noise["rho"] is not None:
        line += f"; arm and baseline correlate over seeds by {noise['rho']:+.2f}"
    if noise["image_share"] is not None:
        line += f"; {100 * noise['image_share']:.0f} % of the variance is the images'"
    return line
