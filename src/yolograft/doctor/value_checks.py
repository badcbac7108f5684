"""Are the values sane: finite, of each image alone, of each position, repeatable, of a sensible size?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from itertools import product

import torch
from torch import Tensor, nn

from yolograft.doctor.report import Finding, failed, passed, warned
from yolograft.doctor.specimen import Specimen, relative_error, run, said, sow

PLAIN, SMALL, ODD = (16, 16), (6, 9), (13, 20)
DOUBLE_ERROR, FLOAT_ERROR = 1e-9, 1e-4
FLAT = 1e-6
# Output over input at initialisation: outside, the layers around it start from nothing or from noise.
QUIETEST, LOUDEST = 0.05, 20.0
# Below, trained features lose much of their size in the first step. A gate that differs from a constant by
# less than this share of the output does not choose anything yet.
DAMPED, CONSTANT = 0.7, 0.02


def finite(specimen: Specimen) -> Finding:
    """Output and gradients are finite, on constant maps and on a single pixel too."""
    cases = {
        "noise": specimen.maps(PLAIN),
        "zeros": torch.zeros_like(specimen.maps(PLAIN)),
        "ones": torch.ones_like(specimen.maps(PLAIN)),
        "pixel": specimen.maps((1, 1)),
    }
    for training, (case, x) in product((False, True), cases.items()):
        module = specimen.fresh().train(training)
        try:
            bad = _not_finite(module, x, backward=training)
        except Exception:
            if case == "pixel":
                continue  # the check of shapes reports a size that does not run
            raise
        if bad:
            return failed(f"not_finite_{case}", map=list(x.shape), what=bad[0], where=bad[1])
    module = specimen.fresh().eval()
    for part in module.modules():
        if isinstance(getattr(part, "running_mean", None), Tensor) and isinstance(part.weight, Tensor):
            part.weight.data.zero_()
    if bad := _not_finite(module, cases["noise"], backward=False):
        return failed("not_finite_gamma", what=bad[0])
    return passed("finite")


def _not_finite(module: nn.Module, x: Tensor, *, backward: bool) -> tuple[str, str] | None:
    """(nan or inf, where) of the first tensor with such a value, or None."""
    leaf = x.clone().requires_grad_()
    y = run(module, leaf * 1)
    if not bool(y.isfinite().all()):
        return _kind(y), "y"
    if backward and y.requires_grad:
        (y * y.detach().add(1)).sum().backward()
    gradients = {"x": leaf.grad, **{name: p.grad for name, p in module.named_parameters()}}
    for name, gradient in gradients.items():
        if gradient is not None and not bool(gradient.isfinite().all()):
            return _kind(gradient), f"d/d {name}"
    return None


def _kind(values: Tensor) -> str:
    return "nan" if bool(values.isnan().any()) else "inf"


def untouched(specimen: Specimen) -> Finding:
    """The input is not written into: other layers read the same tensor."""
    for training in (False, True):
        module = specimen.fresh().train(training)
        x = specimen.maps(PLAIN)
        before, version = x.clone(), x._version
        with torch.no_grad():
            module(x)
        if not torch.equal(x, before) or x._version != version:
            return failed("writes_input")
    return passed("input_kept")


def _exactly(specimen: Specimen, x: Tensor) -> tuple[nn.Module, Tensor, float]:
    """The stirred module in float64, in float32 where it cannot, with the error that is rounding."""
    module = specimen.stirred().double()
    try:
        with torch.no_grad():
            run(module, x.double())
    except Exception:
        return specimen.stirred(), x, FLOAT_ERROR
    return module, x.double(), DOUBLE_ERROR


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def _run_from(start: Mapping[str, Tensor], module: nn.Module, x: Tensor) -> Tensor:
    """Run with these buffers: that forward writes into them is found by a check of its own."""
    for name, buffer in module.named_buffers():
        if name in start:
            buffer.copy_(start[name])
    return run(module, x)


def batch(specimen: Specimen) -> Finding:
    """In eval mode an image's output is its own, whoever stands beside it."""
    module, x, rounding = _exactly(specimen, specimen.maps(SMALL, batch=4))
    with torch.no_grad(), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        start = _buffers(module)
        together = run(module, x.clone())
        try:
            alone = torch.cat([_run_from(start, module, image[None].clone()) for image in x])
        except Exception as error:
            return failed("one_image_fails", error=said(error, specimen))
    if alone.shape != together.shape:
        return failed("one_image_fails", error=f"{list(together.shape)} / {list(alone.shape)}")
    error = relative_error(together, alone)
    if error > rounding:
        implicit = any("Implicit dimension choice" in str(warning.message) for warning in heard)
        return failed("softmax_over_batch" if implicit else "batch_mixed", change=_percent(error))
    return passed("images_apart")


