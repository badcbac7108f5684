"""What a study's data make of its numbers, in sentences the verdict can repeat."""

from __future__ import annotations

from collections import Counter

from yolograft.data.duplicates import duplicate_findings
from yolograft.data.records import Dataset


def data_warnings(dataset: Dataset, train_split: str, eval_split: str) -> list[str]:
    """Plain sentences for the manifest; none where there is nothing to say.

    Reads every image of both splits once, at reduced size, to look for near-duplicates.

    Raises:
        DataError: YG304 when there is no such split.
    """
    said: list[str] = []
    twins = [item.message for item in duplicate_findings(dataset, a=train_split, b=eval_split)]
    if twins:
        have = "have a near-duplicate" if len(twins) > 1 else "has a near-duplicate"
        share = (
            f"{len(twins)} of {len(dataset.split(eval_split))} {eval_split} images {have} in {train_split}"
        )
        said.append(f"{share}: the AP flatters every arm. First: {twins[0]}")
    dropped = Counter(item.code for item in dataset.findings if item.action == "dropped")
    if dropped:
        counts = ", ".join(f"{code} {count}" for code, count in sorted(dropped.items()))
        noun = "row or image is" if dropped.total() == 1 else "rows or images are"
        said.append(f"{dropped.total()} {noun} not used ({counts}): see `yolograft data check`")
    return said
