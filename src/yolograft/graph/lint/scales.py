"""Is the table of scales the family's own, and in its order: depth, width, max_channels?"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from yolograft.graph.dialect.indexfile import IndexFile, Scale
from yolograft.graph.lint.finding import Finding

# As published with the families.
SCALES: dict[str, dict[str, tuple[float, float, float]]] = {
    "yolov5": {
        **{"n": (0.33, 0.25, inf), "s": (0.33, 0.50, inf), "m": (0.67, 0.75, inf)},
        **{"l": (1.00, 1.00, inf), "x": (1.33, 1.25, inf)},
    },
    "yolov8": {
        **{"n": (0.33, 0.25, 1024), "s": (0.33, 0.50, 1024), "m": (0.67, 0.75, 768)},
        **{"l": (1.00, 1.00, 512), "x": (1.00, 1.25, 512)},
    },
}
FEWEST_CHANNELS = 64


def lint_scales(file: IndexFile, line: int = 0) -> Iterator[Finding]:
    """Multiples that are swapped, another family's, or out of order (YG160)."""
    own = SCALES.get(file.family, {})
    for name, scale in file.scales.items():
        if finding := _judged(file, own, name, scale, line):
            yield finding


def _judged(
    file: IndexFile, own: dict[str, tuple[float, float, float]], name: str, scale: Scale, line: int
) -> Finding | None:
    pair = (scale.depth, scale.width)
    values: dict[str, object] = {
        **{"scale": name or "depth_multiple, width_multiple", "depth": f"{scale.depth:g}"},
        **{"width": f"{scale.width:g}", "most": f"{scale.max_channels:g}", "family": file.family},
    }
    if scale.max_channels < FEWEST_CHANNELS or scale.depth > 8 or scale.width > 8:
        return Finding("YG160", "scale_order", line, values)
    published = own.get(name)
    if published and pair == (published[1], published[0]) and pair[0] != pair[1]:
        swapped = {"right": f"{published[0]:g}, {published[1]:g}"}
        return Finding("YG160", "scale_swapped", line, {**values, **swapped})
    for family, table in SCALES.items():
        for other, (depth, width, _) in table.items():
            foreign = family != file.family and pair == (depth, width) and name in ("", other)
            if foreign and all(pair != row[:2] for row in own.values()):
                home = own[other]
                right = {"right": f"{home[0]:g}, {home[1]:g}", "other": f"{family}{other}"}
                return Finding("YG160", "scale_foreign", line, {**values, **right})
    if file.family == "yolov8" and name == "" and scale.max_channels == inf and len(file.scales) == 1:
        for other, (depth, width, most) in own.items():
            if pair == (depth, width) and most < 1024:
                capped = {"most": f"{most:g}", "other": f"{file.family}{other}"}
                return Finding("YG160", "scale_uncapped", line, {**values, **capped})
    return None
