"""One finished run in at most 60 KB: all that a verdict rests on, to be committed and judged anywhere.

A record holds the scores, the influence of every image on AP (AP points; see `metrics.influence`) and, while
the file stays small, the match table from which both recompute. What had to be left out stands in the
record. Influences keep 64 bits up to 2,000 images and 32 up to 8,000; beyond, images are folded into that
many blocks, which are then the units drawn (Cochran 1977, "Sampling Techniques", on replicated samples).

A record may come from a stranger: it is read within bounds, and every field is checked.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.engine.arm import DIVERGED, DONE
from yolograft.errors import DataError, StudyError
from yolograft.graph.expr import folder_name
from yolograft.metrics.archive import read_bounded
from yolograft.metrics.detections import write_archive
from yolograft.metrics.influence import grouped, influence
from yolograft.metrics.matches import PACKED, MatchTable, average_precision
from yolograft.study.holes import number

RECORD = "record.npz"
MOST_BYTES = 60_000
IMAGES, GROUPS, BLOCKS = "images", "groups", "blocks of images"
_KIND, _VERSION = "run record", 1
_EXACT_UNITS, _MOST_UNITS = 2_000, 8_000
# Rows of a match table, and bytes of all arrays: far more than 60 KB of a real table hold.
_MOST_ROWS, _MOST_UNPACKED = 100_000, 8_000_000
# Far above the largest sets there are: what a record claims is computed over when it is checked.
_MOST_IMAGES, _MOST_CLASSES = 1_000_000, 10_000
# AP is computed twice in other orders of summing; influences are rounded to 32 bits.
_SAME_AP, _ROUNDED = 1e-6, 1e-5
_MEMBER_BYTES = 260  # of one member in a zip beside its data: two headers and the array's own
_TEXTS = ("label", "model", "expression", "spec_sha256", "recipe_sha256", "checkpoint_sha256", "units")
_FACTS = (*_TEXTS, "baseline", "seed", "status", "data", "scores", "dropped")
_NUMBERS = ("ap", "ap50", "ap75", "ap_s", "ap_m", "ap_l", "p", "r", "f1")
# What of the scores is left out, in this order, where they alone are too long; no verdict rests on it.
_SPARE = ("confusion", "curves", "history", "per_class")


@dataclass(frozen=True, slots=True, eq=False)
class PackedMatches:
    """A match table as a file keeps it. about: images, num_classes, fingerprint. arrays: as `PACKED`."""

    about: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, table: MatchTable) -> PackedMatches:
        """The table, packed."""
        about = {"images": table.images, "num_classes": table.num_classes}
        return cls(about | {"fingerprint": table.fingerprint}, table.to_arrays())

    def unfolded(self) -> MatchTable:
        """The table; DataError YG362 where the arrays do not belong together."""
        return MatchTable.from_arrays(self.about, self.arrays)


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """One run of one arm.

    status: ``done`` or ``diverged``. data: fingerprints of ``train`` and ``eval``. checkpoint_sha256: of its
    last weights, empty where they were not kept. scores: as `scores.json`. influence: float64 [units], AP
    points, sum 0; None where no match table was kept. units: what its entries are. matches: the match table,
    or ``packed``: the same as a file holds it; see `table`. dropped: what was left out for size.
    """

    label: str
    model: str
    expression: str
    baseline: bool
    seed: int
    status: str
    spec_sha256: str
    recipe_sha256: str
    checkpoint_sha256: str
    data: Mapping[str, str]
    scores: Mapping[str, Any]
    influence: NDArray[np.float64] | None = None
    units: str = IMAGES
    matches: MatchTable | None = None
    packed: PackedMatches | None = None
    dropped: tuple[str, ...] = field(default=())

    def table(self) -> MatchTable | None:
        """The match table, unfolded anew where the record keeps it packed: it takes fifty times the room."""
        return self.matches if self.packed is None else self.packed.unfolded()

    def drawn(self, groups: Sequence[int] | None = None) -> NDArray[np.float64] | None:
        """Influences of the units that are drawn, AP points: of ``groups`` [images] where the study has them.

        Raises:
            StudyError: the groups are those of another split (YG630).
        """
        if self.influence is None or groups is None or self.units == GROUPS:
            return self.influence
        if self.units != IMAGES or len(groups) != len(self.influence):
            cause = f"groups of {len(groups)} images, influences of {len(self.influence)} {self.units}"
            raise StudyError("YG630", f"{self.label} seed {self.seed}: {cause}")
        return grouped(self.influence, np.asarray(groups))

    def save(self, path: Path) -> RunRecord:
        """Write the record to ``path``, whole or not at all, in at most 60,000 bytes.

        The match table is left out first, then spare parts of the scores.

        Returns:
            the record as it was written.
        """
        kept, arrays = self, self._arrays()
        for left_out in ("matches", *_SPARE):
            if _size(arrays) <= MOST_BYTES:
                break
            kept = _without(kept, left_out)
            arrays = kept._arrays()
        about = {"record": _VERSION}
        write_archive(path, kind=_KIND, about=about, arrays=arrays)
        return kept

    def _arrays(self) -> dict[str, NDArray[Any]]:
        facts = {name: getattr(self, name) for name in _FACTS}
        facts |= {"data": dict(self.data), "scores": dict(self.scores), "dropped": list(self.dropped)}
        arrays: dict[str, NDArray[Any]] = {}
        packed = self.packed or (PackedMatches.of(self.matches) if self.matches is not None else None)
        if packed is not None:
            facts["matches"] = dict(packed.about)
            arrays |= {f"matches.{name}": values for name, values in packed.arrays.items()}
        if self.influence is not None:
            exact = len(self.influence) <= _EXACT_UNITS
            arrays["influence"] = self.influence if exact else self.influence.astype(np.float32)
        text = json.dumps(facts, allow_nan=False, separators=(",", ":"))
        return {"facts": np.frombuffer(text.encode("utf-8"), dtype=np.uint8), **arrays}

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Read a record, of a stranger as well.

        Raises:
            StudyError: YG630, it is missing, damaged, or claims what cannot be.
        """
        try:
            arrays = read_bounded(path, file_bytes=MOST_BYTES + 10_000, array_bytes=_MOST_UNPACKED)
            facts = _facts(arrays)
            return cls(
                **{name: facts[name] for name in _FACTS if name != "dropped"},
                dropped=tuple(str(name)[:40] for name in facts["dropped"][:20]),
                influence=_influence(arrays),
                packed=_packed(facts, arrays),
            )._checked()
        except (OSError, ValueError, LookupError, TypeError, AttributeError, DataError) as error:
            why = getattr(error, "strerror", None) or getattr(error, "cause", None) or error
            raise StudyError("YG630", f"no record that can be read: {why}", where=str(path)) from error
        except (RecursionError, MemoryError) as error:
            cause = "no record that can be read: nested or huge"
            raise StudyError("YG630", cause, where=str(path)) from error

    def _checked(self) -> RunRecord:
        """Itself, where AP and influences are those of its match table; else ValueError."""
        table, ap = self.table(), self.scores.get("ap")
        if table is None:
            return self
        own = 100 * average_precision(table)
        if (math.isfinite(own) or ap is not None) and not (ap is not None and abs(own - ap) <= _SAME_AP):
            raise ValueError(f"AP {ap}, and {own:.6f} by its match table")
        psi = self.influence
        if psi is not None and self.units != GROUPS:
            # Of groups only the study knows which image lies in which.
            found, units = judged_units(table)
            alike = found is not None and found.shape == psi.shape and units == self.units
            if found is None or not alike or not np.allclose(psi, found, rtol=_ROUNDED, atol=_ROUNDED):
                raise ValueError("match table and influences disagree")
        return self


