"""Writing YOLO text labels: images/SPLIT/, labels/SPLIT/, data.yaml.

Fractions have 12 decimals: in an image of 10,000 pixels a box comes back within 10^-7 pixels.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from yolograft.data.placed import Placed
from yolograft.data.records import ImageRecord

_DECIMALS = 12


def yolo_image(split: str, name: str) -> PurePosixPath:
    """Where an image lies in the folder."""
    return PurePosixPath("images", split, name)


def write_yolo(folder: Path, splits: Mapping[str, Sequence[Placed]], *, names: Sequence[str]) -> None:
    """Write the labels of every split and the data.yaml into `folder`."""
    for split, images in splits.items():
        labels = folder / "labels" / split
        labels.mkdir(parents=True)
        for image in images:
            path = (labels / image.name).with_suffix(".txt")
            path.write_text("".join(f"{row}\n" for row in _rows(image.record)), encoding="utf-8")
    entries = {split: f"images/{split}" for split in splits}
    (folder / "data.yaml").write_text(yaml_text(entries, names), encoding="utf-8")


def yaml_text(entries: Mapping[str, str], names: Sequence[str]) -> str:
    """The text of a data.yaml: where each split is, and the classes by number.

    Every text is quoted: readers of YAML 1.1, which most YOLO trainers use, take a bare `yes`, `no` or `on`
    for a truth value and `12:30:40` for a number in base 60.
    """
    writer = YAML(typ="rt", pure=True)
    # Folded lines would be read back alike; one entry a line is what people expect to see.
    writer.width, writer.allow_unicode = 10_000, True
    text = io.StringIO()
    quoted = {split: DoubleQuotedScalarString(place) for split, place in entries.items()}
    classes = {number: DoubleQuotedScalarString(name) for number, name in enumerate(names)}
    writer.dump({**quoted, "nc": len(names), "names": classes}, text)
    return text.getvalue()


def _rows(record: ImageRecord) -> list[str]:
    size = (record.width, record.height)
    rows: list[str] = []
    for (x1, y1, x2, y2), label in zip(record.boxes.tolist(), record.labels.tolist(), strict=True):
        values = (
            *((x1 + x2) / 2 / size[0], (y1 + y2) / 2 / size[1]),
            *((x2 - x1) / size[0], (y2 - y1) / size[1]),
        )
        rows.append(" ".join([str(label), *(f"{value:.{_DECIMALS}f}" for value in values)]))
    return rows
