"""Formulas of the documentation as MathML, made when the site is built: no script, no network.

`$$ ... $$` on lines of its own is a displayed formula, `$...$` an inline one; code is left alone.
"""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert

CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
DISPLAYED = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
INLINE = re.compile(r"(?<![\\$])\$([^$\n]+?)\$")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with its formulas replaced."""
    parts = CODE.split(markdown)
    parts[::2] = [_formulas(text) for text in parts[::2]]
    return "".join(parts)


def _formulas(text: str) -> str:
    text = DISPLAYED.sub(lambda found: _block(convert(found[1].strip(), display="block")), text)
    return INLINE.sub(lambda found: convert(found[1].strip()), text)


def _block(formula: str) -> str:
    """A box of its own, so that a formula wider than the page scrolls by itself."""
    return f'<div class="formula">{formula}</div>'
