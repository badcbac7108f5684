"""How uncertain a difference of two arms is, over seeds and over images. All in AP points, squared.

Run k of arm a scores  AP_ka = mu_a + S_ka + mean_i(C_i + I_ai + E_kai):  S is the luck of a seed, C_i how
hard image i is for all, I_ai how image i suits arm a whatever the seed, E_kai what is left. The influence
psi_ka of image i estimates C_i + I_ai + E_kai less its mean; there are N units (images, or groups of them).

Seeds.  V_seed = s0^2 / K0 + s_arm^2 / K_arm, each s^2 the larger of the variance pooled over all arms and
the arm's own; earlier baseline runs (a bank) count as the baseline's. Every s^2 holds var(S) + var(E) / N.
The degrees of freedom are the pooled ones. Pooled t: Student 1908; unequal noise and few seeds: Colas et
al. 2019, arXiv 1904.06979.

Images. With D_i the difference of the two arms' mean influences, V_img = var_i(D) / N. Its mean is
var(I_arm - I_base) / N plus the sum over both arms of var(E_a) / (K_a N). V_seed holds that second part
already, so it is taken off once:

- unpaired: V_int = sum over both arms of [sum_k var_i(psi_ka - mean_k psi_a) / (K_a - 1)] / (K_a N). No run
  is matched with another, so K may differ. Runs that share a seed are correlated; V_seed leaves that
  covariance in, 2 (cov(S) + cov(E) / N) / K too much, V_img - V_int takes 2 cov(E) / (K N) of it off, and
  the sum stays too large by 2 cov(S) / K: on the safe side for every correlation of zero or more.
- paired, with D_ki = psi_arm,ki - psi_base,ki: V_int = [sum_k var_i(D_k - mean D) / (K - 1)] / (K N).

V = max(V_seed + max(V_img - V_int, 0), V_img): the two-way logic of Cameron, Gelbach and Miller 2011
(doi 10.1198/jbes.2010.07136) with a floor. Degrees of freedom after Satterthwaite 1946, N - 1 for V_img and
(K_a - 1)(N - 1) for each part of V_int, and never below the seeds' own or N - 1, whichever is less.
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


@dataclass(frozen=True, slots=True)
class Noise:
    """Differences to the baseline and their variances; leading axes are independent studies.

    delta, seed, image, interaction, total, df: [..., arms]; seed is V_seed, image V_img, interaction V_int,
    total V. image and interaction are nan where only seeds are known. sd: [..., 1 + arms], the governing
    run-to-run sd, baseline first; in the paired form of the differences, the baseline's nan. seed_df:
    degrees of freedom of the seeds alone. correlation: [..., arms, arms] of the differences; None where
    it is not estimated.
    """

    delta: Array
    seed: Array
    image: Array
    interaction: Array
    total: Array
    df: Array
    sd: Array
    seed_df: int
    correlation: Array | None


def sample_variance(values: Sequence[float]) -> float:
    """Sample variance (ddof 1); 0 below two different values."""
    # Rounding in the mean would give equal values a variance near 1e-34 instead of none.
    return float(np.var(values, ddof=1)) if len(set(values)) > 1 else 0.0


def governing_variances(own: Array, counts: NDArray[np.integer]) -> tuple[Array, int]:
    """The variance each arm is judged with, [..., arms], and the pooled degrees of freedom.

    Args:
        own: sample variances (ddof 1), [..., arms]; leading axes are independent studies.
        counts: finished runs per arm, [arms]; an arm with fewer than two adds nothing to the pool. An arm
            whose variance rests on d degrees of freedom counts as d + 1 runs.
    """
    weight = np.maximum(np.asarray(counts) - 1, 0)
    df = int(weight.sum())
    usable = np.where(weight > 0, own, 0.0)
    pooled = (usable * weight).sum(axis=-1, keepdims=True) / max(df, 1)
    return np.maximum(np.maximum(usable, pooled), SD_FLOOR**2), df


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
    variance, df = governing_variances(own, degrees)
    each = variance / counts
    seed = each[..., :1] + each[..., 1:]
    delta = means[..., 1:] - means[..., :1]
    covariance = np.broadcast_to(each[..., :1, None], (*seed.shape, seed.shape[-1])).copy()
    diagonal = np.arange(seed.shape[-1])
    covariance[..., diagonal, diagonal] = seed
    if influences is None:
        unknown = np.full_like(seed, np.nan)
        degrees_of_freedom = np.full_like(seed, float(df))
        return Noise(
            delta, seed, unknown, unknown, seed, degrees_of_freedom,
            np.sqrt(variance), df, _correlation(covariance),
        )  # fmt: skip
    of_images = _image_covariance([arm.mean(axis=-2) for arm in influences])
    image = of_images[..., diagonal, diagonal]
    units = influences[0].shape[-1]
    inside = np.stack([_residual(arm) for arm in influences], axis=-1)
    spread = _squared_over_df(inside, np.maximum(counts - 1, 1) * (units - 1))
    interaction = inside[..., :1] + inside[..., 1:]
    total, freedom = _together(seed, df, image, interaction, spread[..., :1] + spread[..., 1:], units)
    # Sums of two covariance matrices are one, so this correlation is always possible; interaction counts
    # twice in it, which moves it little: seeds and images alike share half, the baseline's half.
    correlation = _correlation(covariance + of_images)
    return Noise(delta, seed, image, interaction, total, freedom, np.sqrt(variance), df, correlation)


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
    sd = np.concatenate([np.full_like(variance, np.nan), np.sqrt(variance)], axis=-1)
    if influences is None:
        unknown = np.full_like(seed, np.nan)
        return Noise(delta, seed, unknown, unknown, seed, np.full_like(seed, k - 1.0), sd, k - 1, None)
    changes = influences[1] - influences[0]
    units = changes.shape[-1]
    image = changes.mean(axis=-2).var(axis=-1, ddof=1)[..., None] / units
    interaction = _residual(changes)[..., None]
    spread = _squared_over_df(interaction, np.array([max(k - 1, 1) * (units - 1)]))
    total, freedom = _together(seed, k - 1, image, interaction, spread, units)
    return Noise(delta, seed, image, interaction, total, freedom, sd, k - 1, None)


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
    seed: Array, seed_df: int, image: Array, interaction: Array, interaction_spread: Array, units: int
) -> tuple[Array, Array]:
    """V and its degrees of freedom."""
    beyond = np.maximum(image - interaction, 0.0)
    total = np.maximum(seed + beyond, image)
    most = seed**2 / max(seed_df, 1)
    scatter = np.where(beyond > 0, most + image**2 / (units - 1) + interaction_spread, most)
    scatter = np.where(image > seed + beyond, image**2 / (units - 1), scatter)
    freedom = total**2 / np.maximum(scatter, np.finfo(float).tiny)
    return total, np.maximum(freedom, min(seed_df, units - 1))


def _correlation(covariance: Array) -> Array:
    scale = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    return covariance / (scale[..., :, None] * scale[..., None, :])
