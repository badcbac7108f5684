"""``yolograft judge``: the verdict for detectors that other tools trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from yolograft.cli.judged_text import HEADS, judged_lines
from yolograft.cli.options import Output
from yolograft.cli.terminal import print_json, say
from yolograft.cli.verdict_verb import verdict_
from yolograft.errors import StudyError

if TYPE_CHECKING:
    from yolograft.study.judge.from_predictions import Judged

Words = Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)]


@Parameter(name="*")
@dataclass(frozen=True)
class Judging:
    """What is fixed before looking, and what the files mean.

    Parameters
    ----------
    gt
        Ground truth: a COCO JSON, a dataset folder or its data.yaml.
    split
        Split of a dataset given as --gt.
    margin
        Smallest difference that matters, in AP points.
    group
        Images that belong together: folder, prefix:8, prefix:_ or FILE.csv.
    looks
        Seeds per arm at which you planned to look: one number, or 3,5,10.
    tried
        Modules tried in all, those not shown here too.
    image_ids
        What image_id means, where it cannot be found out: ids of the ground truth, or file names.
    category_ids
        What category_id means: ids of the ground truth, or classes counted from 0 or 1.
    """

    gt: Path | None = None
    split: str = "val"
    margin: float = 0.5
    group: str | None = None
    looks: str | None = None
    tried: int | None = None
    image_ids: Literal["ids", "names"] | None = None
    category_ids: Literal["ids", "0", "1"] | None = None


def judge_(
    *runs: str,
    base: Words = None,
    new: Words = None,
    new_name: str = "new",
    save: Path | None = None,
    judging: Judging | None = None,
    output: Output | None = None,
) -> None:
    """Judge detectors that any tool trained: prediction files, or run folders of ultralytics, YOLOv5, YOLOX.

    judge --gt val.json --base a0.json a1.json a2.json --new b0.json b1.json b2.json; several modules:
    --new cbam=b0.json,b1.json,b2.json se=c0.json,c1.json,c2.json. Or: judge runs/detect/train*

    Parameters
    ----------
    runs
        Run folders; those of equal recipe are seeds of one group. One run folder of ours, or one that --save
        made: its verdict, computed again.
    base
        Prediction files of the baseline, one for each run; with run folders, the baseline's folders.
    new
        Prediction files of the module, one for each run; NAME=FILE,FILE for several modules.
    new_name
        What the module is called.
    save
        New folder for judge.json and the match table of each run.
    """
    from yolograft.study.judge.again import is_judged
    from yolograft.study.judge.naming import files_of
    from yolograft.study.judge.saving import check_new, save_judged

    output, judging = output or Output(), judging or Judging()
    folders = files_of(runs)
    if len(folders) == 1 and ((folders[0] / "manifest.json").is_file() or is_judged(folders[0])):
        # A run folder of ours, or a judgement kept, has a verdict of its own.
        asked = {"--base": base, "--new": new, "--new-name": new_name != "new", "--save": save is not None}
        _refuse_idle(asked | _said(judging), folders[0])
        verdict_(folders[0], output=output)
        return
    if save is not None:
        check_new(save)
    judged = _judged(folders, base or [], new or [], new_name, judging, output.lang)
    if save is not None:
        save_judged(judged, save)
    if output.json:
        print_json(judged.document)
        return
    judged_lines(judged.document, output.lang)
    if save is not None:
        say(f"{HEADS[output.lang]['saved']}: {save / 'judge.json'}")


def _judged(
    folders: Sequence[Path], base: Sequence[str], new: Sequence[str], name: str, judging: Judging, lang: str
) -> Judged:
    from yolograft.study.judge.asked import Asked
    from yolograft.study.judge.from_predictions import judge_predictions
    from yolograft.study.judge.from_runs import judge_runs
    from yolograft.study.judge.naming import files_of, groups_of, read_looks

    asked = Asked(
        gt=judging.gt,
        split=judging.split,
        margin=judging.margin,
        group=judging.group or "",
        looks=read_looks(judging.looks),
        tried=judging.tried,
        images=judging.image_ids,
        categories=judging.category_ids,
    )
    if folders and (new or name != "new"):
        option = "--new" if new else "--new-name"
        raise StudyError("YG665", f"run folders and {option}", fix="give run folders, or --gt, --base, --new")
    if folders:
        return judge_runs(folders, asked, base=files_of(base), lang=lang)
    return judge_predictions(files_of(base), groups_of(new, name), asked, lang=lang)


def _said(judging: Judging) -> dict[str, bool]:
    """Option -> whether it was given another value than the one it has by itself."""
    return {
        f"--{item.name.replace('_', '-')}": getattr(judging, item.name) != item.default
        for item in fields(judging)
    }


def _refuse_idle(options: Mapping[str, object], run: Path) -> None:
    """Refuse options beside a run folder of ours: its manifest fixed all of that before it was trained.

    Raises:
        StudyError: there are some (YG665).
    """
    if idle := [option for option, given in options.items() if given]:
        cause = f"{', '.join(idle)} beside a run folder of ours, whose manifest says how it is judged"
        raise StudyError("YG665", cause, where=str(run), fix="leave out the rest")
