"""``yolograft eval RUN``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolograft.cli.nms_table import Reading, say_comparison
from yolograft.cli.options import Output, Trained, read_imgsz
from yolograft.cli.results_table import METRICS
from yolograft.cli.terminal import plain_table, print_json, say

if TYPE_CHECKING:
    from yolograft.data.records import Dataset
    from yolograft.engine.modelfolder import StoredModel


def eval_(
    run: Path,
    /,
    *,
    data: str | None = None,
    split: str | None = None,
    batch: int = 16,
    reading: Reading | None = None,
    trained: Trained | None = None,
    output: Output | None = None,
) -> None:
    """Measure a trained detector on a split.

    Parameters
    ----------
    run
        Run folder, the model folder inside one, or a .pt or .pth file of YOLOv5, YOLOv8 or YOLOX.
    data
        Dataset; the one it was trained on when left out.
    split
        Split to measure on; val (else test) when left out.
    batch
        Images at a time.
    """
    from yolograft.data.source import open_dataset
    from yolograft.engine.foreignfolder import lines_of_file
    from yolograft.engine.load import load_detector
    from yolograft.engine.modelfolder import best_warning
    from yolograft.study.pick import data_of, manifest_of, model_folder
    from yolograft.study.suppressions import Subject, scores_as_asked

    trained = trained or Trained()
    folder = model_folder(run, arm=trained.arm, seed=trained.seed, which=trained.which)
    detector, stored = load_detector(folder, device=trained.device, code=trained.code, force=trained.force)
    dataset = open_dataset(data or data_of(folder))
    _check_names(dataset, stored)
    chosen = split or dataset.eval_split
    size = read_imgsz(trained.imgsz) if trained.imgsz else stored.imgsz
    asked = (reading or Reading()).asked(detector.stride)
    groups = _groups(manifest_of(folder), dataset.fingerprint(chosen)) if asked.several else None
    scores = scores_as_asked(Subject(detector, dataset, chosen, size, batch, groups), asked)
    nms = asked.named
    warning, notes = best_warning(stored.about), lines_of_file(folder, stored)
    images = len(dataset.split(chosen))
    if output and output.json:
        about = {"model": str(folder), "split": chosen, "images": images}
        more = {"nms": nms, "warning": warning, "notes": notes}
        print_json(about | {key: value for key, value in more.items() if value} | scores)
        return
    for line in filter(None, (*notes, warning)):
        say(line)
    say(f"{folder} on '{chosen}' ({images} images), points{nms and f', --nms {nms}'}")
    if asked.several:
        say_comparison(scores)
        return
    plain_table([head for head, _ in METRICS], [tuple(scores[key] for _, key in METRICS)])
    rows = [(c["name"], c["gt"], c["ap50"], c["ap"]) for c in scores["per_class"]]
    plain_table(("class", "boxes", "AP50", "AP"), rows)


def _groups(manifest: Mapping[str, Any] | None, fingerprint: str) -> tuple[int, ...] | None:
    """The run's groups of the images measured on; None where it has none, or measured on others."""
    from yolograft.study.planning.grouping import groups_of

    groups = None if manifest is None else groups_of(manifest)
    return groups if manifest and groups and manifest["data"]["eval"]["fingerprint"] == fingerprint else None


def _check_names(dataset: Dataset, stored: StoredModel) -> None:
    from yolograft.engine.foreignfolder import has_numbers_for_names
    from yolograft.errors import DataError

    nameless = has_numbers_for_names(stored) and len(dataset.names) == len(stored.names)
    if dataset.names != stored.names and not nameless:
        raise DataError(
            "YG344",
            f"the model knows {', '.join(stored.names[:6])}, the dataset {', '.join(dataset.names[:6])}",
            where=str(dataset.root),
            fix="classes must be the same, in the same order",
        )
