"""Counter-based randomness: every draw is a function of named counters, never of hidden state.

A stream is opened by naming what it is for: ``stream(seed, "mosaic", epoch, index)``. Two calls with
the same counters give the same numbers in any process, in any order, on any worker.
Source of the generator: Philox4x64, Salmon et al. 2011 (doi 10.1145/2063384.2063405), as in numpy.
"""

from __future__ import annotations

import hashlib

import numpy as np

Counter = int | str


def _digest(counters: tuple[Counter, ...], size: int) -> int:
    # The type tag keeps ("1",) and (1,) apart; the length prefix keeps ("ab","c") and ("a","bc") apart.
    parts = [f"{'s' if isinstance(c, str) else 'i'}{len(str(c))}:{c}" for c in counters]
    return int.from_bytes(hashlib.blake2b("|".join(parts).encode(), digest_size=size).digest(), "little")


def seed_of(*counters: Counter) -> int:
    """A 63-bit integer seed for generators that take one (``torch.manual_seed``)."""
    return _digest(counters, 8) >> 1


def stream(*counters: Counter) -> np.random.Generator:
    """A numpy generator whose numbers depend on ``counters`` alone."""
    return np.random.Generator(np.random.Philox(key=_digest(counters, 16)))
