"""Each loss against a literal computation in double precision, its zeros, and what leaves it alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from yolograft.distill.cwd import channel_divergence
from yolograft.distill.ld import edge_divergence
from yolograft.distill.logit import LEAST, MOST, binary_divergence
from yolograft.distill.mgd import squared_error, visible

TAUS = (0.5, 1.0, 4.0)


def drawn(*shape: int, seed: int, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kl(teacher: list[float], student: list[float]) -> float:
    """sum t log(t / s), as a textbook writes it."""
    return sum(t * math.log(t / s) for t, s in zip(teacher, student, strict=True))


def softmax(values: list[float]) -> list[float]:
    raised = [math.exp(value) for value in values]
    return [value / sum(raised) for value in raised]


def cwd_by_loops(student: Tensor, teacher: Tensor, tau: float) -> float:
    batch, channels = student.shape[:2]
    total = 0.0
    for b in range(batch):
        for c in range(channels):
            its, mine = (
                softmax([value / tau for row in x[b, c].tolist() for value in row])
                for x in (teacher, student)
            )
            total += kl(its, mine)
    return tau**2 / (channels * batch) * total


def ld_by_loops(student: Tensor, teacher: Tensor, tau: float) -> np.ndarray:
    out = np.zeros(student.shape[:2])
    for b, a in np.ndindex(*out.shape):
        for edge in range(4):
            its, mine = (softmax([v / tau for v in x[b, a, edge].tolist()]) for x in (teacher, student))
            out[b, a] += tau**2 * kl(its, mine) / 4
    return out


def logit_by_loops(student: Tensor, teacher: Tensor, tau: float) -> np.ndarray:
    def softened(p: float) -> list[float]:
        p = min(max(p, LEAST), MOST)
        yes = 1 / (1 + ((1 - p) / p) ** (1 / tau))
        return [yes, 1 - yes]

    out = np.zeros(student.shape)
    for index in np.ndindex(*student.shape):
        out[index] = tau**2 * kl(softened(float(teacher[index])), softened(float(student[index])))
    return out


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("shape", [(2, 3, 5, 3), (1, 1, 1, 7)])
def test_cwd_is_the_formula_of_the_paper(tau: float, shape: tuple[int, ...]) -> None:
    student, teacher = drawn(*shape, seed=1), drawn(*shape, seed=2)
    got = channel_divergence(student, teacher, tau=tau).item()
    assert got == pytest.approx(cwd_by_loops(student, teacher, tau), rel=1e-12)
    # The planted fault: KL the other way round is another number.
    assert abs(got - cwd_by_loops(teacher, student, tau)) > 1e-3


@pytest.mark.parametrize("tau", TAUS)
def test_ld_is_the_formula_of_the_paper(tau: float) -> None:
    student, teacher = drawn(2, 5, 4, 6, seed=3), drawn(2, 5, 4, 6, seed=4)
    got = edge_divergence(student, teacher, tau=tau).numpy()
    np.testing.assert_allclose(got, ld_by_loops(student, teacher, tau), rtol=1e-12)


@pytest.mark.parametrize("tau", TAUS)
def test_logit_is_binary_kl(tau: float) -> None:
    student, teacher = drawn(2, 5, 3, seed=5).sigmoid(), drawn(2, 5, 3, seed=6).sigmoid()
    teacher[0, 0] = torch.tensor([0.0, 1.0, 0.5])
    got = binary_divergence(student, teacher, tau=tau).numpy()
    np.testing.assert_allclose(got, logit_by_loops(student, teacher, tau), rtol=1e-9)


@pytest.mark.parametrize("tau", TAUS)
def test_who_is_most_wrong_has_most_to_learn(tau: float) -> None:
    """The slope in a student's own logit is tau (q - p) of the softened scores, at a score of 1e-9 too."""
    teacher = torch.full((4,), 0.9)
    p = 1 / (1 + (0.1 / 0.9) ** (1 / tau))
    z = torch.tensor([-9.0, -18.0, -20.7, -40.0], requires_grad=True)
    binary_divergence(z.sigmoid(), teacher, tau=tau).sum().backward()
    want = [tau * (1 / (1 + math.exp(-value / tau)) - p) for value in z.tolist()]
    assert z.grad is not None and z.grad.tolist() == pytest.approx(want, rel=1e-4)
    # Objectness times class: either of them learns as much.
    parts = torch.full((2, 4), -9.5, requires_grad=True)
    binary_divergence(parts.sigmoid().prod(0), teacher, tau=tau).sum().backward()
    slope = tau * (1 / (1 + math.exp(19 / tau)) - p)
    assert parts.grad is not None and parts.grad.flatten().tolist() == pytest.approx([slope] * 8, rel=1e-3)


