"""``yolograft data check PATH``."""

from __future__ import annotations

from yolograft.cli.options import Output
from yolograft.cli.terminal import plain_table, print_json, say


def check_(path: str, /, *, decode: bool = False, output: Output | None = None) -> None:
    """Count a dataset and list what is odd in it. Nothing is written.

    Parameters
    ----------
    path
        Dataset folder (VOC, COCO or YOLO layout), its data.yaml or JSON, or "shapes".
    decode
        Decode every image as well, to find damaged ones.
    """
    from yolograft.data.check import check
    from yolograft.data.source import open_dataset

    answer = check(open_dataset(path), decode=decode)
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
    for finding in answer["findings"]:
        place = f"{finding['file']}:{finding['line']}" if finding["line"] else finding["file"]
        say(f"{finding['code']} {place}: {finding['message']} ({finding['action']})")
    if not answer["findings"]:
        say("nothing odd found")
