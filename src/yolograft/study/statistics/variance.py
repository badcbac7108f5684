"""How uncertain a difference of two arms is, over seeds and over images. All in AP points, squared.

Run k of arm a scores  AP_ka = mu_a + S_ka + mean_i(C_i + I_ai + E_kai):  S is the luck of a seed, C_i how
hard image i is for all, I_ai how image i suits arm a whatever the seed, E_kai what is left. The influence
psi_ka of image i estimates C_i + I_ai + E_kai less its mean; there are N units (images, or groups of them).

Seeds.  V_seed = g0 + g_arm, g = s^2 / K, each s^2 the larger of the variance pooled over all arms and the
arm's own, of e = K - 1 degrees of freedom; earlier baseline runs (a bank) count as the baseline's. Every s^2
holds var(S) + var(E) / N. The pool weighs an arm with w = min(e, 3 min(e0, e_arm)): a bank or a large
baseline must not say how a noisier arm of three runs scatters. Degrees of freedom are the pool's, sum w, and
where an arm's own variance governs no more than V_seed^2 / (g0^2 / a0 + g_arm^2 / a_arm), a being e there and
sum w elsewhere. Pooled t: Student 1908; unequal noise and few seeds: Colas et al. 2019, arXiv 1904.06979;
degrees of freedom of a sum: Satterthwaite 1946, doi 10.2307/3002019.

Images. With D_i the difference of the two arms' mean influences, V_img = var_i(D) / N. Its mean is
var(I_arm - I_base) / N plus the sum over both arms of var(E_a) / (K_a N). V_seed holds that second part
already, so it is taken off once:

- unpaired: V_int = sum over both arms of [sum_k var_i(psi_ka - mean_k psi_a) / (K_a - 1)] / (K_a N). No run
  is matched with another, so K may differ. Runs that share a seed are correlated; V_seed leaves that
  covariance in, 2 (cov(S) + cov(E) / N) / K too much, V_img - V_int takes 2 cov(E) / (K N) of it off, and
  the sum stays too large by 2 cov(S) / K: on the safe side for every correlation of zero or more.
- paired, with D_ki = psi_arm,ki - psi_base,ki: V_int = [sum_k var_i(D_k - mean D) / (K - 1)] / (K N).

V = max(V_seed + max(V_img - V_int, 0), V_img): the two-way logic of Cameron, Gelbach and Miller 2011
(doi 10.1198/jbes.2010.07136) with a floor. Degrees of freedom after Satterthwaite, N - 1 for V_img and
(K_a - 1)(N - 1) for each part of V_int, and never below the seeds' or N - 1, whichever is less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: No run-to-run sd below this is believed, in AP points: a third of the smallest published one (0.15 on
#: COCO). It keeps identical runs from giving an interval of length 0.
SD_FLOOR = 0.05

#: No arm weighs in the pool like more than this many times the degrees of freedom of either arm compared.
MOST_WEIGHT = 3


@dataclass(frozen=True, slots=True)
class Noise:
    """Differences to the baseline and their variances; leading axes are independent studies.

    delta, seed, image, interaction, total, df: [..., arms]; seed is V_seed, image V_img, interaction V_int,
    total V. image and interaction are nan where only seeds are known. sd: [..., arms, 2], the governing
    run-to-run sds, baseline first; in the paired form of the differences, the baseline's nan. seed_df:
    [..., arms], degrees of freedom of V_seed. correlation: [..., arms, arms] of the differences; None where
    it is not estimated.
    """

    delta: Array
    seed: Array
    image: Array
    interaction: Array
    total: Array
    df: Array
    sd: Array
    seed_df: Array
    correlation: Array | None


def sample_variance(values: Sequence[float]) -> float:
    """Sample variance (ddof 1); 0 below two different values."""
    # Rounding in the mean would give equal values a variance near 1e-34 instead of none.
    return float(np.var(values, ddof=1)) if len(set(values)) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Governing:
    """variance, df: [..., arms], what each arm is judged with and the degrees of freedom it rests on.

    pooled_df: of the pool, which no sum of these variances exceeds.
    """

    variance: Array
    df: Array
    pooled_df: int

    def sum_df(self, parts: Array, arms: Sequence[int]) -> Array:
        """Degrees of freedom [...] of the sum of ``parts`` [..., n], multiples of the ``arms``' variances."""
        total = parts.sum(axis=-1)
        # An arm of one run in a pool of none has no degrees of freedom, and nobody asks for them.
        scatter = (parts**2 / np.maximum(self.df[..., list(arms)], 1)).sum(axis=-1)
        return np.minimum(total**2 / scatter, self.pooled_df)


