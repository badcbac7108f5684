"""What of a run needs the ground-truth boxes, kept beside its match table: error bins and overlap of boxes.

A match table knows how many boxes an image holds, not where they are; with this file beside it every row of
`study.where` recomputes without the data set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolograft.data.records import ImageRecord
from yolograft.errors import DataError
from yolograft.metrics.detections import DetectionTable, read_archive, write_archive
from yolograft.metrics.matches import MatchTable
from yolograft.metrics.tide import BINS, ErrorBin, error_bins
from yolograft.study.where.crowding import closest_overlap

PARTS = "parts.npz"
_KIND = "parts"


@dataclass(frozen=True, slots=True, eq=False)
class KeptParts:
    """bins: of the run, their tables left out. overlap: `closest_overlap` of the split, float64 [images]."""

    bins: tuple[ErrorBin, ...]
    overlap: NDArray[np.float64]


def keep_parts(
    folder: Path, records: Sequence[ImageRecord], table: DetectionTable, matches: MatchTable
) -> None:
    """Write ``parts.npz`` of one run into its folder, whole or not at all.

    Raises:
        DataError: YG363 when the tables and the records are not of the same split or class list.
    """
    bins = error_bins(records, table, matches.num_classes, matches=matches)
    gains = [found.gain if math.isfinite(found.gain) else None for found in bins]
    about = {"names": [b.name for b in bins], "counts": [b.count for b in bins], "gains": gains}
    arrays = {
        # 32 bits: the seventh digit of an influence is far below the noise of any interval.
        "influence": np.stack([found.influence for found in bins]).astype(np.float32),
        "overlap": closest_overlap(records).astype(np.float32),
    }
    write_archive(folder / PARTS, kind=_KIND, about=about, arrays=arrays)


def read_parts(folder: Path, *, images: int) -> KeptParts | None:
    """The parts kept in a run's folder; None where none were kept.

    Raises:
        DataError: YG362, the file is damaged or of a split with another number of images.
    """
    path = folder / PARTS
    if not path.exists():
        return None
    about, arrays = read_archive(path, kind=_KIND, names=("influence", "overlap"))
    try:
        psi, overlap = (arrays[name].astype(np.float64) for name in ("influence", "overlap"))
        if psi.shape != (len(BINS), images) or overlap.shape != (images,):
            raise ValueError(f"shapes {psi.shape} and {overlap.shape} for {images} images")
        if tuple(about["names"]) != BINS:
            raise ValueError("other kinds of error")
        gains = [math.nan if gain is None else float(gain) for gain in about["gains"]]
        rows = zip(BINS, about["counts"], gains, psi, strict=True)
        bins = tuple(ErrorBin(name, int(count), gain, own, None) for name, count, gain, own in rows)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError("YG362", f"this parts table is damaged: {error}", where=str(path)) from error
    return KeptParts(bins, overlap)
