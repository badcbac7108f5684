"""Output folders of YOLOX: everything stands in `train_log.txt`, the settings as a drawn table."""

from __future__ import annotations

import math
import re
from pathlib import Path

from yolograft.errors import StudyError
from yolograft.study.judge.bounded import Scalar, number, read_log
from yolograft.study.judge.foreign_run import DIVERGED, DONE, UNFINISHED, ForeignRun, in_points, whole

LOG = "train_log.txt"
_STARTED = "args: Namespace("
_ARGUMENT = re.compile(r"\b(batch_size|devices|fp16|resume)=([^,)]{1,40})")
_ROW = re.compile(r"^│ ([^│]{0,80})│ ([^│]{0,400})│\s*$")
_EPOCH = re.compile(r"start train epoch(\d{1,9})\b")
_AP = re.compile(
    r"Average Precision\s+\(AP\) @\[ IoU=0\.50:0\.95 \| area=\s+all \| maxDets=100 \] = (\S{1,20})"
)
_LOSS = re.compile(r"total_loss: (\S{1,20}?),")
_DONE = "Training of experiment is done"
_BOOKKEEPING = frozenset(
    ("seed", "output_dir", "exp_name", "print_interval", "data_num_workers", "save_history_ckpt", "data_dir")
)
_DATA = ("train_ann", "val_ann", "test_ann")
_PREDICTIONS = ("predictions.json", "yolox_testdev_2017.json")


def is_yolox(folder: Path) -> bool:
    """Whether YOLOX trained here."""
    return (folder / LOG).is_file()


def read_yolox(folder: Path) -> ForeignRun:
    """An output folder of YOLOX.

    Raises:
        StudyError: the log cannot be read (YG660) or no training stands in it (YG666).
    """
    settings: dict[str, Scalar] = {}
    curve: dict[int, float] = {}
    epoch, loss, ended, started = 0, math.nan, False, False
    for line in read_log(folder / LOG):
        if _STARTED in line:
            arguments = dict(_ARGUMENT.findall(line))
            if arguments.pop("resume", "False") != "True":
                # The log of a later training in the same folder stands behind that of the earlier one.
                curve, settings, epoch = {}, {}, 0
            settings |= {f"args.{key}": value for key, value in arguments.items()}
            started, ended = True, False
        elif row := _ROW.match(line):
            key = row[1].strip()
            if key and key != "keys":
                settings[key] = row[2].strip().strip("'")
        elif found := _EPOCH.search(line):
            epoch = int(found[1])
        elif found := _AP.search(line):
            curve[epoch] = in_points(number(found[1]))
        elif found := _LOSS.search(line):
            loss = number(found[1])
        ended = ended or _DONE in line
    if not started:
        raise StudyError("YG666", "no training of YOLOX stands in this log", where=str(folder / LOG))
    planned = whole(settings.get("max_epoch")) or 0
    known = tuple((e, ap) for e, ap in sorted(curve.items()) if math.isfinite(ap))
    status, reason = _ending(known, ended=ended, planned=planned, epoch=epoch, loss=loss)
    beside = (folder / name for name in _PREDICTIONS)
    return ForeignRun(
        folder=folder,
        tool="yolox",
        seed=whole(settings.get("seed")),
        recipe={k: v for k, v in sorted(settings.items()) if k not in _BOOKKEEPING and k not in _DATA},
        data=" ".join(str(settings.get(key) or "") for key in ("data_dir", *_DATA)).strip(),
        planned=planned,
        curve=known,
        status=status,
        reason=reason,
        predictions=next((path for path in beside if path.is_file()), None),
    )


def _ending(
    curve: tuple[tuple[int, float], ...], *, ended: bool, planned: int, epoch: int, loss: float
) -> tuple[str, str]:
    if math.isnan(loss) and epoch:
        return DIVERGED, f"the loss is no number at epoch {epoch}"
    if not ended:
        return UNFINISHED, f"stopped at epoch {epoch} of {planned}"
    if not curve or curve[-1][0] < epoch:
        return UNFINISHED, "no AP stands in the log for its last epoch"
    return DONE, ""
