"""Figures of the report as PDF: our own SVG, redrawn by matplotlib (extra ``figures``), text kept as text.

Fonts are embedded as outlines of Type 42, as publishers ask. Only what our figures are made of is read:
rect, line, circle, polyline, polygon, path with M L H V C Q q Z, text, and g that hands its attributes down.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

from yolograft.errors import MachineError

POINTS = 0.75  # a CSS pixel in points
FONTS = ("Helvetica", "Arial", "Liberation Sans", "DejaVu Sans")
CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "Noto Sans CJK JP",
    "Noto Serif CJK SC",
)
INHERITED = (
    "fill",
    "fill-opacity",
    "stroke",
    "stroke-opacity",
    "stroke-width",
    "stroke-dasharray",
    "font-size",
    "font-weight",
    "text-anchor",
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_STEP = re.compile(r"([MLHVCQqZ])([^MLHVCQqZ]*)")
_ROTATED = re.compile(r"rotate\((-?[\d.]+)")


def pdf_of(svg: str) -> bytes:
    """The figure ``svg``, as `svg.figure` makes it, as one PDF page of its size; ink is black.

    Raises:
        MachineError: matplotlib is missing (YG713).
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_pdf import FigureCanvasPdf
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MachineError(
            "YG713", "PDF figures need matplotlib", fix="install the extra: yolograft[figures]"
        ) from error
    root = ElementTree.fromstring(svg)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    # Without a date two runs of one study write equal files.
    about: dict[str, Any] = {"CreationDate": None, "Creator": None, "Producer": None}
    settings: Any = {
        "pdf.fonttype": 42,
        "font.family": _fonts(),
        "text.parse_math": False,
        "text.usetex": False,
    }
    with matplotlib.rc_context(settings):
        page = Figure(figsize=(width * POINTS / 72, height * POINTS / 72))
        FigureCanvasPdf(page)
        area = page.add_axes((0, 0, 1, 1), frameon=False)
        area.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
        for order, (name, attributes, content) in enumerate(_flat(root, {})):
            artist = _artist(name, attributes, content)
            if artist is not None:
                artist.set(zorder=order, clip_on=False)
                area.add_artist(artist)
        out = BytesIO()
        page.savefig(out, format="pdf", metadata=about, transparent=True)
    return out.getvalue()


def _fonts() -> list[str]:
    """Families that are installed here: one for Latin, then one that has Chinese."""
    from matplotlib.font_manager import fontManager

    known = set(fontManager.get_font_names())
    latin = next((name for name in FONTS if name in known), "DejaVu Sans")
    return [latin, *[name for name in CHINESE if name in known][:1]]


def _flat(
    element: ElementTree.Element, above: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, str], str]]:
    """Name, attributes with inherited ones, and text of every drawn element, in painting order."""
    handed = {key: value for key, value in above.items() if key in INHERITED}
    for child in element:
        name = child.tag.rpartition("}")[2]
        attributes = {**handed, **child.attrib}
        if name in ("g", "svg"):
            yield from _flat(child, attributes)
        else:
            yield name, attributes, "".join(child.itertext()) if name == "text" else ""


def _artist(name: str, a: Mapping[str, str], content: str) -> Any:
    from matplotlib.patches import Circle, PathPatch, Polygon
    from matplotlib.text import Text

    def at(key: str) -> float:
        return float(a.get(key, 0))

    if name == "text":
        turn = _ROTATED.match(a.get("transform", ""))
        return Text(
            at("x"),
            at("y"),
            content,
            color=_paint(a, "fill", "currentColor"),
            fontsize=at("font-size") * POINTS,
            fontweight="bold" if a.get("font-weight") in ("600", "700", "bold") else "normal",
            ha={"middle": "center", "end": "right"}.get(a.get("text-anchor", ""), "left"),
            va="baseline",
            rotation=-float(turn.group(1)) if turn else 0.0,
            rotation_mode="anchor",
        )
    style = _style(a, closed=name not in ("line", "polyline"))
    if name == "circle":
        return Circle((at("cx"), at("cy")), at("r"), **style)
    if name == "rect":
        return _box(at("x"), at("y"), at("width"), at("height"), at("rx"), style)
    if name == "line":
        return Polygon([(at("x1"), at("y1")), (at("x2"), at("y2"))], closed=False, **style)
    if name in ("polyline", "polygon"):
        values = [float(v) for v in _NUMBER.findall(a.get("points", ""))]
        pairs = list(zip(values[::2], values[1::2], strict=True))
        return Polygon(pairs, closed=name == "polygon", **style) if pairs else None
    return PathPatch(_path(a.get("d", "")), **style) if name == "path" else None


def _box(x: float, y: float, width: float, height: float, radius: float, style: Mapping[str, Any]) -> Any:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    radius = min(radius, width / 2, height / 2)
    if radius <= 0:
        return Rectangle((x, y), width, height, **style)
    inner = (x + radius, y + radius), width - 2 * radius, height - 2 * radius
    return FancyBboxPatch(*inner, boxstyle=f"round,pad={radius},rounding_size={radius}", **style)


def _path(data: str) -> Any:
    from matplotlib.path import Path

    points: list[tuple[float, float]] = []
    codes: list[Any] = []
    kinds = {"M": Path.MOVETO, "L": Path.LINETO, "C": Path.CURVE4, "Q": Path.CURVE3}
    for letter, numbers in _STEP.findall(data):
        values = [float(v) for v in _NUMBER.findall(numbers)]
        if letter == "Z":
            points.append(points[-1])
            codes.append(Path.CLOSEPOLY)
        elif letter in "HV":
            x, y = points[-1]
            points += [(v, y) if letter == "H" else (x, v) for v in values]
            codes += [Path.LINETO] * len(values)
        else:
            x, y = points[-1] if letter == "q" else (0.0, 0.0)
            pairs = [(x + dx, y + dy) for dx, dy in zip(values[::2], values[1::2], strict=True)]
            points += pairs
            # What follows the first pair of an M is a line to it.
            codes += [
                Path.LINETO if letter == "M" and i else kinds[letter.upper()] for i in range(len(pairs))
            ]
    return Path(points, codes)


def _style(a: Mapping[str, str], *, closed: bool) -> dict[str, Any]:
    dash = [float(v) * POINTS for v in _NUMBER.findall(a.get("stroke-dasharray", ""))]
    return {
        "facecolor": _paint(a, "fill", "currentColor" if closed else "none"),
        "edgecolor": _paint(a, "stroke", "none"),
        "linewidth": float(a.get("stroke-width", 1)) * POINTS,
        "linestyle": (0, dash) if dash else "solid",
        "capstyle": "butt",
    }


def _paint(a: Mapping[str, str], key: str, otherwise: str) -> tuple[str, float]:
    # A colour of the page, such as var(--paper, #FFFFFF), has its own fallback.
    colour = a.get(key, otherwise).rpartition(", ")[2].rstrip(")")
    if colour == "none":
        return ("#000000", 0.0)
    return ("#000000" if colour == "currentColor" else colour, float(a.get(f"{key}-opacity", 1)))
