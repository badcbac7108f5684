"""Class names in pictures: drawn in their own script where there is a font, else by number, said once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from yolograft.engine import lettering
from yolograft.engine.lettering import Lettering

NAMES = ("RBC", "红细胞", "血小板 (小)", "plaquette é")
needs_font = pytest.mark.skipif(not hasattr(cv2, "FontFace"), reason="OpenCV 4 has no outline fonts")


def ink(letters: Lettering, label: int) -> np.ndarray:
    canvas = np.zeros((40, 240, 3), np.uint8)
    letters.draw(canvas, label, 0.5, place=(4, 28), colour=(255, 128, 0))
    return canvas


@needs_font
def test_chinese_names_are_drawn():
    letters = Lettering(NAMES)
    assert letters.shown == NAMES and letters.warning == ""
    pictures = [ink(letters, k) for k in range(4)]
    assert all(p[..., 0].any() and not p[..., 2].any() for p in pictures)
    assert not np.array_equal(ink(Lettering(("红",)), 0), ink(Lettering(("?",)), 0))


@needs_font
def test_a_glyph_the_font_lacks_is_replaced_by_the_class_number():
    letters = Lettering(("a", "\U00020000"))
    assert letters.shown == ("a", "1") and "1 = \U00020000" in letters.warning


def test_without_a_font_numbers_are_drawn_and_said_once(monkeypatch):
    monkeypatch.setattr(lettering, "find_font", lambda: None)
    letters = Lettering(NAMES)
    assert letters.shown == ("RBC", "1", "2", "3")
    assert letters.warning.count("\n") == 0 and "1 = 红细胞" in letters.warning
    assert ink(letters, 1).any()
    assert Lettering(("RBC", "WBC")).warning == "" and Lettering(()).warning == ""


def test_an_opencv_without_outline_fonts_is_survived(monkeypatch):
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    assert lettering.find_font() is None
