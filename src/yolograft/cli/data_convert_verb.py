"""``yolograft data convert PATH --to FORMAT --out FOLDER``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from yolograft.cli.finding_lines import say_findings
from yolograft.cli.options import Output
from yolograft.cli.terminal import plain_table, print_json, say


def convert_(
    path: str,
    /,
    *,
    to: Literal["yolo", "coco", "voc", "labelme"],
    out: Path,
    images: Literal["copy", "link", "none"] = "copy",
    output: Output | None = None,
) -> None:
    """Write a dataset in another format. The dataset folder is not written to.

    Parameters
    ----------
    path
        Dataset folder, its data.yaml or JSON, or "shapes".
    to
        Format to write.
    out
        New folder, outside the dataset.
    images
        Copy the images, make hard links to them, or write labels only.
    """
    from yolograft.data.convert import convert
    from yolograft.data.source import open_dataset

    dataset = open_dataset(path)
    done = convert(dataset, to=to, out=out, images=images)
    if output and output.json:
        print_json(
            {
                "folder": str(done.folder),
                "from": dataset.format,
                "to": to,
                "images": done.images,
                "boxes": done.boxes,
                "notes": list(done.notes),
                "findings": len(dataset.findings),
            }
        )
        return
    say_findings(dataset.findings)
    plain_table(
        ("split", "images", "boxes"), [(name, n, done.boxes[name]) for name, n in done.images.items()]
    )
    for note in done.notes:
        say(note)
    say(f"written: {done.folder} ({dataset.format} to {to})")
