"""What `data check` says: counts per split and everything the reader found."""

from __future__ import annotations

import dataclasses
from typing import Any

from yolograft.data.findings import finding
from yolograft.data.images import decode_file
from yolograft.data.records import Dataset, Finding
from yolograft.errors import DataError


def check(dataset: Dataset, *, decode: bool = False) -> dict[str, Any]:
    """Counts and findings of a dataset, ready for JSON.

    ``boxes`` and ``boxes_per_class`` count rows in the files, ``boxes_used`` the boxes that training and
    evaluation see (crowd included).

    Args:
        decode: also decode every image, which finds damaged ones and takes as long as it takes.
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
    findings = list(dataset.findings)
    if decode:
        findings.extend(_undecodable(dataset))
    return {
        "format": dataset.format,
        "names": list(dataset.names),
        "splits": splits,
        "findings": [dataclasses.asdict(item) for item in findings],
    }


def _undecodable(dataset: Dataset) -> list[Finding]:
    found: list[Finding] = []
    for record in dict.fromkeys(r.image_id for records in dataset.splits.values() for r in records):
        path = dataset.root / record
        try:
            decode_file(path)
        except DataError as error:
            found.append(finding("YG327", record, 0, error.cause))
    return found
