"""Hand-written SVG: escaped elements, text that fits, scales with round ticks, one palette.

Every function returns a string and touches nothing else. Ink is `currentColor`, so a figure follows a light
or dark page and still stands alone when it is copied out of the report.
Palette: Okabe and Ito, "Color Universal Design", 2008 (https://jfly.uni-koeln.de/color/);
its yellow is too light for lines, wine and olive from Paul Tol's "muted" scheme come last instead.
"""

from __future__ import annotations

import html
import math
import unicodedata
from dataclasses import dataclass

from yolograft.study.holes import writable

BASELINE = "#7A7A7A"
# As many as the arms of a large study: where rows are told apart by colour alone, none may come twice.
ARM_COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933"),
    *("#6A51A3", "#8C510A", "#7FBC41", "#FF6F91"),
)
CLASS_COLOURS = ("#E69F00", "#56B4E9", "#F0E442", "#009E73", "#CC79A7", "#D55E00", "#0072B2")
BOLD = 1.1  # how much wider bold text is than `text_width` says
FONT = "system-ui, 'Segoe UI', Helvetica, Arial, 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif"
ELLIPSIS = "…"
NARROW = 0.6  # width of a character that is not wide, in ems

Attribute = str | float | int | None


def esc(value: object) -> str:
    """`value` as text that is safe in HTML and XML, in element content and in quoted attributes."""
    text = writable(str(value))
    # XML 1.0 allows no control characters but these three, escaped or not; U+FFFE and U+FFFF neither.
    kept = (c for c in text if c in "\t\n\r" or (ord(c) >= 32 and c not in "\x7f\ufffe\uffff"))
    return html.escape("".join(kept), quote=True)


def coordinate(value: float) -> str:
    """A coordinate with at most two decimals and no trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def tag(name: str, *children: str, **attributes: Attribute) -> str:
    """One element. `children` are markup already; attribute values are escaped; `_` in a name means `-`."""
    parts = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        shown = coordinate(value) if isinstance(value, float) else str(value)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{esc(shown)}"')
    inside = "".join(children)
    return f"<{' '.join(parts)}>{inside}</{name}>" if inside else f"<{' '.join(parts)}/>"


def figure(width: float, height: float, *children: str, label: str) -> str:
    """The `<svg>` root in user units of one CSS pixel at full size; `label` is read by screen readers."""
    title = tag("title", esc(label))
    return tag(
        "svg",
        title,
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
        width=coordinate(width),
        height=coordinate(height),
        role="img",
        aria_label=label,
        font_family=FONT,
        fill="currentColor",
    )


def text(x: float, y: float, content: str, *, size: float = 12.0, **attributes: Attribute) -> str:
    """One line of text with its baseline at (x, y)."""
    return tag("text", esc(content), x=float(x), y=float(y), font_size=float(size), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: Attribute) -> str:
    """A straight line in ink unless `stroke` says otherwise."""
    attributes.setdefault("stroke", "currentColor")
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), **attributes)


def dot(x: float, y: float, radius: float, *children: str, **attributes: Attribute) -> str:
    """A filled circle."""
    return tag("circle", *children, cx=float(x), cy=float(y), r=float(radius), **attributes)


def rect(x: float, y: float, width: float, height: float, *children: str, **attributes: Attribute) -> str:
    """A rectangle; sizes below zero are drawn as zero."""
    size = {"width": float(max(width, 0.0)), "height": float(max(height, 0.0))}
    return tag("rect", *children, x=float(x), y=float(y), **size, **attributes)


def text_width(content: str, size: float) -> float:
    """Estimated width of `content`: wide East Asian characters count one em, others `NARROW`."""
    return size * sum(1.0 if unicodedata.east_asian_width(c) in "WF" else NARROW for c in content)


def fit(content: str, width: float, size: float) -> str:
    """`content`, or both its ends around an ellipsis where it is wider than `width`.

    Labels of arms often begin alike and differ in their last letters.
    """
    if text_width(content, size) <= width:
        return content
    # No more than this many of the narrowest fit, however long the label is.
    most = min(len(content) - 1, int(width / (NARROW * size)))
    for kept in range(most, 0, -1):
        shown = content[: kept - kept // 2] + ELLIPSIS + content[len(content) - kept // 2 :]
        if text_width(shown, size) <= width:
            return shown
    return ELLIPSIS


def on_colour(colour: str) -> str:
    """Black or white, whichever has the higher WCAG contrast on `colour` (#rrggbb)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#FFFFFF" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000000"


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps data [low, high] to figure units [start, end]; base 10 logarithmic when `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Position of `value`; values outside [low, high] land outside [start, end]."""
        low, high, here = self.low, self.high, value
        if self.log:
            low, high, here = math.log10(low), math.log10(high), math.log10(max(value, 1e-300))
        return self.start + (here - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """About `count` round values inside [low, high]."""
        return _log_ticks(self.low, self.high) if self.log else _round_ticks(self.low, self.high, count)


def interval_mark(
    scale: Scale,
    y: float,
    value: float,
    ends: tuple[float | None, float | None],
    *,
    colour: str,
    size: float = 5.0,
) -> str:
    """A value as a dot on its interval with caps of ``size``; hollow where the interval is not known."""
    low, high = ends
    if low is None or high is None:
        return dot(scale.at(value), y, size, fill="none", stroke=colour, stroke_width=2)
    style = {"stroke": colour, "stroke_width": size / 2}
    start, end = scale.at(low), scale.at(high)
    caps = (line(x, y - size, x, y + size, **style) for x in (start, end))
    return "".join((line(start, y, end, y, **style), *caps, dot(scale.at(value), y, size + 0.5, fill=colour)))


def tick_places(ticks: list[float]) -> int:
    """The fewest decimals, at most four, that write every tick exactly."""
    return next((n for n in range(4) if all(abs(round(t, n) - t) < 1e-9 for t in ticks)), 4)


def padded(values: list[float], *, share: float = 0.06, least: float = 1.0) -> tuple[float, float]:
    """Range of `values` widened by `share` on each side and to at least `least`; (0, 1) when empty."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    lack = max(least - (high - low), 0.0) / 2
    pad = (high - low + 2 * lack) * share
    return low - lack - pad, high + lack + pad


def _round_ticks(low: float, high: float, count: int) -> list[float]:
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10.0**d for d in decades for m in (1, 2, 5) if low * 0.999 <= m * 10.0**d <= high * 1.001]


def spread(positions: list[float], gap: float, *, low: float, high: float) -> list[float]:
    """`positions` moved apart to at least `gap`, kept in order and, where it fits, inside [low, high]."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    placed = [0.0] * len(positions)
    previous = -math.inf
    for i in order:
        previous = placed[i] = max(positions[i], previous + gap, low)
    ceiling = high
    for i in reversed(order):
        if placed[i] <= ceiling:
            break
        placed[i] = ceiling
        ceiling -= gap
    return placed