def governing_variances(
    own: Array, counts: NDArray[np.integer], *, judged: Sequence[int] | None = None
) -> Governing:
    """The variance each arm is judged with: the larger of its own and the pooled one.

    Args:
        own: sample variances (ddof 1), [..., arms]; leading axes are independent studies.
        counts: finished runs per arm, [arms]; an arm with fewer than two adds nothing to the pool. An arm
            whose variance rests on d degrees of freedom counts as d + 1 runs.
        judged: indices of the arms compared, the smallest of which limits every weight; all where None.
    """
    degrees = np.maximum(np.asarray(counts) - 1, 0)
    compared = degrees if judged is None else degrees[list(judged)]
    weight = degrees
    if (compared > 0).any():
        weight = np.minimum(degrees, MOST_WEIGHT * compared[compared > 0].min())
    df = int(weight.sum())
    usable = np.where(degrees > 0, own, 0.0)
    pooled = (usable * weight).sum(axis=-1, keepdims=True) / max(df, 1)
    variance = np.maximum(np.maximum(usable, pooled), SD_FLOOR**2)
    return Governing(variance, np.where(usable > pooled, degrees, float(df)), df)


def two_way(
    values: Sequence[Array],
    influences: Sequence[Array] | None = None,
    *,
    bank: tuple[Array | float, int] | None = None,
) -> Noise:
    """The unpaired form: every arm has its own runs.

    Args:
        values: AP of the runs, [..., K_a] an arm, baseline first; every arm has at least one.
        influences: of the same runs, [..., K_a, units] an arm; None where only seeds are known.
        bank: variance [...] and degrees of freedom of earlier baseline runs.
    """
    counts = np.array([arm.shape[-1] for arm in values])
    own = np.stack([_variance(arm) for arm in values], axis=-1)
    means = np.stack([arm.mean(axis=-1) for arm in values], axis=-1)
    degrees = counts.copy()
    if bank is not None and bank[1]:
        fresh = counts[0] - 1
        own[..., 0] = (own[..., 0] * fresh + np.asarray(bank[0]) * bank[1]) / (fresh + bank[1])
        degrees[0] += bank[1]
    sd, seed_df, each = _of_seeds(own, degrees, counts)
    seed, delta = each.sum(axis=-1), means[..., 1:] - means[..., :1]
    # The pool, and with it the baseline's part, may differ between comparisons of unlike numbers of runs.
    shared = np.sqrt(each[..., 0])
    covariance = shared[..., :, None] * shared[..., None, :]
    diagonal = np.arange(seed.shape[-1])
    covariance[..., diagonal, diagonal] = seed
    if influences is None:
        unknown = np.full_like(seed, np.nan)
        return Noise(
            delta, seed, unknown, unknown, seed, seed_df.copy(), sd, seed_df, _correlation(covariance)
        )
    of_images = _image_covariance([arm.mean(axis=-2) for arm in influences])
    image = of_images[..., diagonal, diagonal]
    units = influences[0].shape[-1]
    inside = np.stack([_residual(arm) for arm in influences], axis=-1)
    spread = _squared_over_df(inside, np.maximum(counts - 1, 1) * (units - 1))
    interaction = inside[..., :1] + inside[..., 1:]
    total, freedom = _together(seed, seed_df, image, interaction, spread[..., :1] + spread[..., 1:], units)
    # Sums of two covariance matrices are one, so this correlation is always possible; interaction counts
    # twice in it, which moves it little: seeds and images alike share half, the baseline's half.
    correlation = _correlation(covariance + of_images)
    return Noise(delta, seed, image, interaction, total, freedom, sd, seed_df, correlation)


