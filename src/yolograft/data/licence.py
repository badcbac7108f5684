"""What a dataset folder says about its licence: every statement with the file it stands in.

Statements may contradict each other (a LICENSE of the code, "for research only" in the README); none is
preferred here, and nothing is concluded from silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from yolograft.data.coco import coco_files, coco_root
from yolograft.data.listed import source_of
from yolograft.data.paths import image_id_of, is_file, is_folder
from yolograft.data.text import read_head, read_text
from yolograft.data.yolo import yolo_yaml
from yolograft.errors import DataError

# A README says it early; of a JSON file with millions of boxes the front is looked at.
README_BYTES, JSON_BYTES = 1 << 18, 1 << 26
LONGEST = 160
_LICENCE_FILES = re.compile(r"(licen[cs]e|copying)([._-].*)?", re.IGNORECASE)
_README_FILES = re.compile(r".*readme.*", re.IGNORECASE)
_TEXT_SUFFIXES = frozenset({"", ".txt", ".md", ".rst"})
_WORD = r"(?:licen[cs]e|许可证|许可协议|授权协议)"
_LINE = re.compile(
    rf"^[ \t>*#|_-]*{_WORD}[ \t*_|]*[:：][ \t*_|]*(?P<text>\S.*)$", re.IGNORECASE | re.MULTILINE
)
_HEADING = re.compile(rf"^#+[ \t]*{_WORD}[ \t]*\n\s*(?P<text>[^\s#].*)$", re.IGNORECASE | re.MULTILINE)
_JSON_KEY = re.compile(r'"licenses"\s*:\s*(?=\[)')
# What the first page of a licence says -> its short name; the earliest in the text is meant.
_TITLES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version (\d)", re.IGNORECASE), r"AGPL-\1.0"),
    (re.compile(r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version (\d)", re.IGNORECASE), r"LGPL-\1.0"),
    (re.compile(r"GNU GENERAL PUBLIC LICENSE\s+Version (\d)", re.IGNORECASE), r"GPL-\1.0"),
    (re.compile(r"Apache License\s+Version (\d\.\d)", re.IGNORECASE), r"Apache-\1"),
    (re.compile(r"CC0 1\.0 Universal", re.IGNORECASE), "CC0-1.0"),
    (re.compile(r"Permission is hereby granted, free of charge, to any person"), "MIT"),
    (re.compile(r"Redistribution and use in source and binary forms"), "BSD"),
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its words, shortened, and the file, relative to the dataset folder."""

    text: str
    file: str


def stated_licences(path: str) -> tuple[Statement, ...] | None:
    """What a dataset states about its licence today; nothing of its images is read.

    Looks at the `license` key of a data.yaml, at LICENSE and README files beside it, and at the `licenses`
    of COCO JSON files.

    Args:
        path: as `open_dataset` takes it, a folder, a data.yaml, a COCO JSON or a split of one's own.

    Returns:
        the statements, each once a kind of file; None when there is no such dataset any more.
    """
    try:
        place = Path(source_of(path))
        if not (is_folder(place) or is_file(place)):
            return None
        root, documents = _places(place)
        found = [*_declared(documents, root), *_in_texts(root), *_in_coco(documents, root)]
    except (DataError, OSError):
        return None
    # Two JSON files of one set repeat each other; a README that repeats a LICENSE confirms it.
    first: dict[tuple[str, str], Statement] = {}
    for item in found:
        first.setdefault((item.text, Path(item.file).suffix), item)
    return tuple(first.values())


def _places(place: Path) -> tuple[Path, list[Path]]:
    """The dataset folder and the YAML or JSON files that describe it."""
    if is_folder(place):
        declared = yolo_yaml(place)
        return place, [*([declared] if declared else []), *coco_files(place)]
    root = coco_root(place) if place.suffix.lower() == ".json" else place.parent
    return root, [place]


def _declared(documents: Sequence[Path], root: Path) -> Iterator[Statement]:
    for file in (d for d in documents if d.suffix.lower() in (".yaml", ".yml")):
        try:
            config = YAML(typ="safe", pure=True).load(read_text(file))
        except (YAMLError, ValueError, RecursionError):
            continue
        # Roboflow writes it one level below.
        nested = config.get("roboflow") if isinstance(config, dict) else None
        for part in (config, nested):
            for key in ("license", "licence"):
                if isinstance(part, dict) and isinstance(part.get(key), str) and part[key].strip():
                    yield Statement(_short(part[key]), image_id_of(file, root))


def _in_texts(root: Path) -> Iterator[Statement]:
    for file in sorted(root.iterdir()):
        if file.suffix.lower() not in _TEXT_SUFFIXES or not is_file(file):
            continue
        if _LICENCE_FILES.fullmatch(file.name):
            text = _head(file)
            if text.strip():
                yield Statement(_title(text), file.name)
        elif _README_FILES.fullmatch(file.name):
            text = _head(file)
            for match in (*_LINE.finditer(text), *_HEADING.finditer(text)):
                yield Statement(_short(match["text"]), file.name)


def _in_coco(documents: Sequence[Path], root: Path) -> Iterator[Statement]:
    for file in (d for d in documents if d.suffix.lower() == ".json"):
        text = _head(file, JSON_BYTES)
        match = _JSON_KEY.search(text)
        if match is None:
            continue
        try:
            listed, _ = json.JSONDecoder().raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        if names := _names(listed):
            yield Statement(_short("; ".join(names)), image_id_of(file, root))


def _names(listed: list[Any]) -> list[str]:
    entries = [item for item in listed if isinstance(item, dict)]
    named = [str(item.get("name") or item.get("url") or "") for item in entries]
    return list(dict.fromkeys(filter(None, named)))


def _head(file: Path, size: int = README_BYTES) -> str:
    return read_head(file, size).decode("utf-8", "replace").removeprefix("\ufeff")


def _title(text: str) -> str:
    """The short name of a licence text, or its first line."""
    found = [(m.start(), m.expand(name)) for title, name in _TITLES if (m := title.search(text[:4000]))]
    return min(found)[1] if found else _short(text.strip().splitlines()[0])


def _short(text: str) -> str:
    # What a dataset says reaches terminals and pages: letters only.
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    plain = " ".join(text.split()).strip("*_|` ")
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 3] + "..."
