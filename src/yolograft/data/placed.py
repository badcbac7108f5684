"""Names for copied images: one folder may hold what came from many."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from yolograft.data.paths import IMAGE_SUFFIXES
from yolograft.data.records import ImageRecord

_PNG = b"\x89PNG"


class Placed(NamedTuple):
    """An image and the file name it has in a new folder."""

    record: ImageRecord
    name: str


def placed(splits: Mapping[str, Sequence[ImageRecord]]) -> dict[str, list[Placed]]:
    """Every image with its own file name where that is free, else with its folders or a number in it.

    No two images share a stem, upper and lower case and Unicode forms apart, for annotations are found by
    it and some file systems know no difference. An image in two splits keeps one name.
    """
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for records in splits.values():
        for record in records:
            if record.path not in names:
                names[record.path] = _free_name(record, taken)
    return {split: [Placed(r, names[r.path]) for r in records] for split, records in splits.items()}


def _free_name(record: ImageRecord, taken: set[str]) -> str:
    suffix = record.path.suffix
    stem = _plain(record.path.stem if suffix.lower() in IMAGE_SUFFIXES else record.path.name)
    if suffix.lower() not in IMAGE_SUFFIXES:
        # Readers find images by suffix; decoders look at the content.
        with record.path.open("rb") as file:
            suffix = ".png" if file.read(4) == _PNG else ".jpg"
    longer = _plain(re.sub(r"[/\\]", "_", record.image_id.removesuffix(record.path.suffix)).lstrip("._"))
    wanted = next((text for text in (stem, longer) if _key(text) not in taken), longer)
    free, number = wanted, 2
    while _key(free) in taken:
        free, number = f"{wanted}-{number}", number + 1
    taken.add(_key(free))
    return free + suffix


def _plain(stem: str) -> str:
    """A stem that fits on one line of a UTF-8 list: no control characters, no spaces at its ends.

    Bytes that are not UTF-8 (Python shows them as surrogates, Cs) go too: XML and YAML cannot hold them.
    """
    marks = ("Cc", "Cs", "Zl", "Zp")
    return "".join("_" if unicodedata.category(c) in marks else c for c in stem).strip() or "image"


def _key(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()