def _of_seeds(
    own: Array, degrees: NDArray[np.integer], counts: NDArray[np.integer]
) -> tuple[Array, Array, Array]:
    """Of every arm beside the baseline: sds [..., arms, 2], degrees of freedom [..., arms], s^2 / K alike."""
    sds, freedom, parts = [], [], []
    for arm in range(1, len(counts)):
        sides = (0, arm)
        found = governing_variances(own, degrees, judged=sides)
        variance = found.variance[..., sides]
        sds.append(np.sqrt(variance))
        parts.append(variance / counts[list(sides)])
        freedom.append(found.sum_df(parts[-1], sides))
    return np.stack(sds, axis=-2), np.stack(freedom, axis=-1), np.stack(parts, axis=-2)


def paired(base: Array, arm: Array, influences: tuple[Array, Array] | None = None) -> Noise:
    """The paired form for one arm: run k of both shares its seed; degrees of freedom K - 1.

    Args:
        base, arm: AP of the runs, [..., K] each, in the order of the seeds.
        influences: of the same runs, [..., K, units] each, baseline first.
    """
    differences = arm - base
    k = differences.shape[-1]
    variance = np.maximum(_variance(differences), 2 * SD_FLOOR**2)[..., None]
    seed, delta = variance / k, differences.mean(axis=-1)[..., None]
    sd = np.stack([np.full_like(variance, np.nan), np.sqrt(variance)], axis=-1)
    seed_df = np.full_like(seed, k - 1.0)
    if influences is None:
        unknown = np.full_like(seed, np.nan)
        return Noise(delta, seed, unknown, unknown, seed, seed_df.copy(), sd, seed_df, None)
    changes = influences[1] - influences[0]
    units = changes.shape[-1]
    image = changes.mean(axis=-2).var(axis=-1, ddof=1)[..., None] / units
    interaction = _residual(changes)[..., None]
    spread = _squared_over_df(interaction, np.array([max(k - 1, 1) * (units - 1)]))
    total, freedom = _together(seed, seed_df, image, interaction, spread, units)
    return Noise(delta, seed, image, interaction, total, freedom, sd, seed_df, None)


def _variance(values: Array) -> Array:
    """Over the last axis; 0 for one value, whose variance is unknown."""
    return values.var(axis=-1, ddof=1) if values.shape[-1] > 1 else np.zeros(values.shape[:-1])


def _residual(psi: Array) -> Array:
    """What the mean over seeds of [..., K, units] still holds of the seeds' own scatter over images."""
    k, units = psi.shape[-2:]
    if k < 2:
        return np.zeros(psi.shape[:-2])
    scatter = (psi - psi.mean(axis=-2, keepdims=True)).var(axis=-1, ddof=1)
    return scatter.sum(axis=-1) / ((k - 1) * k * units)


def _image_covariance(means: Sequence[Array]) -> Array:
    """Covariance over images of the arms' differences to the baseline, [..., arms, arms], over N."""
    change = np.stack([mean - means[0] for mean in means[1:]], axis=-2)
    change = change - change.mean(axis=-1, keepdims=True)
    units = change.shape[-1]
    return change @ np.swapaxes(change, -1, -2) / ((units - 1) * units)


def _squared_over_df(variance: Array, df: NDArray[np.integer]) -> Array:
    return variance**2 / df


def _together(
    seed: Array, seed_df: Array, image: Array, interaction: Array, interaction_spread: Array, units: int
) -> tuple[Array, Array]:
    """V and its degrees of freedom."""
    beyond = np.maximum(image - interaction, 0.0)
    total = np.maximum(seed + beyond, image)
    most = seed**2 / np.maximum(seed_df, 1)
    scatter = np.where(beyond > 0, most + image**2 / (units - 1) + interaction_spread, most)
    scatter = np.where(image > seed + beyond, image**2 / (units - 1), scatter)
    freedom = total**2 / np.maximum(scatter, np.finfo(float).tiny)
    return total, np.maximum(freedom, np.minimum(seed_df, units - 1))


def _correlation(covariance: Array) -> Array:
    scale = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    return covariance / (scale[..., :, None] * scale[..., None, :])
