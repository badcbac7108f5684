"""Can everything in it be trained, and is its gradient the derivative of what it computes?"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from yolograft.doctor.report import Finding, failed, passed, skipped, warned
from yolograft.doctor.specimen import Specimen, listed, run, said, sow, supervised

SMALL, OTHER = (7, 6), (8, 9)
STEPS = (1e-4, 3e-5)
# Slopes that differ more are two functions; step sizes that disagree more say the place is not smooth.
FALSE, ROUGH, NOISE = 1e-2, 1e-3, 1e-6
THE_INPUT = "the input"


def _loss(module: nn.Module, x: Tensor, seed: int) -> Tensor:
    sow(seed, "doctor", "dropout")
    y = run(module, x)
    sow(seed, "doctor", "weights of the loss")
    return (y * torch.randn(y.shape).to(y.dtype)).sum()


def gradient(specimen: Specimen) -> Finding:
    """Every parameter and the input receive a gradient; those that do not are told apart by their reason.

    From the output, or from the boxes where the module is supervised.
    """
    module = specimen.stirred().train()
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        return warned("frozen", count=len(parameters))
    reached: dict[str, bool] = {name: False for name, p in module.named_parameters() if p.requires_grad}
    into_input = False
    for seed, size in enumerate((SMALL, OTHER)):
        module.zero_grad(set_to_none=True)
        leaf = specimen.maps(size, batch=3, seed=seed).requires_grad_()
        # In a network the input is no leaf: a module may write into what a leaf would refuse.
        loss, own = _loss(module, leaf * 1, seed), supervised(module, leaf, size, boxes=1)
        # What learns from the boxes need not change the output.
        (loss + own.sum() if isinstance(own, Tensor) else loss).backward()
        into_input |= leaf.grad is not None and bool((leaf.grad != 0).any())
        for name, parameter in module.named_parameters():
            if name in reached:
                reached[name] |= parameter.grad is not None and bool((parameter.grad != 0).any())
    missed = [name for name, hit in reached.items() if not hit]
    if missed:
        return _explain(specimen, module, missed)
    if not into_input:
        return failed("input_cut")
    return passed("all_reached", count=len(reached))


def _explain(specimen: Specimen, module: nn.Module, missed: list[str]) -> Finding:
    """A parameter without gradient is dead where it never changes the output, cut off where it does."""
    parameters = dict(module.named_parameters())
    x = specimen.maps(OTHER, batch=3)

    def outputs() -> list[Tensor]:
        answers = []
        for training in (True, False):
            sow(0, "doctor", "dropout")
            answers.append(run(module.train(training), x.clone()))
        return answers

    dead, cut = [], []
    with torch.no_grad():
        for name in missed:
            before = outputs()
            parameters[name].add_(1 + torch.rand_like(parameters[name]))
            same = all(torch.equal(a, b) for a, b in zip(before, outputs(), strict=True))
            (dead if same else cut).append(name)
    return failed("cut_off", names=listed(cut)) if cut else failed("dead", names=listed(dead))


def derivative(specimen: Specimen) -> Finding:
    """The gradient is the slope that finite differences measure, in float64 and along a random direction.

    What is taken through ``.data``, ``.detach()`` or ``no_grad`` changes the output without a gradient:
    autograd then answers for another function than the one computed.
    """
    module = specimen.stirred().double()
    x = specimen.maps(SMALL, dtype=torch.float64)
    try:
        with torch.no_grad():
            first, again = _loss(module, x.clone(), 0), _loss(module, x.clone(), 0)
    except Exception as error:
        return skipped("not_in_double", error=said(error, specimen))
    if first != again:
        return skipped("not_repeatable")
    slopes = list(_slopes(module, x))
    top = max((abs(measured) for _, _, measured, _ in slopes), default=0.0)
    smooth = [row for row in slopes if row[3] <= ROUGH * abs(row[2]) + NOISE * top]
    wrong = [
        (name, by_autograd, measured)
        for name, by_autograd, measured, _ in smooth
        if abs(by_autograd - measured) > FALSE * max(abs(by_autograd), abs(measured)) + 10 * NOISE * top
    ]
    if wrong:
        return _judged(wrong, top)
    if not smooth:
        return skipped("not_smooth")
    return passed("slopes_agree", count=len(smooth))


def _judged(wrong: list[tuple[str, float, float]], top: float) -> Finding:
    """A parameter that moves nothing and has a gradient all the same stands before a step function.

    Its gradient is a substitute, as of a straight-through gate: nobody gets that by accident.
    """
    flat = [name for name, _, measured in wrong if name != THE_INPUT and abs(measured) <= 10 * NOISE * top]
    if flat and len(flat) == sum(name != THE_INPUT for name, _, _ in wrong):
        return warned("substitute", names=listed(flat))
    name, by_autograd, measured = wrong[0]
    return failed("not_the_slope", name=name, autograd=_short(by_autograd), real=_short(measured))


def _slopes(module: nn.Module, x: Tensor) -> Iterator[tuple[str, float, float, float]]:
    """(name, slope by autograd, measured slope, disagreement of two step sizes), the input first."""
    leaf = x.clone().requires_grad_()
    module.zero_grad(set_to_none=True)
    _loss(module, leaf * 1, 0).backward()
    gradients = {THE_INPUT: leaf.grad, **{n: p.grad for n, p in module.named_parameters()}}
    moved = {THE_INPUT: x, **dict(module.named_parameters())}
    for index, (name, tensor) in enumerate(moved.items()):
        if name != THE_INPUT and not tensor.requires_grad:
            continue
        sow(index, "doctor", "direction")
        direction = torch.randn(tensor.shape).to(tensor.dtype)
        direction /= direction.norm()
        known = gradients[name]
        by_autograd = 0.0 if known is None else float((known * direction).sum())
        measured = [_measured(module, x, tensor, direction, step) for step in STEPS]
        yield name, by_autograd, measured[1], abs(measured[0] - measured[1])


def _measured(module: nn.Module, x: Tensor, tensor: Tensor, direction: Tensor, step: float) -> float:
    with torch.no_grad():
        kept = tensor.detach().clone()
        sides = []
        for sign in (1, -1):
            tensor.copy_(kept + sign * step * direction)
            sides.append(float(_loss(module, x.clone(), 0)))
        tensor.copy_(kept)
    return (sides[0] - sides[1]) / (2 * step)


def _short(number: float) -> str:
    return f"{number:.3g}"
