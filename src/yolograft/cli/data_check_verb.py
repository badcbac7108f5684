"""``yolograft data check PATH``."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from yolograft.cli.options import Output
from yolograft.cli.terminal import plain_table, print_json, say

# Lines shown of each kind; a set with thousands of equal faults is told by the first ones and their number.
SHOWN = 20


def check_(
    path: str,
    /,
    *,
    decode: bool = False,
    duplicates: bool = True,
    all_: bool = False,
    output: Output | None = None,
) -> None:
    """Count a dataset and list what is odd in it. Nothing is written.

    Parameters
    ----------
    path
        Dataset folder (VOC, COCO, YOLO, VisDrone or labelme layout), its data.yaml or JSON, or "shapes".
    decode
        Decode every image as well, to find damaged ones.
    duplicates
        Look for nearly the same image in two splits, which makes a score look better than it is.
    all_
        Show every finding, not the first 20 of each kind; --json always holds all.
    """
    from yolograft.data.check import check
    from yolograft.data.duplicates import duplicate_findings
    from yolograft.data.source import open_dataset

    dataset = open_dataset(path)
    answer = check(dataset, decode=decode, more=duplicate_findings(dataset) if duplicates else ())
    if output and output.json:
        print_json(answer)
        return
    say(f"{path}: {answer['format']}, {len(answer['names'])} classes: {', '.join(answer['names'])}")
    plain_table(
        ("split", "images", "without boxes", "rows in files", "boxes used"),
        [
            (name, s["images"], s["images_without_boxes"], s["boxes"], s["boxes_used"])
            for name, s in answer["splits"].items()
        ],
    )
    per_class = [
        (name, *(s["boxes_per_class"].get(name, 0) for s in answer["splits"].values()))
        for name in answer["names"]
    ]
    plain_table(("class", *answer["splits"]), per_class)
    _say_findings(answer, limit=None if all_ else SHOWN)


def _say_findings(answer: dict[str, Any], *, limit: int | None) -> None:
    if not answer["findings"]:
        say("nothing odd found")
        return
    ordered = sorted(answer["findings"], key=lambda item: item["code"])
    for code, group in groupby(ordered, key=lambda item: item["code"]):
        about, found = answer["summary"][code], list(group)
        say(f"{code} {about['action']}, {len(found)}: {about['meaning']}")
        for item in found[:limit]:
            place = f"{item['file']}:{item['line']}" if item["line"] else item["file"]
            say(f"  {place}: {item['message']}")
        if limit is not None and len(found) > limit:
            say(f"  ... {len(found) - limit} more; --all shows them")
