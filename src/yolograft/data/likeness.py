"""How alike two pictures look: small grey thumbnails, two hashes of them, and a test that confirms.

A copy at another size, quality, aspect or brightness stays alike; a picture in which something else stands
does not, even where camera and background are the same. The first hash keeps the signs of low DCT
frequencies (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"), the second
those of horizontal brightness steps.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from yolograft.data.records import ImageRecord

Grey = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
SIDE = 64
# Copies (half size, JPEG quality 30, squashed, brighter) stay below 8 bits of each hash; photographs of
# different things start at 16.
NEAR_BITS = (10, 12)
LEAST_CORRELATION = 0.9
# Most local difference, in standard deviations of the thumbnail. On the shared sets copies stay below 0.3
# (95 %), a chess piece put elsewhere or exchanged begins at 0.4.
MOST_DIFFERENCE = 0.35
# A thumbnail that varies less (grey levels, standard deviation) is sky or paper: anything looks like it.
LEAST_CONTRAST = 4.0


@dataclass(frozen=True, slots=True)
class Looks:
    """What is kept of N images to compare them: about 4 KB an image.

    digests: hash of the file's bytes, empty where it is no readable image. thumbs: uint8 [N, 64, 64] grey.
    comparable: bool [N], False for damaged or plain images. frequency, step: uint64 [2, N], hashes of the
    image as it is and mirrored.
    """

    digests: tuple[bytes, ...]
    thumbs: Grey
    comparable: NDArray[np.bool_]
    frequency: Hashes
    step: Hashes


def looks_of(records: Sequence[ImageRecord]) -> Looks:
    """Read every image once, at reduced size. A file that cannot be read or decoded is like no other."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        seen = list(pool.map(lambda record: _look(record.path, min(record.height, record.width)), records))
    thumbs = np.zeros((len(seen), SIDE, SIDE), np.uint8)
    frequency, step = np.zeros((2, len(seen)), np.uint64), np.zeros((2, len(seen)), np.uint64)
    comparable = np.zeros(len(seen), np.bool_)
    for index, (_, thumb) in enumerate(seen):
        if thumb is None or thumb.std() < LEAST_CONTRAST:
            continue
        thumbs[index], comparable[index] = thumb, True
        for way, image in enumerate((thumb, mirrored(thumb))):
            frequency[way, index], step[way, index] = _frequency_hash(image), _step_hash(image)
    return Looks(tuple(digest for digest, _ in seen), thumbs, comparable, frequency, step)


def mirrored(thumb: Grey) -> Grey:
    """Left and right exchanged."""
    return np.ascontiguousarray(thumb[:, ::-1])


def alike(one: Grey, other: Grey) -> bool:
    """Whether two thumbnails uint8 [64, 64] show the same picture: correlated, and different nowhere.

    Tones are matched by rank first, so brightness, contrast and gamma do not count; a pixel differs by how
    far it lies outside the range of the 3 x 3 pixels at its place in the other image.
    """
    if min(one.std(), other.std()) < LEAST_CONTRAST:
        return False
    if np.corrcoef(one.ravel(), other.ravel())[0, 1] < LEAST_CORRELATION:
        return False
    # Clipped highlights can only be compared in the tones of the image that lost them: the lesser counts.
    ways = ((one, other), (other, one))
    return min(_difference(_toned(a, b), b.astype(np.float32)) / b.std() for a, b in ways) <= MOST_DIFFERENCE


def _look(path: Path, short_side: int) -> tuple[bytes, Grey | None]:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return b"", None
    digest = hashlib.blake2b(data.tobytes(), digest_size=16).digest()
    # At least three pixels a thumbnail pixel, so that files of any size are averaged alike.
    flags = {8: cv2.IMREAD_REDUCED_GRAYSCALE_8, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4}
    flags |= {2: cv2.IMREAD_REDUCED_GRAYSCALE_2}
    flag = next((f for by, f in flags.items() if short_side // by >= 3 * SIDE), cv2.IMREAD_GRAYSCALE)
    try:
        image = cv2.imdecode(data, flag) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        return b"", None
    return digest, cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _packed(bits: NDArray[np.bool_]) -> np.uint64:
    return np.packbits(bits.ravel()).view(np.uint64)[0]


def _frequency_hash(thumb: Grey) -> np.uint64:
    small = cv2.resize(thumb, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    # The first coefficient is the mean brightness: it says nothing.
    low[0] = 0
    return _packed(low > np.median(low[1:]))


def _step_hash(thumb: Grey) -> np.uint64:
    small = cv2.resize(thumb, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    return _packed(small[:, 1:] > small[:, :-1])


def _toned(image: Grey, model: Grey) -> NDArray[np.float32]:
    """`image` with the tones of `model`: each level becomes the mean of the ranks it takes there."""
    counts = np.bincount(image.ravel(), minlength=256)
    ends = np.cumsum(counts)
    sums = np.concatenate(([0], np.cumsum(np.sort(model, axis=None), dtype=np.int64)))
    table = (sums[ends] - sums[ends - counts]) / np.maximum(counts, 1)
    return table.astype(np.float32)[image]


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The largest local difference (mean of 3 x 3 pixels), grey levels, tolerant of a shift by one pixel."""
    around = np.ones((3, 3), np.uint8)
    largest = 0.0
    for a, b in ((one, other), (other, one)):
        outside = np.maximum(a - cv2.dilate(b, around), cv2.erode(b, around) - a)
        largest = max(largest, float(cv2.blur(np.maximum(outside, 0), (3, 3)).max()))
    return largest
