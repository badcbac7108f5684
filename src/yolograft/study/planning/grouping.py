"""Images that belong together: frames of one video, photographs of one place, patches of one slide.

Fifty frames of one video say less about new videos than fifty videos do. With groups, the spread over images
is the spread over groups, and fewer than 20 of them carry a verdict on this evaluation split only.

A rule is one of

    folder      the folder an image lies in
    prefix:8    the first 8 characters of its file name
    prefix:_    its file name up to the last "_" (any text without "/": "prefix:_frame")
    FILE.csv    a table with the columns image,group; image is the path in the dataset, or the file name
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from yolograft.data.records import ImageRecord
from yolograft.errors import DataError, StudyError

#: With fewer groups than this, a verdict speaks of this evaluation split only.
FEWEST_GROUPS = 20
_LARGEST_TABLE = 64 * 2**20
RULES = "folder, prefix:8, prefix:_ or FILE.csv"


def group_images(records: Sequence[ImageRecord], rule: str) -> tuple[str, ...]:
    """The name of the group of every image, in order.

    Raises:
        StudyError: no rule of ours, or one that puts all images into one group (YG640).
        DataError: the table cannot be read, or says nothing or two things of an image (YG641).
    """
    name_of = _reader(rule)
    names = tuple(name_of(record.image_id) for record in records)
    if len(set(names)) < 2:
        cause = f"--group {rule} puts all {len(names)} images into one group"
        raise StudyError("YG640", cause, fix=f"rules: {RULES}; leave it out where images stand alone")
    return names


def group_facts(records: Sequence[ImageRecord], rule: str) -> dict[str, Any]:
    """For the manifest: the rule and the number of every image's group, so that no file is needed again.

    ``of``: numbers from 0 in order of first appearance, in one string so that the file stays short.
    """
    if not rule:
        return {"group": None, "groups": None}
    names = group_images(records, rule)
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    shown = Path(rule).name if _is_table(rule) else rule
    of = " ".join(str(number[name]) for name in names)
    return {"group": shown, "groups": {"count": len(number), "of": of}}


def groups_of(manifest: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The group number of every evaluation image of a study, in the split's order; None without groups.

    Raises:
        StudyError: the manifest's numbers are none (YG640).
    """
    facts = manifest.get("groups")
    if not facts:
        return None
    try:
        numbers = tuple(int(word) for word in str(facts["of"]).split())
    except (KeyError, TypeError, ValueError):
        numbers = ()
    if not numbers or sorted(set(numbers)) != list(range(max(numbers) + 1)):
        raise StudyError("YG640", "the manifest's image groups cannot be read")
    return numbers


def group_line(facts: Mapping[str, Any], images: int) -> str:
    """One line: how many groups the images make, and what too few mean; empty without groups."""
    if not facts.get("groups"):
        return ""
    count = facts["groups"]["count"]
    line = f"{images} evaluation images in {count} groups ({facts['group']})"
    few = f": fewer than {FEWEST_GROUPS}, verdicts speak of this evaluation split only"
    return line + (few if count < FEWEST_GROUPS else "")


def _reader(rule: str) -> Callable[[str], str]:
    word, colon, rest = rule.partition(":")
    if rule == "folder":
        return lambda image_id: str(PurePosixPath(image_id).parent)
    if word == "prefix" and colon and rest and "/" not in rest:
        return _prefix(rest)
    if _is_table(rule):
        return _table(Path(rule))
    raise StudyError("YG640", f"--group {rule} is no rule for groups", fix=f"rules: {RULES}")


def _is_table(rule: str) -> bool:
    return rule.lower().endswith(".csv")


def _prefix(rest: str) -> Callable[[str], str]:
    if rest.isascii() and rest.isdecimal() and int(rest) > 0:
        return lambda image_id: PurePosixPath(image_id).name[: int(rest)]
    # The last separator: what stands behind it is the number of the frame.
    return lambda image_id: PurePosixPath(image_id).stem.rpartition(rest)[0] or PurePosixPath(image_id).name


def _table(path: Path) -> Callable[[str], str]:
    groups = _read_table(path)

    def name_of(image_id: str) -> str:
        found = groups.get(image_id, groups.get(PurePosixPath(image_id).name))
        if found is None:
            raise DataError(
                "YG641", f"no group for image {image_id}", where=str(path), fix="add a row for it"
            )
        return found

    return name_of


def _read_table(path: Path) -> dict[str, str]:
    groups: dict[str, str] = {}
    try:
        if path.stat().st_size > _LARGEST_TABLE:
            raise DataError("YG641", "the table of groups is over 64 MiB", where=str(path))
        # utf-8-sig: spreadsheets put a mark in front.
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                image, group = (row.get("image") or "").strip(), (row.get("group") or "").strip()
                if not image or not group:
                    cause = "a row without image or group; the first line must be image,group"
                    raise DataError("YG641", cause, where=str(path))
                if groups.setdefault(image, group) != group:
                    raise DataError("YG641", f"image {image} stands in two groups", where=str(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("YG641", f"cannot read the table of groups: {error}", where=str(path)) from error
    return groups
