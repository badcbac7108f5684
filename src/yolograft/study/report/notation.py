"""How the report writes numbers: true minus signs, no negative zero, an en dash for what is unknown."""

from __future__ import annotations


def decimal(value: float | None, places: int = 1) -> str:
    """A number with `places` decimals, a true minus sign and no negative zero; an en dash for None."""
    if value is None:
        return "–"
    shown = f"{value:,.{places}f}"
    if not any(c in "123456789" for c in shown):
        shown = shown.lstrip("-")
    return shown.replace("-", "−")


def signed(value: float | None, places: int = 1) -> str:
    """Like `decimal`, with a plus sign on what is shown above zero."""
    shown = decimal(value, places)
    positive = value is not None and value > 0 and any(c in "123456789" for c in shown)
    return f"+{shown}" if positive else shown


def interval(low: float | None, high: float | None, *, places: int = 1) -> str:
    """`[low, high]`, or an empty string when an end is missing."""
    return "" if low is None or high is None else f"[{signed(low, places)}, {signed(high, places)}]"


def percent(level: float | None) -> str:
    """A confidence level such as 0.95 as `95 %`; 95 % when it is not stated."""
    return f"{100 * (0.95 if level is None else level):.4g} %"


def duration(seconds: float | None) -> str:
    """A time span as `45 s`, `2 min 30 s` or `1 h 05 min`; an en dash for None."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if seconds >= 10 else f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
