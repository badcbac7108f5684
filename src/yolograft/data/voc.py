"""Pascal VOC folders: Annotations/*.xml, ImageSets/Main/{train,val,test}.txt, JPEGImages/.

Without ImageSets, as annotation programs leave it, everything is the split train.
Coordinates are taken as they stand, xmin..xmax as continuous pixels, without the historical +-1.
Classes are numbered by first appearance, reading the splits in the order train, val, test. Objects
marked `difficult` are ordinary objects here (crowd is False): COCO evaluation has no third kind.
Source of the layout: the VOC2012 development kit documentation.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from yolograft.data.findings import finding
from yolograft.data.names import tidy_names
from yolograft.data.paths import IMAGE_SUFFIXES, files_in, image_id_of
from yolograft.data.records import Dataset, Finding, ImageRecord
from yolograft.data.rows import Row, annotated_size, measured_size, record_of
from yolograft.data.text import read_lines
from yolograft.data.voc_xml import VocFile, VocObject, parse_xml
from yolograft.errors import DataError

_SPLITS = ("train", "val", "valid", "test")
_IMAGES = ("JPEGImages", "images", "Images")
_XML = frozenset({".xml"})
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def is_voc(root: Path) -> bool:
    """Whether the folder has VOC annotations, and split lists or images beside them."""
    annotations = root / "Annotations"
    if not annotations.is_dir():
        return False
    if (root / "ImageSets" / "Main").is_dir():
        return True
    return any((root / folder).is_dir() for folder in _IMAGES) and any(annotations.rglob("*.[xX][mM][lL]"))


def read_voc(root: Path) -> Dataset:
    """Read a VOC folder.

    Raises:
        DataError: YG301 without an image folder, YG302 without a split list, YG307 and YG308 for an XML
            file that cannot be used.
    """
    findings: list[Finding] = []
    images, annotations = _images(root), _ByStem(root / "Annotations", _XML)
    parsed: dict[Path, VocFile] = {}
    names: dict[str, int] = {}
    found: dict[str, dict[str, Path]] = {}
    for split, (stems, where) in _splits(root, annotations, findings).items():
        found[split] = {}
        for stem in stems:
            xml, _ = annotations.find(stem)
            if xml is None:
                findings.append(finding("YG326", where, 0, f"no Annotations/{stem}.xml for '{stem}'"))
                continue
            found[split][stem] = xml
            if xml not in parsed:
                parsed[xml] = parse_xml(xml, file=image_id_of(xml, root), found=findings)
            for item in parsed[xml].objects:
                if item.name:
                    names.setdefault(item.name, len(names))
    splits: dict[str, tuple[ImageRecord, ...]] = {}
    for split, members in found.items():
        seen: set[str] = set()
        records = [
            _record(root, stem, (xml, parsed[xml]), images, names, seen, findings)
            for stem, xml in members.items()
        ]
        splits[split] = tuple(record for record in records if record is not None)
    tidy = tidy_names(list(names), file="Annotations", found=findings)
    return Dataset(root, "voc", tidy, splits, tuple(dict.fromkeys(findings)))


def _splits(root: Path, annotations: _ByStem, found: list[Finding]) -> dict[str, tuple[list[str], str]]:
    """Split -> (stems, where they are listed)."""
    main = root / "ImageSets" / "Main"
    if not main.is_dir():
        found.append(finding("YG324", "Annotations", 0, "no ImageSets; everything is read as train"))
        return {"train": (annotations.stems, "Annotations")}
    lists = {split: main / f"{split}.txt" for split in _SPLITS if (main / f"{split}.txt").is_file()}
    if "train" not in lists and (main / "trainval.txt").is_file():
        text = "no train.txt: trainval without the stems of val and test is read as train"
        found.append(finding("YG324", "ImageSets/Main/trainval.txt", 0, text))
        lists = {"train": main / "trainval.txt", **lists}
    if not lists:
        fix = "write train.txt and val.txt there, one image stem per line"
        raise DataError("YG302", "no split list", where=str(main), fix=fix)
    stems = {split: _stems(path, root=root, found=found) for split, path in lists.items()}
    if "train" in lists and lists["train"].stem == "trainval":
        held_out = {stem for split in stems if split != "train" for stem in stems[split]}
        stems["train"] = [stem for stem in stems["train"] if stem not in held_out]
    return {split: (stems[split], lists[split].relative_to(root).as_posix()) for split in lists}


def _stems(path: Path, *, root: Path, found: list[Finding]) -> list[str]:
    stems: dict[str, None] = {}
    file = path.relative_to(root).as_posix()
    for line, text in read_lines(path, file=file, found=found):
        # Lists per class carry a second column (-1, 0, 1); a stem itself may hold spaces.
        stem, _, flag = text.rpartition(" ")
        stem = stem.strip() if stem and flag in {"-1", "0", "1"} else text
        if stem in stems:
            found.append(finding("YG322", file, line, f"'{stem}' is listed twice"))
        stems[stem] = None
    return list(stems)


class _ByStem:
    """The files of a folder and those below it, by their name without suffix.

    A file further down has two: `night/a`, which is its own, and `a` while no other file has it.
    """

    def __init__(self, folder: Path, suffixes: frozenset[str]) -> None:
        paths = files_in(folder, suffixes)
        inner = {path.relative_to(folder).with_suffix("").as_posix(): path for path in reversed(paths)}
        self.stems = list(reversed(inner))
        self._exact = _unambiguous((PurePosixPath(stem).name, path) for stem, path in inner.items()) | inner
        self._folded = _unambiguous((stem.casefold(), path) for stem, path in self._exact.items())

    def find(self, *stems: str) -> tuple[Path | None, str]:
        """The file of the first stem that has one, as spelled, then whatever its case; and that stem."""
        for known, spelled in ((self._exact, str), (self._folded, str.casefold)):
            for stem in stems:
                if path := known.get(spelled(stem)):
                    return path, stem
        return None, ""


def _unambiguous(pairs: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    known: dict[str, Path | None] = {}
    for key, path in pairs:
        known[key] = path if known.get(key, path) == path else None
    return {key: path for key, path in known.items() if path is not None}


def _images(root: Path) -> _ByStem:
    folder = next((root / name for name in _IMAGES if (root / name).is_dir()), None)
    if folder is None:
        raise DataError("YG301", "no JPEGImages folder beside Annotations", where=str(root))
    return _ByStem(folder, IMAGE_SUFFIXES)


def _record(
    root: Path,
    stem: str,
    annotation: tuple[Path, VocFile],
    images: _ByStem,
    names: dict[str, int],
    seen: set[str],
    found: list[Finding],
) -> ImageRecord | None:
    file, xml = image_id_of(annotation[0], root), annotation[1]
    # Names in <filename> come from another machine, folders and all.
    path, spelled = images.find(stem, PurePosixPath(stem).name, PureWindowsPath(xml.filename).stem)
    if path is None:
        found.append(finding("YG317", file, 0, f"no image for '{stem}'"))
        return None
    if PurePosixPath(spelled).name != path.stem:
        found.append(finding("YG336", file, 0, f"'{spelled}' is the image '{path.name}'"))
    image_id = path.relative_to(root).as_posix()
    if image_id in seen:
        found.append(finding("YG322", file, 0, f"image '{image_id}' is annotated twice"))
        return None
    seen.add(image_id)
    size, trouble = measured_size(path, image_id=image_id)
    found.extend(trouble)
    if size is None:
        return None
    found.extend(annotated_size(_stated_size(xml), size, file=file, image_id=image_id))
    rows = [_row(item, names.get(item.name, -1), file=file, found=found) for item in xml.objects]
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
    if not item.name:
        found.append(finding("YG310", file, item.line, "object without a class name"))
        return Row(None, label, item.name, line=item.line)
    return Row((x1, y1, x2, y2), label, item.name, line=item.line)
