"""What does a forward pass leave behind, besides its output?"""

from __future__ import annotations

import copy

import torch
from torch import nn

from yolograft.doctor.ownership_checks import held
from yolograft.doctor.report import Finding, failed, passed, warned
from yolograft.doctor.specimen import Specimen, listed, run, said, shape_text, sow, supervised

PLAIN = (16, 16)


def nothing_left(specimen: Specimen) -> Finding:
    """Forward changes no mode, in evaluation no buffer, never seeds, and leaves what can be copied."""
    return (
        _copies(specimen)
        or _mode(specimen)
        or _buffers(specimen)
        or _generator(specimen)
        or _graph(specimen)
        or _loss(specimen)
        or passed("nothing_left")
    )


def _copies(specimen: Specimen) -> Finding | None:
    """Training starts by copying the detector for its moving average."""
    try:
        copy.deepcopy(specimen.fresh())
    except Exception as error:
        return failed("copy_fails", error=said(error, specimen))
    return None


def _mode(specimen: Specimen) -> Finding | None:
    for training in (True, False):
        module = specimen.fresh().train(training)
        with torch.no_grad():
            run(module, specimen.maps(PLAIN))
        flipped = [
            name or specimen.name for name, part in module.named_modules() if part.training != training
        ]
        if flipped:
            return failed("mode_changed", names=listed(flipped))
    return None


def _buffers(specimen: Specimen) -> Finding | None:
    module = specimen.stirred()
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    with torch.no_grad():
        run(module, specimen.maps(PLAIN))
    after = dict(module.named_buffers())
    changed = [name for name in after if name not in before or not _same(before[name], after[name])]
    return failed("buffers_change", names=listed(changed)) if changed else None


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())


def _generator(specimen: Specimen) -> Finding | None:
    """From two states the generator goes on to two states, unless forward seeds it."""
    for training in (True, False):
        module = specimen.fresh().train(training)
        states = []
        for seed in (0, 1):
            sow(seed, "doctor", "before forward")
            with torch.no_grad():
                run(module, specimen.maps(PLAIN))
            states.append(torch.get_rng_state())
        if torch.equal(*states):
            return failed("reseeds")
    return None


def _graph(specimen: Specimen) -> Finding | None:
    """A map kept from a training forward keeps that step's whole graph in memory."""
    module: nn.Module = specimen.fresh()
    x = specimen.maps(PLAIN).requires_grad_() * 1
    run(module, x)
    # A map may wait for the loss that the detector asks for after each forward pass, and no longer.
    supervised(module, x, PLAIN, boxes=0)
    kept = [place for place, tensor in held(module) if tensor.grad_fn is not None]
    try:
        copy.deepcopy(module)
    except Exception as error:
        return warned("graph_kept" if kept else "copy_later", names=listed(kept), error=said(error, specimen))
    return warned("graph_kept", names=listed(kept), error="") if kept else None


def _loss(specimen: Specimen) -> Finding | None:
    """What a module learns from the boxes is one number, with a box and without."""
    for boxes in (0, 1):
        module, x = specimen.fresh(), specimen.maps(PLAIN)
        if not callable(getattr(module, "supervise", None)):
            return None
        run(module, x)
        loss = supervised(module, x, PLAIN, boxes=boxes)
        if not (isinstance(loss, torch.Tensor) and loss.numel() == 1):
            shown = shape_text(loss) if isinstance(loss, torch.Tensor) else type(loss).__name__
            return failed("loss_no_scalar", result=shown)
    return None
