"""``--ablate "A; B; C"``: every combination of its parts, or the staircase A, A+B, A+B+C, as arms."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from yolograft.errors import SpecError
from yolograft.graph.expr import NECK, GraftSpec, GraftTerm, folder_name, parse_graft

MOST_PARTS = 5  # 31 arms
MOST_STEPS = 10


@dataclass(frozen=True, slots=True)
class Ablation:
    """The arms of an ablation and what each consists of.

    parts: the single grafts, in the order written. arms: the combinations, each with the terms of its
    parts; smaller combinations first. members: per arm the indices of its parts.
    """

    parts: tuple[GraftSpec, ...]
    arms: tuple[GraftSpec, ...]
    members: tuple[tuple[int, ...], ...]
    cumulative: bool

    def to_json(self) -> dict[str, Any]:
        """The form a manifest keeps."""
        return {
            "cumulative": self.cumulative,
            "parts": [{"label": part.label, "expression": part.text()} for part in self.parts],
            "members": {arm.label: list(m) for arm, m in zip(self.arms, self.members, strict=True)},
        }


def ablate_grafts(text: str, *, cumulative: bool = False, init: str = "paper") -> tuple[GraftSpec, ...]:
    """The arms of ``ablate``."""
    return ablate(text, cumulative=cumulative, init=init).arms


def ablate(text: str, *, cumulative: bool = False, init: str = "paper") -> Ablation:
    """Read the parts between ``;`` and combine them.

    A part is a graft expression and may hold several terms; it is called a, b, c ... unless it brings a
    label of its own (``CA=coord_att@neck.p3``). A combination is called after its parts: ``a-b``.

    Args:
        cumulative: only A, A+B, A+B+C ... instead of all 2^k - 1 combinations.
        init: how modules start whose expression does not say: ``paper`` or ``identity``.

    Raises:
        SpecError: fewer than two parts or too many (YG117), one part twice or two of one name (YG118), or
            a part that does not follow the grammar (YG110-YG116).
    """
    pieces = [piece.strip() for piece in text.split(";")]
    if pieces[-1] == "":
        pieces.pop()
    parts = tuple(_part(piece, number, init) for number, piece in enumerate(pieces))
    most = MOST_STEPS if cumulative else MOST_PARTS
    if not 2 <= len(parts) <= most:
        raise SpecError(
            "YG117",
            f"an ablation takes 2 to {most} parts, got {len(parts)}",
            fix='write e.g. --ablate "se@neck.p3; nam@neck.p4"' if len(parts) < 2 else _fewer(cumulative),
        )
    _refuse_repeats(parts)
    count = range(len(parts))
    if cumulative:
        members = [tuple(range(size + 1)) for size in count]
    else:
        members = [m for size in count for m in itertools.combinations(count, size + 1)]
    arms = tuple(_combined([parts[i] for i in member]) for member in members)
    labels = [arm.label for arm in arms]
    twice = next((label for label in labels if labels.count(label) > 1), "")
    if twice:
        raise SpecError("YG118", f"two combinations are called '{twice}'", fix="name the parts otherwise")
    return Ablation(parts, arms, tuple(members), cumulative)


def _fewer(cumulative: bool) -> str:
    return "leave some out" if cumulative else "leave some out, or build the staircase: --ablate-cumulative"


def _part(piece: str, number: int, init: str) -> GraftSpec:
    part = parse_graft(piece, init=init)
    # What the grammar would call it by itself is long; a combination needs short names.
    named = part.label != parse_graft(part.text()).label
    return part if named else GraftSpec(chr(ord("a") + number), part.terms)


def _refuse_repeats(parts: tuple[GraftSpec, ...]) -> None:
    seen: dict[str, str] = {}
    for part in parts:
        for term in part.terms:
            for placed in _placements(term):
                if placed in seen:
                    raise SpecError(
                        "YG118",
                        f"{placed} stands in '{seen[placed]}' and in '{part.label}'",
                        fix="name each graft once; combinations are made of them",
                    )
                seen[placed] = part.label


def _placements(term: GraftTerm) -> tuple[str, ...]:
    """What of a term no second part may bring: a module at a place, a distillation, any neck."""
    if term.kind == NECK:
        return ("a neck",)
    return tuple(f"{term.ref.text()}@{site.text()}" for site in term.sites) or (term.text(),)


def _combined(parts: list[GraftSpec]) -> GraftSpec:
    label = folder_name("-".join(part.label for part in parts))
    return GraftSpec(label, tuple(term for part in parts for term in part.terms))
