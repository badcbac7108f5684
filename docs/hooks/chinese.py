"""Lines of Chinese text joined without a space, which a browser would otherwise show for a line break."""

from __future__ import annotations

import re
from typing import Any

FENCE = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
_CJK = "\u3000-\u303f\u4e00-\u9fff\uff00-\uffef"
# A heading is a line of its own, whatever follows it.
BREAK = re.compile(rf"^(?!#)(.*[{_CJK}])\n(?=[{_CJK}])", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with the line breaks inside its Chinese paragraphs removed."""
    parts = FENCE.split(markdown)
    parts[::2] = [_joined(text) for text in parts[::2]]
    return "".join(parts)


def _joined(text: str) -> str:
    # A match ends where the next line begins, so a paragraph of several lines takes several passes.
    while (shorter := BREAK.sub(r"\1", text)) != text:
        text = shorter
    return text
