"""Pascal VOC folders: Annotations/*.xml, ImageSets/Main/{train,val,test}.txt, JPEGImages/.

Coordinates are taken as they stand, xmin..xmax as continuous pixels, without the historical +-1.
Classes are numbered by first appearance, reading the splits in the order train, val, test. Objects
marked `difficult` are ordinary objects here (crowd is False): COCO evaluation has no third kind.
Source of the layout: the VOC2012 development kit documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from yolograft.data.findings import finding
from yolograft.data.records import Dataset, Finding, ImageRecord
from yolograft.data.rows import Row, annotated_size, measured_size, record_of
from yolograft.data.text import read_lines
from yolograft.errors import DataError

_SPLITS = ("train", "val", "valid", "test")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(slots=True)
class VocObject:
    """One <object> of an XML file, as text."""

    line: int
    name: str = ""
    corners: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class VocFile:
    """What one XML file says."""

    filename: str = ""
    size: dict[str, str] = field(default_factory=dict)
    objects: list[VocObject] = field(default_factory=list)


def is_voc(root: Path) -> bool:
    """Whether the folder has VOC annotations and split lists."""
    return (root / "Annotations").is_dir() and (root / "ImageSets" / "Main").is_dir()


def read_voc(root: Path) -> Dataset:
    """Read a VOC folder.

    Raises:
        DataError: YG302 without a split list, YG308 for an XML file that is not well formed.
    """
    lists, findings = _split_lists(root)
    images = _images_by_stem(root)
    parsed: dict[str, VocFile] = {}
    names: dict[str, int] = {}
    stems: dict[str, list[str]] = {}
    for split, path in lists.items():
        stems[split] = _stems(path, root=root, found=findings)
        if split == "train" and path.stem == "trainval":
            held_out = {
                stem
                for other in lists
                if other != "train"
                for stem in _stems(lists[other], root=root, found=[])
            }
            stems[split] = [stem for stem in stems[split] if stem not in held_out]
        for stem in list(stems[split]):
            xml = root / "Annotations" / f"{stem}.xml"
            if not xml.is_file():
                where = path.relative_to(root).as_posix()
                findings.append(finding("YG326", where, 0, f"no Annotations/{stem}.xml for '{stem}'"))
                stems[split].remove(stem)
                continue
            parsed[stem] = parse_xml(xml)
            for item in parsed[stem].objects:
                names.setdefault(item.name, len(names))
    splits: dict[str, tuple[ImageRecord, ...]] = {}
    for split, members in stems.items():
        records = [_record(root, stem, parsed[stem], images, names, findings) for stem in members]
        splits[split] = tuple(record for record in records if record is not None)
    return Dataset(root, "voc", tuple(names), splits, tuple(dict.fromkeys(findings)))


def _split_lists(root: Path) -> tuple[dict[str, Path], list[Finding]]:
    main = root / "ImageSets" / "Main"
    lists = {split: main / f"{split}.txt" for split in _SPLITS if (main / f"{split}.txt").is_file()}
    if "train" not in lists and (main / "trainval.txt").is_file():
        text = "no train.txt: trainval without the stems of val and test is read as train"
        note = finding("YG324", "ImageSets/Main/trainval.txt", 0, text)
        return {"train": main / "trainval.txt", **lists}, [note]
    if not lists:
        fix = "write train.txt and val.txt there, one image stem per line"
        raise DataError("YG302", "no split list", where=str(main), fix=fix)
    return lists, []


def _stems(path: Path, *, root: Path, found: list[Finding]) -> list[str]:
    stems: dict[str, None] = {}
    for line, text in read_lines(path):
        # Lists per class carry a second column (-1, 0, 1); a stem itself may hold spaces.
        stem, _, flag = text.rpartition(" ")
        stem = stem.strip() if stem and flag in {"-1", "0", "1"} else text
        if stem in stems:
            found.append(
                finding("YG322", path.relative_to(root).as_posix(), line, f"'{stem}' is listed twice")
            )
        stems[stem] = None
    return list(stems)


def _images_by_stem(root: Path) -> dict[str, Path]:
    for folder in ("JPEGImages", "images", "Images"):
        if (root / folder).is_dir():
            return {path.stem: path for path in sorted((root / folder).iterdir()) if path.is_file()}
    raise DataError("YG301", "no JPEGImages folder beside Annotations", where=str(root))


def _record(
    root: Path,
    stem: str,
    xml: VocFile,
    images: dict[str, Path],
    names: dict[str, int],
    found: list[Finding],
) -> ImageRecord | None:
    file = f"Annotations/{stem}.xml"
    path = images.get(stem) or images.get(Path(xml.filename).stem)
    if path is None:
        found.append(finding("YG317", file, 0, f"no image for '{stem}'"))
        return None
    image_id = path.relative_to(root).as_posix()
    size, trouble = measured_size(path, image_id=image_id)
    found.extend(trouble)
    if size is None:
        return None
    found.extend(annotated_size(_stated_size(xml), size, file=file, image_id=image_id))
    rows = [_row(item, names[item.name], file=file, found=found) for item in xml.objects]
    record, more = record_of(rows, image_id=image_id, path=path, size=size, classes=len(names), file=file)
    found.extend(more)
    return record


def _stated_size(xml: VocFile) -> tuple[int, int] | None:
    try:
        size = (int(float(xml.size["height"])), int(float(xml.size["width"])))
    except (KeyError, ValueError, OverflowError):
        return None
    # Several labelling programs write 0 x 0 when they never looked at the image.
    return size if min(size) > 0 else None


def _row(item: VocObject, label: int, *, file: str, found: list[Finding]) -> Row:
    try:
        x1, y1, x2, y2 = (float(item.corners[key]) for key in _CORNERS)
    except (KeyError, ValueError):
        message = f"object '{item.name}' without a readable bndbox: {item.corners or 'none'}"
        found.append(finding("YG310", file, item.line, message))
        return Row(None, label, item.name, line=item.line)
    return Row((x1, y1, x2, y2), label, item.name, line=item.line)


def parse_xml(path: Path) -> VocFile:
    """Read one annotation file with the line of every object.

    Only direct children count, so the boxes of <part> inside an <object> are not taken for objects.

    Raises:
        DataError: YG308 when the XML is not well formed or declares entities.
    """
    result = VocFile()
    trail: list[str] = []
    text: list[str] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(tag: str, _attributes: dict[str, str]) -> None:
        trail.append(tag)
        text.clear()
        if trail[1:] == ["object"]:
            result.objects.append(VocObject(parser.CurrentLineNumber))

    def end(_tag: str) -> None:
        value = "".join(text).strip()
        match trail[1:]:
            case ["filename"]:
                result.filename = value
            case ["size", key]:
                result.size[key] = value
            case ["object", "name"]:
                result.objects[-1].name = value
            case ["object", "bndbox", key]:
                result.objects[-1].corners[key] = value
        trail.pop()
        text.clear()

    def entity(*_declaration: object) -> None:
        raise DataError("YG308", "declares XML entities; refused", where=f"{path}:{parser.CurrentLineNumber}")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        cause = f"XML that is not well formed: {expat.ErrorString(error.code)}"
        raise DataError("YG308", cause, where=f"{path}:{error.lineno}") from None
    return result