def position(specimen: Specimen) -> Finding:
    """The output varies over the map where the input does."""
    with torch.no_grad():
        y = run(specimen.stirred(), specimen.maps(ODD)).double()
    if y.ndim != 4:
        return failed("no_map", shape=list(y.shape))
    spread = float(y.std(dim=(2, 3)).max())
    return failed("flat") if spread <= FLAT * float(y.abs().max()) else passed("varies")


def deterministic(specimen: Specimen) -> Finding:
    """Two evaluations of one map are equal, whatever the state of the random generator."""
    module, x = specimen.stirred(), specimen.maps(ODD)
    answers = []
    start = _buffers(module)
    with torch.no_grad():
        for seed in (0, 1):
            sow(seed, "doctor", "evaluation")
            answers.append(_run_from(start, module, x.clone()))
    if not torch.equal(*answers) and not bool(answers[0].isnan().all()):
        return failed("not_repeated", change=_percent(relative_error(answers[1], answers[0])))
    return passed("repeated")


def scale(specimen: Specimen) -> Finding:
    """At the start the output is about as large as the input.

    Evaluation comes after one training forward: norms of weights and batches estimate in training.
    """
    ratios: dict[str, float] = {}
    x, module = specimen.maps(PLAIN, batch=4), specimen.fresh()
    with torch.no_grad():
        for training in (True, False):
            y = run(module.train(training), x.clone())
            ratios["training" if training else "evaluation"] = float(y.std() / x.std())
    values = {name: f"{ratio:.2g}" for name, ratio in ratios.items()}
    if any(not ratio <= LOUDEST for ratio in ratios.values()):
        return failed("loud", most=f"{LOUDEST:g}", **values)
    if min(ratios.values()) < QUIETEST:
        return failed("quiet", least=f"{QUIETEST:g}", **values)
    factor, rest = _multiple(specimen, module)
    if rest < CONSTANT and not abs(factor - 1) < CONSTANT:
        return warned("only_scales", factor=f"{factor:.2g}", rest=f"{100 * rest:.1g}")
    return passed("damped" if min(ratios.values()) < DAMPED else "sized", **values)


def _multiple(specimen: Specimen, module: nn.Module) -> tuple[float, float]:
    """The number an input is best multiplied with to get the output, and what is left over, relative to that.

    The channels of the input have means of their own: gates that look at means alone have something to see.
    """
    x = specimen.maps(PLAIN, batch=4) + 2 * specimen.maps((1, 1), batch=4, seed=1)
    with torch.no_grad():
        y = run(module.train(), x.clone())
    if x.shape != y.shape:
        return 1.0, 1.0
    factor = float((x * y).sum() / (x * x).sum())
    return factor, float((y - factor * x).norm() / y.norm().clamp(min=1e-30))


def state_dict(specimen: Specimen) -> Finding:
    """What was trained comes back out of a state dict, into an instance with other initial weights."""
    trained = specimen.stirred(1).train()
    with torch.no_grad():
        for seed in (2, 3):
            run(trained, specimen.maps(PLAIN, seed=seed))
        other = specimen.fresh(2)
        try:
            other.load_state_dict(trained.state_dict(), strict=True)
        except RuntimeError as error:
            return failed("state_refused", error=said(error, specimen))
        x = specimen.maps(ODD)
        kept, loaded = (run(module.eval(), x.clone()) for module in (trained, other))
    if not _same(kept, loaded):
        return failed("state_lost", change=_percent(relative_error(loaded, kept)))
    return passed("state_kept", count=len(trained.state_dict()))


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(math.pi), other.nan_to_num(math.pi))


def _percent(error: float) -> str:
    return f"{100 * error:.2g} %" if math.isfinite(error) else "inf"
