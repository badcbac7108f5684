"""Critical values when several arms are set against one baseline: the multivariate t.

The differences of M arms to one baseline are correlated, so Bonferroni asks too much; the critical value c
solves P(max_j |T_j| > c) = alpha for (T_1 .. T_M) multivariate t with the estimated correlations (Dunnett
1955, doi 10.1080/01621459.1955.10501294). Where arms differ in degrees of freedom every arm takes its own
(Hasler and Hothorn 2008, doi 10.1002/bimj.200710466).

One common factor, R_ij = l_i l_j, makes it a double integral over the factor and the scale (Dunnett and
Sobel 1955): a shared baseline is one. What R has beyond its nearest such matrix is added as a
difference of two quasi-random sums on the same fixed points, by separation of variables (Genz and Bretz
2002, doi 10.1198/106186002394). No random numbers: the same question has the same answer everywhere, to
about 1e-3.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special
from scipy import stats as distributions

Array = NDArray[np.float64]

_POINTS = 2048
#: Beyond this many arms the cube is too large for the points, and the nearest one-factor matrix serves.
_MOST_SAMPLED = 16
_NEAREST_ONE = 0.999


@functools.lru_cache(maxsize=4096)
def critical_value(alpha: float, df: float) -> float:
    """Upper ``alpha`` point of Student's t."""
    return float(distributions.t.isf(alpha, df))


def equal_correlation(arms: int, rho: float = 0.5) -> Array:
    """All arms correlated alike: 0.5 where baseline and arms have the same noise and number of seeds."""
    return np.full((arms, arms), rho) + (1 - rho) * np.eye(arms)


def two_sided(alpha: float, df: float, correlation: Array) -> float:
    """c with P(max_j |T_j| > c) = ``alpha`` for the multivariate t with ``df`` and ``correlation`` [M, M].

    It lies between Student's value for one arm and Bonferroni's for M.
    """
    # Degrees of freedom and correlations are estimates: rounding them lets the cache serve.
    return _solved(alpha, round(df, 3), _key(correlation))


def adjusted_p(t: float, df: float, correlation: Array) -> float:
    """P(max_j |T_j| > |t|): the two-sided p-value of one arm among M, 0..1."""
    arms = len(correlation)
    alone = 2 * float(distributions.t.sf(abs(t), df))
    if arms == 1:
        return alone
    chance = _tail(abs(t), round(df, 3), _key(correlation))
    return float(np.clip(chance, alone, min(1.0, arms * alone)))


def exceeds(t: Array, df: Array, correlation: Array, *, alpha: float) -> NDArray[np.bool_]:
    """Which arms of many studies pass their critical value: |t| > ``two_sided``, [..., M].

    Args:
        t, df: [..., M]. correlation: [..., M, M]. Only what lies between the value for one arm and
            Bonferroni's, which bound it, is computed in full.
    """
    arms, size = t.shape[-1], np.abs(t)
    sure = size > special.stdtrit(df, 1 - alpha / 2 / arms)
    if arms == 1:
        return sure
    between = (size > special.stdtrit(df, 1 - alpha / 2)) & ~sure
    for where in np.argwhere(between):
        index = tuple(where)
        sure[index] = size[index] > two_sided(alpha, float(df[index]), correlation[index[:-1]])
    return sure


def _key(correlation: Array) -> tuple[int, tuple[float, ...]]:
    arms = len(correlation)
    return arms, tuple(np.round(correlation[np.triu_indices(arms, 1)], 4).tolist())


@functools.lru_cache(maxsize=4096)
def _solved(alpha: float, df: float, key: tuple[int, tuple[float, ...]]) -> float:
    low, high = critical_value(alpha / 2, df), critical_value(alpha / 2 / key[0], df)
    if key[0] == 1:
        return high
    loadings, roots = _factors(key)
    # What the points add changes slowly with c, so the integral is solved and the addition renewed.
    found, added = high, 0.0
    for _ in range(2 if roots else 1):
        goal = alpha - added
        if _one_factor(low, df, loadings) <= goal:
            found = low
        elif _one_factor(high, df, loadings) >= goal:
            found = high
        else:
            ends = (low, high)
            found = float(optimize.brentq(lambda c: _one_factor(c, df, loadings) - goal, *ends, xtol=1e-5))  # noqa: B023  # pyright: ignore
        added = _beyond(found, df, roots)
    return found


def _tail(c: float, df: float, key: tuple[int, tuple[float, ...]]) -> float:
    """P(max_j |T_j| > c)."""
    loadings, roots = _factors(key)
    return _one_factor(c, df, loadings) + _beyond(c, df, roots)


