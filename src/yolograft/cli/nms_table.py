"""``eval RUN --nms A,B``: what it asks for, and the table it answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from yolograft.cli.terminal import plain_table, say
from yolograft.errors import SpecError

if TYPE_CHECKING:
    from yolograft.study.suppressions import Asked

_COLUMNS = (("AP50", "ap50"), ("AP", "ap"), ("AP_S", "ap_s"), ("AP_M", "ap_m"), ("AP_L", "ap_l"))


@Parameter(name="*")
@dataclass(frozen=True)
class Reading:
    """How raw predictions are read.

    Parameters
    ----------
    nms
        Suppression: hard, soft, diou, weighted, adaptive, adaptive_free, cluster or matrix, with options as
        soft:method=linear,iou=0.3. Several, joined by commas, are compared on the same raw predictions.
    scales
        Input sizes, S,S: candidates of all are merged and compared with the plain size.
    calibrate_levels
        Split on which the scores of the pyramid's levels are made comparable; not the one evaluated.
    """

    nms: str = "hard"
    scales: str | None = None
    calibrate_levels: str | None = None

    def asked(self, stride: int) -> Asked:
        """What is asked for, read and checked.

        Raises:
            SpecError: YG371, YG372 for ``--nms``, YG373 for ``--scales``.
        """
        from yolograft.ops.suppression.table import read_suppressions
        from yolograft.study.suppressions import Asked

        sizes = _sizes(self.scales, stride) if self.scales is not None else ()
        return Asked(read_suppressions(self.nms), sizes, self.calibrate_levels)


def _sizes(text: str, stride: int) -> tuple[tuple[int, int], ...]:
    sides = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if len(sides) < 2 or len(set(sides)) < len(sides) or any(side < 1 or side % stride for side in sides):
        raise SpecError("YG373", f"--scales {text}", fix=f"two or more sizes, multiples of {stride}: 320,416")
    return tuple((side, side) for side in sides)


def say_comparison(result: Mapping[str, Any]) -> None:
    """Print the table of `compare_suppressions` and what its intervals mean."""
    rows = result["rows"]
    heads = ("", *(head for head, _ in _COLUMNS), "AP - first", "AP50 - first", "ms")
    plain_table(
        heads,
        [
            (
                _label(row),
                *(row[key] for _, key in _COLUMNS),
                _interval(row, "ap"),
                _interval(row, "ap50"),
                row["ms"],
            )
            for row in rows
        ],
    )
    if result["offsets"]:
        say(f"offsets of the levels, logits: {', '.join(f'{b:+.2f}' for b in result['offsets'])}")
    say(f"{_of_intervals(result)} ms: suppression alone, median image, this CPU")


def _of_intervals(result: Mapping[str, Any]) -> str:
    from yolograft.study.statistics.compare import FEWEST_UNITS

    level, groups = f"{100 * result['level']:.4g} %", result["groups"]
    if (groups or result["images"]) < FEWEST_UNITS:
        return f"no intervals: fewer than {FEWEST_UNITS} {'groups of images' if groups else 'images'}."
    drawn = f"groups of images like these {groups}" if groups else f"images like these {result['images']}"
    apart = "" if groups else ", images taken as independent"
    return (
        f"intervals: {level} each, 95 % together, for new {drawn} under these weights{apart}; they say "
        "nothing about other training runs."
    )


def _label(row: Mapping[str, Any]) -> str:
    sizes = "+".join(str(h) if h == w else f"{h}x{w}" for h, w in row["sizes"])
    return f"{row['nms']} @{sizes}" + (" calibrated" if row["calibrated"] else "")


def _interval(row: Mapping[str, Any], key: str) -> str:
    found = row.get("difference", {}).get(key)
    if not found:
        return "-"
    if found["low"] is None:
        return f"{found['delta']:+.2f}"
    return f"{found['delta']:+.2f} [{found['low']:+.2f}, {found['high']:+.2f}]"
