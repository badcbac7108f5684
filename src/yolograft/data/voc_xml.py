"""One Pascal VOC annotation file, with the line of every object.

Source of the layout: the VOC2012 development kit documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from yolograft.data.records import Finding
from yolograft.data.text import read_xml
from yolograft.errors import DataError


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


def parse_xml(path: Path, *, file: str = "", found: list[Finding] | None = None) -> VocFile:
    """Read one annotation file with the line of every object.

    Only direct children count, so the boxes of <part> inside an <object> are not taken for objects. A
    document type is read over and its file never opened.

    Args:
        file: the file as findings name it.
        found: where findings are added.

    Raises:
        DataError: YG307 when the text is in no known encoding, YG308 when the XML is not well formed or
            declares entities, which can grow without bound or pull in other files.
    """
    text_of_file = read_xml(path, file=file, found=found)
    result = VocFile()
    trail: list[str] = []
    text: list[str] = []
    parser = expat.ParserCreate("utf-8")
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
        # The text is decoded before, for expat knows no encoding of several bytes but UTF-8 and UTF-16.
        parser.Parse(text_of_file.encode("utf-8"), True)
    except expat.ExpatError as error:
        cause = f"XML that is not well formed: {expat.ErrorString(error.code)}"
        raise DataError("YG308", cause, where=f"{path}:{error.lineno}") from None
    return result
