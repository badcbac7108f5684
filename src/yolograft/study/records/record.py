"""One finished run in at most 60 KB: all that a verdict rests on, to be committed and judged anywhere.

A record holds the scores, the influence of every image on AP (AP points; see `metrics.influence`) and, while
the file stays small, the match table from which both recompute. What had to be left out stands in the
record. Influences keep 64 bits up to 2,000 images and 32 up to 8,000; beyond, images are folded into that
many blocks, which are then the units drawn (Cochran 1977, "Sampling Techniques", on replicated samples).

A record may come from a stranger: it is read within bounds, and every field is checked.
"""

from __future__ import annotations

import json
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
from yolograft.metrics.matches import PACKED, MatchTable
from yolograft.study.report.holes import number

RECORD = "record.npz"
MOST_BYTES = 60_000
IMAGES, GROUPS, BLOCKS = "images", "groups", "blocks of images"
_KIND, _VERSION = "run record", 1
_EXACT_UNITS, _MOST_UNITS = 2_000, 8_000
_MOST_UNPACKED = 32_000_000
_MEMBER_BYTES = 260  # of one member in a zip beside its data: two headers and the array's own
_TEXTS = ("label", "model", "expression", "spec_sha256", "recipe_sha256", "checkpoint_sha256", "units")
_FACTS = (*_TEXTS, "baseline", "seed", "status", "data", "scores", "dropped")
_NUMBERS = ("ap", "ap50", "ap75", "ap_s", "ap_m", "ap_l", "p", "r", "f1")
# What of the scores is left out, in this order, where they alone are too long; no verdict rests on it.
_SPARE = ("confusion", "curves", "history", "per_class")


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """One run of one arm.

    status: ``done`` or ``diverged``. data: fingerprints of ``train`` and ``eval``. checkpoint_sha256: of its
    last weights, empty where they were not kept. scores: as `scores.json`. influence: float64 [units], AP
    points, sum 0; None where no match table was kept. units: what its entries are. dropped: what was left
    out for size.
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
    dropped: tuple[str, ...] = field(default=())

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
        if self.matches is not None:
            table = self.matches
            about = {"images": table.images, "num_classes": table.num_classes}
            facts["matches"] = about | {"fingerprint": table.fingerprint}
            arrays |= {f"matches.{name}": values for name, values in table.to_arrays().items()}
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
                matches=_matches(facts, arrays),
            )._checked()
        except (OSError, ValueError, LookupError, TypeError, AttributeError, DataError) as error:
            why = getattr(error, "strerror", None) or getattr(error, "cause", None) or error
            raise StudyError("YG630", f"no record that can be read: {why}", where=str(path)) from error
        except (RecursionError, MemoryError) as error:
            cause = "no record that can be read: nested or huge"
            raise StudyError("YG630", cause, where=str(path)) from error

    def _checked(self) -> RunRecord:
        """Itself, where its parts belong together; else ValueError."""
        psi, table = self.influence, self.matches
        if psi is not None and table is not None and self.units == IMAGES and table.images != len(psi):
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
    if part == "matches" and record.matches is not None:
        return RunRecord(**values | {"matches": None, "dropped": (*record.dropped, part)})
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
    if psi.ndim != 1 or not len(psi) or not (np.abs(psi) <= 100.0 * max(len(psi), _MOST_UNITS) ** 2).all():
        raise ValueError(f"influences of shape {psi.shape} that are not finite or too large")
    return psi


def _matches(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> MatchTable | None:
    if "matches" not in facts:
        return None
    packed = {name: arrays[f"matches.{name}"] for name in PACKED}
    if len(packed["code"]) > 1_000_000 or not 0 <= int(facts["matches"]["images"]) <= 10_000_000:
        raise ValueError("a match table too large for a record")
    about = facts["matches"] | {"fingerprint": str(facts["matches"]["fingerprint"])[:200]}
    return MatchTable.from_arrays(about, packed)