def _beyond(c: float, df: float, roots: tuple[Array, Array] | None) -> float:
    """What the matrix has beyond its nearest one-factor matrix, both on the same points."""
    return _sampled(c, df, roots[0]) - _sampled(c, df, roots[1]) if roots else 0.0


@functools.lru_cache(maxsize=1024)
def _factors(key: tuple[int, tuple[float, ...]]) -> tuple[Array, tuple[Array, Array] | None]:
    """Loadings of the nearest one-factor matrix; Cholesky roots of both matrices, None where they agree."""
    arms, upper = key
    matrix = np.zeros((arms, arms))
    matrix[np.triu_indices(arms, 1)] = upper
    matrix = matrix + matrix.T + np.eye(arms)
    loadings = _loadings(matrix)
    nearest = np.outer(loadings, loadings)
    np.fill_diagonal(nearest, 1.0)
    if arms > _MOST_SAMPLED or np.abs(nearest - matrix).max() < 1e-3:
        return loadings, None
    # Arms whose differences agree exactly leave no root; a trace of noise of their own does.
    own = 1e-6 * np.eye(arms)
    roots = [np.asarray(np.linalg.cholesky(one + own), dtype=np.float64) for one in (matrix, nearest)]
    return loadings, (roots[0], roots[1])


def _loadings(matrix: Array) -> Array:
    """l with l_i l_j nearest to R_ij off the diagonal (principal factor, Thurstone's iteration)."""
    reduced = matrix.copy()
    loadings = np.zeros(len(matrix))
    np.fill_diagonal(reduced, np.abs(matrix - np.eye(len(matrix))).max(axis=1))
    for _ in range(100):
        sizes, vectors = np.linalg.eigh(reduced)
        found = np.sqrt(max(sizes[-1], 0.0)) * vectors[:, -1]
        found = np.clip(found, -_NEAREST_ONE, _NEAREST_ONE)
        if np.abs(np.abs(found) - np.abs(loadings)).max() < 1e-7:
            break
        loadings = found
        np.fill_diagonal(reduced, loadings**2)
    return loadings


def _one_factor(c: float, df: float, loadings: Array) -> float:
    """The double integral, both by the trapezoid rule in a standard normal, which is exact to 1e-8 here."""
    node = np.linspace(-6.5, 6.5, 61)
    weight = np.exp(-(node**2) / 2)
    weight /= weight.sum()
    scale = _scales(df)
    inside = np.ones((len(scale), len(node)))
    for loading in loadings:
        rest = np.sqrt(1 - loading**2)
        upper, middle = c * scale[:, None] / rest, loading * node / rest
        inside *= special.ndtr(upper - middle) - special.ndtr(-upper - middle)
    coarse = np.exp(-(_SCALE_NODES**2) / 2)
    return 1 - float(coarse @ inside @ weight / coarse.sum())


_SCALE_NODES = np.linspace(-6, 6, 33)


@functools.lru_cache(maxsize=512)
def _scales(df: float) -> Array:
    """sqrt(chi2_df / df) at the quantiles of `_SCALE_NODES`."""
    # The upper half by the survival function, where the quantile itself would round to 1.
    lower = distributions.chi2.ppf(special.ndtr(_SCALE_NODES), df)
    upper = distributions.chi2.isf(special.ndtr(-_SCALE_NODES), df)
    return np.sqrt(np.where(_SCALE_NODES < 0, lower, upper) / df)


def _sampled(c: float, df: float, root: Array) -> float:
    """P(max_j |T_j| > c) by separation of variables: one coordinate after the other, given those before."""
    points = _points(len(root))
    scale = np.sqrt(special.chdtri(df, points[:, -1]) / df)
    inside, normal = np.ones(len(points)), np.zeros_like(points)
    for j, row in enumerate(root):
        middle = normal[:, :j] @ row[:j]
        below = special.ndtr((-c * scale - middle) / row[j])
        width = special.ndtr((c * scale - middle) / row[j]) - below
        inside *= width
        normal[:, j] = special.ndtri(np.clip(below + points[:, j] * width, 1e-15, 1 - 1e-15))
    return 1 - float(inside.mean())


@functools.lru_cache(maxsize=_MOST_SAMPLED)
def _points(arms: int) -> Array:
    """Fixed points spread evenly over the unit cube, [points, arms]: Richtmyer's, folded (Genz 2002)."""
    turns = np.arange(1, _POINTS + 1)[:, None] * np.sqrt(_PRIMES[:arms])
    return np.abs(2 * (turns % 1) - 1)


_PRIMES = np.array([2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53], dtype=float)
