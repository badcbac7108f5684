"""Maps of one image side by side: a row an arm, the class activation first, then the gain of every graft."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolograft.data.images import Image
from yolograft.engine.heat import viridis
from yolograft.study.report.gallery import embedded
from yolograft.study.report.maps import MapPanel
from yolograft.study.report.notation import decimal
from yolograft.study.report.reading import Arm
from yolograft.study.report.svg import figure, fit, tag, text
from yolograft.study.report.wording import Wording

PANEL, GAP, TITLE, FOOT = 250.0, 14.0, 24.0, 30.0
MAX_HEIGHT = 300.0
BAR = 8.0


def map_figure(panels: Sequence[MapPanel], arms: Sequence[Arm], *, words: Wording) -> str:
    """The maps of one image, drawn as the report shows them; an empty string without any."""
    shown = [(arm, [p for p in panels if p.arm == arm.label]) for arm in arms]
    shown = [(arm, own) for arm, own in shown if own]
    if not shown:
        return ""
    height, width = panels[0].pixels.shape[:2]
    scale = min(PANEL / width, MAX_HEIGHT / height)
    size = (width * scale, height * scale)
    parts: list[str] = []
    columns = max(len(own) for _, own in shown)
    y = 0.0
    for arm, own in shown:
        parts.append(
            text(
                0,
                y + 15,
                fit(arm.label, columns * (PANEL + GAP), 13),
                size=13,
                fill=arm.colour,
                font_weight=600,
            )
        )
        y += TITLE
        for i, panel in enumerate(own):
            parts.append(_drawn(panel, (i * (PANEL + GAP), y), size, words))
        y += size[1] + FOOT + GAP
    return figure(columns * (PANEL + GAP) - GAP, y - GAP, *parts, label=words("maps"))


def _drawn(panel: MapPanel, place: tuple[float, float], size: tuple[float, float], words: Wording) -> str:
    x, y = place
    href = embedded(panel.pixels)
    parts = [tag("image", href=href, x=x, y=y, width=size[0], height=size[1], preserveAspectRatio="none")]
    below = y + size[1]
    if panel.kind == "activation":
        title, low, high = words("map_activation"), words("map_low"), words("map_high")
    else:
        title, low, high = words("map_gain", layer=panel.layer), decimal(panel.low, 2), decimal(panel.high, 2)
    parts.append(text(x, below + 14, fit(title, size[0], 11), size=11, fill_opacity=0.8))
    left, right = x + 34.0, x + size[0] - 34.0
    bar = {"width": right - left, "height": BAR, "preserveAspectRatio": "none"}
    parts.append(tag("image", href=embedded(_ramp()), x=left, y=below + 20, **bar))
    parts.append(text(left - 5, below + 28, low, size=10, text_anchor="end", fill_opacity=0.68))
    parts.append(text(right + 5, below + 28, high, size=10, fill_opacity=0.68))
    return "".join(parts)


def _ramp() -> Image:
    """The colours of the maps from low to high, as a narrow picture."""
    return viridis(np.tile(np.arange(256, dtype=np.uint8), (8, 1)))
