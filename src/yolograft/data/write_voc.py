"""Writing Pascal VOC folders: Annotations/, ImageSets/Main/, JPEGImages/.

Corners are written as our reader takes them: continuous pixels from 0, floats where they are no whole
numbers, so that they come back bit for bit. Programs that count pixels from 1 see boxes one pixel off,
as they do with most VOC folders made after 2012.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import escape

from yolograft.data.placed import Placed

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def voc_image(_split: str, name: str) -> PurePosixPath:
    """Where an image lies in the folder."""
    return PurePosixPath("JPEGImages", name)


def write_voc(folder: Path, splits: Mapping[str, Sequence[Placed]], *, names: Sequence[str]) -> None:
    """Write one XML file an image and one list a split into `folder`."""
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (folder / "Annotations").mkdir()
    for split, images in splits.items():
        stems = [Path(image.name).stem for image in images]
        (lists / f"{split}.txt").write_text("".join(f"{_listed(s)}\n" for s in stems), encoding="utf-8")
        for image, stem in zip(images, stems, strict=True):
            text = _document(image, names)
            (folder / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")


def _listed(stem: str) -> str:
    # Lists may carry a second column of -1, 0 and 1; a stem such as "photo 1" needs one to be read whole.
    return f"{stem} 1" if stem.rpartition(" ")[2] in {"-1", "0", "1"} else stem


def _document(image: Placed, names: Sequence[str]) -> str:
    record = image.record
    lines = [
        "<annotation>",
        f"  <filename>{escape(image.name)}</filename>",
        f"  <size><width>{record.width}</width><height>{record.height}</height><depth>3</depth></size>",
    ]
    for box, label in zip(record.boxes.tolist(), record.labels.tolist(), strict=True):
        corners = zip(_CORNERS, box, strict=True)
        written = "".join(f"<{tag}>{_number(value)}</{tag}>" for tag, value in corners)
        name = escape(str(names[label]))
        lines += [
            "  <object>",
            f"    <name>{name}</name><difficult>0</difficult>",
            f"    <bndbox>{written}</bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
