"""How the error of a study is shared by the times its results are looked at.

A test at 5 % after 3, 5 and 10 seeds is wrong 11.8 % of the time, after every seed 18.6 %. Nominal levels
.01, .02 and .028 at 3, 5 and 10 come to 4.98 % together (400,000 simulated studies of two arms, pooled t).
The levels grow as in O'Brien and Fleming 1979 (doi 10.2307/2530245): little is spent early.
"""

from __future__ import annotations

from collections.abc import Sequence

from yolograft.errors import StudyError

ALPHA = 0.05
_PLANS: dict[tuple[int, ...], tuple[float, ...]] = {(3, 5, 10): (0.01, 0.02, 0.028)}


def look_alphas(looks: Sequence[int]) -> tuple[float, ...]:
    """The level of every planned look: of the two-sided test, and of either one-sided equivalence test.

    Args:
        looks: seeds per arm at each look; ``[K]`` or ``[3, 5, 10]``.

    Raises:
        StudyError: YG607 for any other plan, whose levels nobody has worked out.
    """
    plan = tuple(looks)
    if len(plan) == 1 and plan[0] >= 1:
        return (ALPHA,)
    if plan not in _PLANS:
        raise StudyError("YG607", f"looks at {list(plan)} seeds", fix="plan one look, or 3, 5 and 10 seeds")
    return _PLANS[plan]
