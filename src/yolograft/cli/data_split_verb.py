"""``yolograft data split PATH``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from yolograft.cli.finding_lines import say_findings
from yolograft.cli.options import Output
from yolograft.cli.terminal import plain_table, print_json, say

if TYPE_CHECKING:
    from yolograft.data.records import Dataset
    from yolograft.data.split import SplitPlan


def split_(
    path: str,
    /,
    *,
    val: float,
    test: float = 0.0,
    group_by: str | None = None,
    seed: int = 0,
    duplicates: Annotated[bool, Parameter(negative="--no-duplicates")] = True,
    out: Path | None = None,
    output: Output | None = None,
) -> None:
    """Deal all images of a dataset into train, val and test. The dataset folder is not written to.

    Parameters
    ----------
    path
        Dataset folder, its data.yaml or JSON, or "shapes".
    val
        Fraction of the images for val.
    test
        Fraction of the images for test.
    group_by
        Regular expression on image ids: images with one match (one first group) stay together.
    seed
        Another seed, another split.
    duplicates
        Keep near-duplicate images together; reads every image.
    out
        New folder for the lists, outside the dataset; NAME-split here when left out. Give it to --data.
    """
    from yolograft.data.listed import source_of
    from yolograft.data.outside import refuse_inside
    from yolograft.data.source import open_dataset
    from yolograft.data.split import plan_split, split_counts, write_split

    source = source_of(path)
    dataset = open_dataset(source)
    # Before every image is read for nothing.
    place = refuse_inside(out or Path(f"{Path(source).stem}-split"), dataset)
    plan = plan_split(dataset, val=val, test=test, group_by=group_by, seed=seed, duplicates=duplicates)
    place = write_split(dataset, plan, source=source, out=place)
    counts = split_counts(dataset, plan)
    if output and output.json:
        facts = {"groups": plan.groups, "unmatched": plan.unmatched, "similar": plan.similar}
        print_json({"folder": str(place), "splits": counts, **facts})
        return
    _tell(dataset, plan, counts, seed=seed)
    say(f'written: {place}; use it as --data "{place}"')


def _tell(dataset: Dataset, plan: SplitPlan, counts: dict[str, dict[str, Any]], *, seed: int) -> None:
    say_findings(dataset.findings)
    plain_table(
        ("split", "images", "boxes", *dataset.names),
        [(name, c["images"], c["boxes"], *c["boxes_per_class"].values()) for name, c in counts.items()],
    )
    say(f"{sum(c['images'] for c in counts.values())} images in {plan.groups} groups, seed {seed}")
    if len(dataset.splits) > 1:
        say(f"the splits of the dataset ({', '.join(dataset.splits)}) were pooled")
    if plan.similar:
        say(f"{plan.similar} images have a near-duplicate and were kept with it")
    if plan.unmatched:
        say(f"{plan.unmatched} images do not match --group-by: each is a group of its own")
