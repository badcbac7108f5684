"""Reads a report back: nesting, text, figures as XML, and nothing loaded from outside."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Checks nesting and collects text, tags, attributes and the SVG sources."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def checked(page: str) -> Page:
    """Parse `page`; every svg in it is XML, no coordinate is nan and nothing is loaded from outside."""
    parsed = Page(page)
    for svg in top_level_svgs(page):
        for element in ElementTree.fromstring(svg).iter():
            for value in element.attrib.values():
                assert not re.search(r"(?<![a-z])(nan|inf)(?![a-z])", value), value
    for tag, attributes in parsed.tags:
        assert tag not in ("script", "link", "iframe", "object")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                assert value and value.startswith(("data:image/jpeg;base64,", "#")), value
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style and "@import" not in style
    return parsed


def top_level_svgs(page: str) -> list[str]:
    """Sources of the outermost svg elements."""
    found, depth, start = [], 0, 0
    for match in re.finditer(r"<svg\b[^>]*?(/?)>|</svg>", page):
        if match.group().startswith("</"):
            depth -= 1
            if depth == 0:
                found.append(page[start : match.end()])
        elif not match.group(1):
            start = match.start() if depth == 0 else start
            depth += 1
    assert depth == 0
    return found


def value_of(shown: str) -> float:
    """A number as the report writes it."""
    return float(shown.replace("−", "-").replace(",", "").replace("+", ""))