@pytest.mark.parametrize("tau", TAUS)
def test_scores_of_0_and_1_are_finite(tau: float) -> None:
    ends = torch.tensor([0.0, 1e-45, 1e-30, 1e-20, 1e-9, 0.5, 1 - 1e-7, 1 - 2**-24, 1.0])
    student, teacher = (x.flatten().clone() for x in torch.meshgrid(ends, ends, indexing="ij"))
    # The scale of a loss in half precision.
    loss = 2**16 * binary_divergence(student.requires_grad_(), teacher, tau=tau)
    loss.sum().backward()
    assert student.grad is not None and torch.isfinite(loss).all() and torch.isfinite(student.grad).all()


def test_mgd_is_a_mean_square_of_what_was_made() -> None:
    made, teacher = drawn(2, 3, 4, 5, seed=7), drawn(2, 3, 4, 5, seed=8)
    want = sum((a - b) ** 2 for a, b in zip(made.flatten().tolist(), teacher.flatten().tolist(), strict=True))
    assert squared_error(made, teacher).item() == pytest.approx(want / made.numel(), rel=1e-12)


Divergence = Callable[..., Tensor]
CASES = [
    (channel_divergence, lambda seed: drawn(2, 3, 4, 5, seed=seed)),
    (edge_divergence, lambda seed: drawn(2, 5, 4, 6, seed=seed)),
    (binary_divergence, lambda seed: drawn(2, 5, 3, seed=seed).sigmoid()),
]


@pytest.mark.parametrize(("divergence", "make"), CASES, ids=["cwd", "ld", "logit"])
def test_a_student_that_equals_its_teacher_has_nothing_to_learn(
    divergence: Divergence, make: Callable[[int], Tensor]
) -> None:
    teacher, student = make(1), make(1).requires_grad_()
    loss = divergence(student, teacher, tau=2.0).sum()
    loss.backward()
    assert loss.item() == 0.0
    assert student.grad is not None and student.grad.abs().max().item() < 1e-13
    other = make(2).requires_grad_()
    apart = divergence(other, teacher, tau=2.0).sum()
    apart.backward()
    assert apart.item() > 1e-3
    assert other.grad is not None and other.grad.abs().max().item() > 1e-6


@settings(max_examples=15)
@given(st.floats(-50, 50), st.floats(0.5, 4))
def test_what_a_softmax_does_not_see_a_loss_does_not_see(shift: float, tau: float) -> None:
    student, teacher = drawn(1, 2, 3, 4, seed=9), drawn(1, 2, 3, 4, seed=10)
    loss = channel_divergence(student, teacher, tau=tau)
    moved = channel_divergence(student + shift, teacher - shift, tau=tau)
    torch.testing.assert_close(moved, loss, rtol=1e-9, atol=1e-12)
    # Maps and temperature scaled alike: the distributions are the same, the loss tau^2 of them.
    scaled = channel_divergence(3 * student, 3 * teacher, tau=3 * tau)
    torch.testing.assert_close(scaled, 9 * loss, rtol=1e-9, atol=1e-12)


def test_a_hot_temperature_compares_logits_by_their_variance() -> None:
    """tau^2 KL -> half the variance over bins of the difference of logits (second order of KL)."""
    student, teacher = drawn(1, 3, 4, 16, seed=11), drawn(1, 3, 4, 16, seed=12)
    want = (teacher - student).var(-1, correction=0).mean(-1) / 2
    torch.testing.assert_close(edge_divergence(student, teacher, tau=1e4), want, rtol=1e-3, atol=0)


def test_half_precision_maps_are_compared_in_single() -> None:
    student, teacher = (drawn(2, 3, 8, 8, seed=seed).to(torch.bfloat16) for seed in (13, 14))
    alone = channel_divergence(student.float(), teacher.float(), tau=1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = channel_divergence(student, teacher, tau=1.0)
    assert got.dtype is torch.float32 and torch.equal(got, alone)


def test_small_scores_do_not_cancel_to_noise() -> None:
    """In single precision, scores of 1e-4 that differ by a hundredth: d^2 p (1 - p) / 2 to a percent."""
    teacher = torch.full((1000,), 1e-4)
    got = binary_divergence(1.01 * teacher, teacher, tau=1.0).double()
    want = math.log(1.01) ** 2 * 1e-4 / 2
    assert got.min() > 0.9 * want and got.max() < 1.1 * want


@pytest.mark.parametrize("mask", [0.0, 0.3, 0.65])
def test_the_share_that_is_hidden(mask: float) -> None:
    left = visible(torch.zeros(4, 7, 64, 64), mask=mask, seed=5)
    assert left.shape == (4, 1, 64, 64) and set(left.unique().tolist()) <= {0.0, 1.0}
    spread = math.sqrt(mask * (1 - mask) / left.numel())
    assert abs(1 - left.mean().item() - mask) <= 5 * spread


def test_masks_follow_from_their_seed_alone() -> None:
    like = torch.zeros(1, 2, 9, 7, dtype=torch.bfloat16)
    torch.manual_seed(1)
    first, state = visible(like, mask=0.5, seed=3), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(visible(like, mask=0.5, seed=3), first) and first.dtype is torch.bfloat16
    assert not torch.equal(visible(like, mask=0.5, seed=4), first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)