def judged_units(
    matches: MatchTable, groups: Sequence[int] | None = None
) -> tuple[NDArray[np.float64] | None, str]:
    """The influences of a run as a record keeps them, [units] in AP points, and what their units are.

    None where AP is undefined. They are rounded here as the file rounds them, so that a verdict from the
    file equals the one from the run to the last digit.

    Args:
        groups: the group of each image, where the study draws groups of images.
    """
    psi, units = 100 * influence(matches), IMAGES
    if not (len(psi) and np.isfinite(psi).all()):
        return None, IMAGES
    if len(psi) > _MOST_UNITS:
        units = BLOCKS if groups is None else GROUPS
        psi = grouped(psi, np.arange(len(psi)) if groups is None else np.asarray(groups))
        # Whole units go into a block, every eight-thousandth into the same.
        psi = grouped(psi, np.arange(len(psi)) % _MOST_UNITS)
    exact = len(psi) <= _EXACT_UNITS
    return (psi if exact else psi.astype(np.float32).astype(np.float64)), units


def _without(record: RunRecord, part: str) -> RunRecord:
    """The record without its match table, or without one entry of its scores."""
    names = RunRecord.__dataclass_fields__
    values = {name: getattr(record, name) for name in names}
    if part == "matches" and (record.matches is not None or record.packed is not None):
        return RunRecord(**values | {"matches": None, "packed": None, "dropped": (*record.dropped, part)})
    if record.scores.get(part):
        scores = {key: value for key, value in record.scores.items() if key != part}
        return RunRecord(**values | {"scores": scores, "dropped": (*record.dropped, part)})
    return record


