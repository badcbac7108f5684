"""Worlds with known truth, many studies at once: how often a verdict is wrong, how often an effect is found.

The noise is that of `variance`: luck of a seed S, image by arm I, seed by image E, all drawn anew in every
study, and judged by the very functions that judge real runs. Rates come with the simulation's own error,
sqrt(p (1 - p) / studies).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yolograft.rng import stream
from yolograft.study.statistics.bank import REFUSED_BELOW, agreement
from yolograft.study.statistics.critical import exceeds
from yolograft.study.statistics.variance import Noise, two_way

Array = NDArray[np.float64]

_CHUNK = 4_000_000


@dataclass(frozen=True, slots=True)
class World:
    """Noise of one arm's AP, in points. seed, residual, interaction: sd that S, the mean of E over the images
    and the mean of I over the images give a run's AP. ratio: by how much the last arm's S and E are larger
    than the others'. tails: of S; ``t3`` is Student's t of three degrees of freedom, scaled.
    """

    name: str
    seed: float
    residual: float
    interaction: float = 0.0
    ratio: float = 1.0
    tails: Literal["normal", "t3"] = "normal"


#: The null worlds a verdict is held to: in each of them no arm differs from the baseline.
NULLS = (
    World("balanced", 0.6, 0.8),
    World("seed-dominant", 0.95, 0.3),
    World("COCO-like", 0.13, 0.19),
    World("image interaction", 0.6, 0.8, interaction=0.89),
    World("heavy tails", 0.6, 0.8, tails="t3"),
    World("arm sd 1.5x", 0.6, 0.8, ratio=1.5),
    World("arm sd 2x", 0.6, 0.8, ratio=2.0),
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Runs of many studies. values: [studies, seeds] an arm; influences: [studies, seeds, images]; bank:
    variances [studies, groups] of earlier baseline runs, degrees: of each group.
    """

    values: tuple[Array, ...]
    influences: tuple[Array, ...]
    bank: Array
    degrees: tuple[int, ...]

    def judged(self, seeds: int | Sequence[int], *, seeds_only: bool = False) -> Noise:
        """The differences after the first ``seeds`` seeds, and the noise `stats.compare` would find.

        Args:
            seeds: of every arm, or one number an arm, baseline first. seeds_only: without influences.

        A study whose bank disagrees with its baseline goes without, as it would be told to.
        """
        each = [seeds] * len(self.values) if isinstance(seeds, int) else list(seeds)
        values = [arm[:, :k] for arm, k in zip(self.values, each, strict=True)]
        influences = None
        if not seeds_only:
            influences = [arm[:, :k] for arm, k in zip(self.influences, each, strict=True)]
        if not self.degrees:
            return two_way(values, influences)
        own = np.concatenate([self.bank, values[0].var(axis=1, ddof=1)[:, None]], axis=1)
        refused = agreement(own, (*self.degrees, each[0] - 1)) < REFUSED_BELOW
        df = np.array(self.degrees)
        pooled = (self.bank * df).sum(axis=1) / df.sum()
        with_bank = two_way(values, influences, bank=(pooled, int(df.sum())))
        without = two_way(values, influences)
        return Noise(
            *(
                np.where(refused.reshape(-1, *[1] * (one.ndim - 1)), two, one)
                for one, two in ((getattr(with_bank, n), getattr(without, n)) for n in _PARTS)
            ),
            correlation=_chosen(refused, without.correlation, with_bank.correlation),
        )


_PARTS = ("delta", "seed", "image", "interaction", "total", "df", "sd", "seed_df")


def draw(
    world: World,
    *,
    studies: int,
    seeds: int,
    arms: int = 1,
    effects: Sequence[float] = (),
    images: int = 100,
    bank: Sequence[int] = (),
) -> Iterator[Drawn]:
    """Studies in chunks that fit memory.

    Args:
        arms: candidates beside the baseline. effects: their true differences in AP points, 0 if left out.
        images: of the evaluation split. bank: runs in each earlier group of baseline runs.
    """
    size = max(1, _CHUNK // (seeds * images * (arms + 1)))
    for first in range(0, studies, size):
        rng = stream(1, "simulate", world.name, seeds, arms, images, first)
        yield _chunk(
            world, rng, (min(size, studies - first), seeds, images), arms, tuple(effects), tuple(bank)
        )


def _chunk(
    world: World,
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    arms: int,
    effects: tuple[float, ...],
    bank: tuple[int, ...],
) -> Drawn:
    studies, seeds, images = shape
    values, influences = [], []
    for arm in range(arms + 1):
        ratio = world.ratio if arm == arms else 1.0
        psi = rng.normal(0, ratio * world.residual * images**0.5, shape)
        psi += rng.normal(0, world.interaction * images**0.5, (studies, 1, images))
        mean = psi.mean(axis=2)
        effect = effects[arm - 1] if 0 < arm <= len(effects) else 0.0
        values.append(effect + mean + ratio * world.seed * _luck(world, rng, (studies, seeds)))
        influences.append(psi - mean[:, :, None])
    groups = [
        (world.residual * rng.normal(size=(studies, runs)) + world.seed * _luck(world, rng, (studies, runs)))
        .var(axis=1, ddof=1)
        for runs in bank
    ]  # fmt: skip
    spread = np.stack(groups, axis=1) if groups else np.zeros((studies, 0))
    return Drawn(tuple(values), tuple(influences), spread, tuple(runs - 1 for runs in bank))


def _luck(world: World, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_t(3, shape) / 3**0.5 if world.tails == "t3" else rng.normal(size=shape)


def found(noise: Noise, *, alpha: float) -> NDArray[np.bool_]:
    """Which arms are said to differ, [studies, arms], whatever the direction."""
    if noise.correlation is None:
        raise ValueError("the paired form has no common critical value")
    return exceeds(noise.delta / np.sqrt(noise.total), noise.df, noise.correlation, alpha=alpha)


def rate(
    world: World, *, seeds: int, studies: int = 5000, alpha: float = 0.05, arms: int = 1, images: int = 100
) -> float:
    """Share of studies in which any arm of a null world is said to help or hurt."""
    chunks = [found(one.judged(seeds), alpha=alpha).any(axis=1)
              for one in draw(world, seeds=seeds, studies=studies, arms=arms, images=images)]  # fmt: skip
    return float(np.concatenate(chunks).mean())


def seed_rate(
    ratio: float, *, seeds: tuple[int, int], studies: int = 20_000, bank: Sequence[int] = ()
) -> float:
    """Share of null studies, judged on seeds alone, in which one arm is said to help or hurt.

    Args:
        ratio: how much noisier the arm is than the baseline. seeds: of baseline and arm.
        bank: runs in each earlier group of baseline runs.
    """
    world = World("seeds alone", 1.0, 0.0, ratio=ratio)
    chunks = [found(one.judged(seeds, seeds_only=True), alpha=0.05)[:, 0]
              for one in draw(world, studies=studies, seeds=max(seeds), images=1, bank=bank)]  # fmt: skip
    return float(np.concatenate(chunks).mean())


def sequential(drawn: Drawn, looks: Sequence[int], alphas: Sequence[float]) -> NDArray[np.bool_]:
    """Which arms are said to differ at any of the looks, each at its own level, [studies, arms]."""
    said = [found(drawn.judged(k), alpha=alpha) for k, alpha in zip(looks, alphas, strict=True)]
    return np.any(said, axis=0)


def _chosen(which: NDArray[np.bool_], one: Array | None, other: Array | None) -> Array | None:
    return None if one is None or other is None else np.where(which[:, None, None], one, other)
