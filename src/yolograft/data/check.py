"""What `data check` says: counts per split and everything that was found odd."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

from yolograft.data.findings import FINDINGS, finding
from yolograft.data.images import decode_file
from yolograft.data.records import Dataset, Finding
from yolograft.errors import DataError


def check(dataset: Dataset, *, decode: bool = False, more: Iterable[Finding] = ()) -> dict[str, Any]:
    """Counts and findings of a dataset, ready for JSON.

    ``boxes`` and ``boxes_per_class`` count rows in the files, ``boxes_used`` the boxes that training and
    evaluation see (crowd included). ``summary`` counts the findings by code.

    Args:
        decode: also decode every image, which finds damaged ones and takes as long as it takes.
        more: findings from elsewhere, such as near-duplicate images.
    """
    splits: dict[str, dict[str, Any]] = {}
    for split, records in dataset.splits.items():
        per_class = [sum(counts) for counts in zip(*(r.rows_per_class for r in records), strict=True)]
        splits[split] = {
            "images": len(records),
            "images_without_boxes": sum(record.rows == 0 for record in records),
            "boxes": sum(record.rows for record in records),
            "boxes_used": sum(len(record.boxes) for record in records),
            "boxes_per_class": dict(zip(dataset.names, per_class or [0] * len(dataset.names), strict=True)),
        }
    findings = [*dataset.findings, *(_undecodable(dataset) if decode else ()), *more]
    counts = Counter(item.code for item in findings)
    return {
        "format": dataset.format,
        "names": list(dataset.names),
        "splits": splits,
        "summary": {
            code: {"count": counts[code], "action": FINDINGS[code][0], "meaning": FINDINGS[code][1]}
            for code in sorted(counts)
        },
        "findings": [dataclasses.asdict(item) for item in findings],
    }


def _undecodable(dataset: Dataset) -> list[Finding]:
    paths = {r.image_id: r.path for records in dataset.splits.values() for r in records}
    found: list[Finding] = []
    for image_id, path in paths.items():
        try:
            decode_file(path)
        except DataError as error:
            found.append(finding("YG327", image_id, 0, error.cause))
    return found