def _size(arrays: Mapping[str, NDArray[Any]]) -> int:
    """Bytes of the file that holds the arrays, estimated from above."""
    packed = sum(len(zlib.compress(np.ascontiguousarray(a).tobytes(), 6)) for a in arrays.values())
    return packed + (len(arrays) + 1) * (_MEMBER_BYTES + 40) + 500


def _facts(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The JSON part, checked field by field."""
    head = json.loads(str(arrays["about"][0]))
    if head.get("kind") != _KIND or head.get("record") != _VERSION:
        raise ValueError(f"kind {head.get('kind')!r}, version {head.get('record')!r}")
    facts = json.loads(arrays["facts"].astype(np.uint8).tobytes().decode("utf-8"), parse_constant=_refuse)
    for name in _TEXTS:
        if not isinstance(facts[name], str) or len(facts[name]) > 2_000:
            raise ValueError(f"{name} is no text")
    if folder_name(facts["label"]) != facts["label"]:
        raise ValueError(f"arm label {facts['label']!r}")
    if type(facts["seed"]) is not int or abs(facts["seed"]) > 2**63:
        raise ValueError(f"seed {facts['seed']!r}")
    if facts["status"] not in (DONE, DIVERGED) or type(facts["baseline"]) is not bool:
        raise ValueError(f"status {facts['status']!r}")
    if facts["units"] not in (IMAGES, GROUPS, BLOCKS) or not isinstance(facts["dropped"], list):
        raise ValueError(f"units {facts['units']!r}")
    facts["data"] = {part: str(facts["data"][part])[:200] for part in ("train", "eval")}
    _check_scores(facts["scores"], status=facts["status"], seed=facts["seed"])
    return facts


def _check_scores(scores: object, *, status: str, seed: int) -> None:
    """ValueError unless the scores are those of one run: what is computed with is a number or null."""
    if not isinstance(scores, dict) or scores.get("status") != status or scores.get("seed") != seed:
        raise ValueError("scores of another run")
    if not isinstance(scores.get("environment", {}), dict):
        raise ValueError("an environment that is no table")
    for name in _NUMBERS if status == DONE else ():
        value = scores[name]
        if value is not None and not (number(value) is not None and 0 <= value <= 100):
            raise ValueError(f"{name} {value!r}")
    for name in ("seconds", "images_per_second"):
        if number(scores.get(name)) is None:
            raise ValueError(f"{name} {scores.get(name)!r}")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} among the numbers")


def _influence(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64] | None:
    psi = arrays.get("influence")
    if psi is None:
        return None
    psi = psi.astype(np.float64)
    # AP lies in 0..100 and one image among N moves it by N times that at most.
    most = 100.0 * _MOST_UNITS**2
    if psi.ndim != 1 or not 0 < len(psi) <= _MOST_UNITS or not (np.abs(psi) <= most).all():
        raise ValueError(f"influences of shape {psi.shape} that are not finite or too large")
    if abs(psi.sum()) > _ROUNDED * (1 + np.abs(psi).sum()):
        raise ValueError(f"influences with the sum {psi.sum():.3g}, not 0")
    return psi


def _packed(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> PackedMatches | None:
    if "matches" not in facts:
        return None
    packed, about = {name: arrays[f"matches.{name}"] for name in PACKED}, facts["matches"]
    images, classes = int(about["images"]), int(about["num_classes"])
    longest = max(len(values) for values in packed.values())
    if longest > _MOST_ROWS or not (0 <= images <= _MOST_IMAGES and 0 <= classes <= _MOST_CLASSES):
        raise ValueError("a match table too large for a record")
    fingerprint = str(about["fingerprint"])[:200]
    return PackedMatches({"images": images, "num_classes": classes, "fingerprint": fingerprint}, packed)
