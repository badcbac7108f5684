"""Class names drawn into pixels, in whatever script they are written.

OpenCV 5 brings outline fonts with Latin, Chinese, Japanese and Korean glyphs; OpenCV 4 draws ASCII only.
A name that cannot be drawn is replaced by its class number, and said once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from yolograft.data.images import Image

UNICODE_FONT = "uni"
SIZE = 14  # pixels, of an outline font
# Hershey letters of this scale are about as high as outline ones of `SIZE`.
HERSHEY_SCALE = 0.4


def find_font() -> Any | None:
    """OpenCV's Unicode font, or None where this OpenCV has none."""
    if not hasattr(cv2, "FontFace"):
        return None
    try:
        return cv2.FontFace(UNICODE_FONT)
    except cv2.error:
        return None


class Lettering:
    """Draws captions with the class names it was made for.

    warning: one line when some names are shown by number, else empty.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.font = find_font()
        self.shown = tuple(n if self._can_draw(n) else str(k) for k, n in enumerate(names))
        lost = [f"{k} = {n}" for k, n in enumerate(names) if self.shown[k] != n]
        listed = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
        self.warning = f"no font here for some class names, pictures show numbers: {listed}" if lost else ""

    def draw(
        self, canvas: Image, label: int, score: float, *, place: tuple[int, int], colour: tuple[int, int, int]
    ) -> None:
        """Write `name score` into ``canvas``, lower left corner at ``place`` (x, y), in RGB ``colour``."""
        text = f"{self.shown[label]} {score:.2f}"
        if self.font is not None:
            cv2.putText(canvas, text, place, colour, self.font, SIZE)
        else:
            cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, HERSHEY_SCALE, colour, 1, cv2.LINE_AA)

    def _can_draw(self, name: str) -> bool:
        if name.isascii():
            return True
        # A glyph the font lacks is drawn as a question mark.
        missing = _ink("?", self.font) if self.font is not None else None
        return missing is not None and not any(
            np.array_equal(_ink(c, self.font), missing) for c in set(name) if not c.isspace()
        )


def _ink(character: str, font: Any) -> Image:
    canvas = np.zeros((3 * SIZE, 3 * SIZE, 3), np.uint8)
    cv2.putText(canvas, character, (SIZE // 2, 2 * SIZE), (255, 255, 255), font, SIZE)
    return canvas
