"""Which layer of a file is which layer of ours: the alignment in which most tensors fit.

Both are sequences of layers, known by the names and shapes of their tensors. A row that a user has put in
between belongs to nothing here and shifts nothing; a layer whose neighbours have changed its width still
lands on its own, and its tensors of another shape show as misplaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Shape = tuple[int, ...]
# One layer: tensor name -> shape.
Layer = Mapping[str, Shape]

# A tensor that fits outweighs any number of names that merely occur on both sides.
_FITS, _OCCURS, _STRANGE = 1000, 2, 1


def align(theirs: Sequence[Layer], ours: Sequence[Layer]) -> list[int | None]:
    """For each layer of ours the index of theirs, ascending; None where nothing in the file is like it.

    Of several equally good places the earliest is taken: a row is added after the one it copies.
    """
    score = [[_likeness(mine, other) for mine in ours] for other in theirs]
    # best[i][j]: most that theirs[i:] and ours[j:] can share.
    best = [[0] * (len(ours) + 1) for _ in range(len(theirs) + 1)]
    for i in reversed(range(len(theirs))):
        for j in reversed(range(len(ours))):
            paired = score[i][j] + best[i + 1][j + 1] if score[i][j] else 0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    out: list[int | None] = [None] * len(ours)
    i = j = 0
    while i < len(theirs) and j < len(ours):
        if score[i][j] and best[i][j] == score[i][j] + best[i + 1][j + 1]:
            out[j] = i
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return out


def _likeness(mine: Layer, other: Layer) -> int:
    """0 for layers of another kind: fewer than half of our names occur in theirs."""
    shared = mine.keys() & other.keys()
    if 2 * len(shared) < len(mine):
        return 0
    # A counter has no shape: that one fits says nothing.
    fitting = sum(bool(mine[name]) and mine[name] == other[name] for name in shared)
    strange = len(other.keys() - mine.keys())
    return max(_FITS * fitting + _OCCURS * len(shared) - _STRANGE * strange, 1)
