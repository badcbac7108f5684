"""Near-duplicates: pictures of one split that stand, nearly the same, in another.

A detector that has trained on a picture finds its objects again in the copy: the AP of every arm is
flattered. A copy at another size, aspect, quality or brightness is found, mirrored or not; a crop is found
only where it takes away next to nothing. Candidates are near by two 64-bit hashes, compared in blocks
(one core: about 10^8 pairs a second), and confirmed on their thumbnails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolograft.data.findings import finding
from yolograft.data.likeness import NEAR_BITS, Looks, alike, looks_of, mirrored
from yolograft.data.records import Dataset, Finding, ImageRecord

# Before a fixed camera everything is a candidate: only the nearest by their hashes are confirmed.
MOST_CANDIDATES = 32
_BLOCK = 64


class Match(NamedTuple):
    """Two images that are nearly the same picture, by their positions.

    how: ``same bytes``, ``nearly equal`` or ``nearly equal, mirrored``.
    """

    query: int
    other: int
    how: str


def duplicate_findings(
    dataset: Dataset, *, a: str | None = None, b: str | None = None
) -> tuple[Finding, ...]:
    """One finding (YG350, kept) for each image of one split that has a near-duplicate in another.

    Args:
        a: the split trained on; when None, every pair of splits is compared, train before the others.
        b: the split compared with `a`; every other one, each by itself, when None.

    Raises:
        DataError: YG304 when there is no split `a` or `b`.
    """
    found: list[Finding] = []
    seen: dict[str, Looks] = {}
    for first, second in _pairs(dataset, a, b):
        known, records = dataset.split(first), dataset.split(second)
        if not known or not records:
            continue
        for name, members in ((first, known), (second, records)):
            if name not in seen:
                seen[name] = looks_of(members)
        by_query: dict[int, list[Match]] = {}
        for match in matches(seen[first], seen[second]):
            by_query.setdefault(match.query, []).append(match)
        for query, several in by_query.items():
            text = _sentence(records[query], second, known[several[0].other], first, several)
            found.append(finding("YG350", records[query].image_id, 0, text))
    return tuple(found)


def _pairs(dataset: Dataset, a: str | None, b: str | None) -> list[tuple[str, str]]:
    """The splits to compare, the one that counts as known first."""
    if a is None:
        ordered = sorted(dataset.splits, key=lambda name: name != "train")
        return [pair for pair in combinations(ordered, 2) if b is None or b in pair]
    known = dataset.split(a)
    others = [b] if b is not None else [n for n, records in dataset.splits.items() if records is not known]
    return [(a, other) for other in others]


def duplicate_groups(records: Sequence[ImageRecord]) -> list[int]:
    """For each image the position of the first of its group; near-duplicates, chains included, share one."""
    looks = looks_of(records)
    first = list(range(len(records)))

    def root(index: int) -> int:
        while first[index] != index:
            first[index] = first[first[index]]
            index = first[index]
        return index

    for match in matches(looks, looks, earlier=True):
        low, high = sorted((root(match.query), root(match.other)))
        first[high] = low
    return [root(index) for index in range(len(first))]


def matches(known: Looks, queries: Looks, *, earlier: bool = False) -> Iterator[Match]:
    """All confirmed matches, by query, equal bytes first, then the nearest by hash.

    Args:
        earlier: `known` and `queries` are the same images; each is compared with those before it.
    """
    by_digest: dict[bytes, list[int]] = {}
    for index, digest in enumerate(known.digests):
        if digest:
            by_digest.setdefault(digest, []).append(index)
    near = _candidates(known, queries, earlier=earlier)
    for query, candidates in enumerate(near):
        equal = by_digest.get(queries.digests[query], [])
        equal = [index for index in equal if not earlier or index < query]
        yield from (Match(query, index, "same bytes") for index in equal)
        taken = set(equal)
        thumb = queries.thumbs[query]
        ways = (thumb, mirrored(thumb))
        for index, way in candidates:
            if index not in taken and alike(known.thumbs[index], ways[way]):
                taken.add(index)
                yield Match(query, index, "nearly equal, mirrored" if way else "nearly equal")


def _candidates(known: Looks, queries: Looks, *, earlier: bool) -> Iterator[list[tuple[int, int]]]:
    """For each query the (position, 1 if mirrored) of the nearest by hash, at most MOST_CANDIDATES."""
    usable = np.flatnonzero(known.comparable)
    frequency, step = known.frequency[0, usable], known.step[0, usable]
    for start in range(0, len(queries.digests), _BLOCK):
        stop = min(start + _BLOCK, len(queries.digests))
        found: list[list[tuple[int, int, int]]] = [[] for _ in range(stop - start)]
        for way in (0, 1):
            bits = np.bitwise_count(queries.frequency[way, start:stop, None] ^ frequency)
            near = (bits <= NEAR_BITS[0]) & queries.comparable[start:stop, None]
            for row in np.flatnonzero(near.any(axis=1)).tolist():
                columns = np.flatnonzero(near[row])
                if earlier:
                    columns = columns[usable[columns] < start + row]
                found[row] += _nearest(columns, bits[row], step ^ queries.step[way, start + row], usable, way)
        for row in found:
            yield [(index, way) for _, way, index in sorted(row)[:MOST_CANDIDATES]]


def _nearest(
    columns: NDArray[np.intp], bits: NDArray[np.uint8], steps: NDArray[np.uint64], usable: NDArray[np.intp],
    way: int,
) -> list[tuple[int, int, int]]:  # fmt: skip
    """(distance, way, position) of the columns that are near by the second hash too, nearest first."""
    second = np.bitwise_count(steps[columns])
    columns, second = columns[second <= NEAR_BITS[1]], second[second <= NEAR_BITS[1]]
    distance = bits[columns].astype(np.int64) + second
    order = np.argsort(distance, kind="stable")[:MOST_CANDIDATES]
    pairs = zip(distance[order].tolist(), usable[columns[order]].tolist(), strict=True)
    return [(far, way, index) for far, index in pairs]


def _sentence(
    image: ImageRecord, split: str, twin: ImageRecord, twin_split: str, several: Sequence[Match]
) -> str:
    how = {
        "same bytes": "is byte for byte",
        "nearly equal": "is nearly the picture",
        "nearly equal, mirrored": "is nearly the mirrored picture",
    }[several[0].how]
    more = f" (and {len(several) - 1} more there)" if len(several) > 1 else ""
    return f"{image.image_id} of {split} {how} {twin.image_id} of {twin_split}{more}"
