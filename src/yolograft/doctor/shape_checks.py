"""Does it build, run, and keep what it promises about shapes, options and parameters?"""

from __future__ import annotations

import dis
from dataclasses import replace
from itertools import product
from types import FunctionType

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from yolograft.doctor.report import Finding, failed, passed, skipped, warned
from yolograft.doctor.specimen import SWALLOWED, Size, Specimen, listed, run, said, shape_text
from yolograft.errors import YolograftError

PLAIN: Size = (16, 16)
NARROW = 16
# P3 of a square and of a wide image of 640 px or more.
LARGE: tuple[Size, ...] = ((80, 80), (48, 96))
NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")
# Square, odd, one row, one column, one pixel.
SIZES: tuple[Size, ...] = (PLAIN, (13, 20), (1, 7), (7, 1), (1, 1))


def builds(specimen: Specimen) -> Finding:
    """The constructor runs."""
    _, note = specimen.construct()
    return passed("built", call=note.rpartition(" -> ")[2] or f"{specimen.name}({specimen.channels})")


def runs(specimen: Specimen) -> Finding:
    """One plain map goes through."""
    x = specimen.maps(PLAIN)
    try:
        with torch.no_grad():
            y = specimen.fresh().eval()(x)
    except Exception as error:
        text = said(error, specimen)
        if "positional argument" in text and "forward" in text:
            return failed("several_inputs", error=text)
        return failed("does_not_run", map=shape_text(x), error=text)
    if not isinstance(y, Tensor):
        return failed("no_tensor", kind=type(y).__name__)
    return passed("runs", map=shape_text(x), result=shape_text(y))


def options(specimen: Specimen) -> Finding:
    """An option that does not exist is refused, and one that does is read."""
    try:
        specimen.construct(**{SWALLOWED: 1})
    except (Exception, SystemExit):
        unread = _unread(specimen)
        return warned("option_unread", names=listed(unread)) if unread else passed("option_refused")
    return failed("option_swallowed", name=specimen.name)


def _unread(specimen: Specimen) -> list[str]:
    """Parameters of the user's constructor that its code never loads."""
    init = specimen.user.cls.__init__ if specimen.user else None
    if not isinstance(init, FunctionType):
        return []
    code = init.__code__
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    # An inner function, or locals() and the like, may read what the code itself does not load.
    if {"locals", "vars"} & set(code.co_names):
        return []
    # Newer interpreters load two names in one instruction.
    loaded: set[str] = set(code.co_cellvars)
    for step in dis.get_instructions(code):
        if step.opname.startswith("LOAD") or "LOAD_FAST" in step.opname:
            loaded.update(step.argval if isinstance(step.argval, tuple) else (step.argval,))
    return [name for name in names if name not in loaded]


def narrow(specimen: Specimen) -> Finding:
    """Few channels pass too: ``channels // reduction`` needs a floor where a map has less than reduction."""
    small = replace(specimen, channels=min(NARROW, specimen.channels))
    try:
        with torch.no_grad():
            run(small.fresh().eval(), small.maps(PLAIN))
    except (Exception, SystemExit) as error:
        return warned("narrow_fails", channels=small.channels, error=said(error, specimen))
    return passed("narrow", channels=small.channels)


def promised(specimen: Specimen, module: nn.Module, size: Size, batch: int) -> tuple[int, ...]:
    """The output shape that the declared ``out_channels`` and ``stride`` stand for."""
    channels, stride = _declared(module, specimen.channels)
    return (batch, channels, size[0] // stride, size[1] // stride)


def _declared(module: nn.Module, channels: int) -> tuple[int, int]:
    """What the builder reads, with its defaults."""
    out, stride = getattr(module, "out_channels", channels), getattr(module, "stride", 1)
    return (
        out if isinstance(out, int) else channels,
        stride if isinstance(stride, int) and stride > 0 else 1,
    )


def shape(specimen: Specimen) -> Finding:
    """Declared and real shape agree on every kind of map, in training and evaluation."""
    for training, size in product((False, True), SIZES):
        if wrong := _at_size(specimen, size, training=training):
            return wrong
    declared = hasattr(specimen.fresh(), "out_channels")
    sizes = ", ".join(f"{h}x{w}" for h, w in SIZES)
    return passed("shape_kept" if declared else "shape_assumed", sizes=sizes, channels=specimen.channels)


def large(specimen: Specimen) -> Finding:
    """Maps of the size that a run has pass too: a table of positions may end before them."""
    for size in LARGE:
        try:
            wrong = _at_size(specimen, size, training=False)
        except MemoryError:
            return skipped("no_memory", size=f"{size[0]}x{size[1]}")
        if wrong:
            return wrong
    return passed("large_maps", sizes=", ".join(f"{h}x{w}" for h, w in LARGE))


def _at_size(specimen: Specimen, size: Size, *, training: bool) -> Finding | None:
    """What is wrong with the output for a map of this size, or None.

    Raises:
        MemoryError: the machine has not enough for it.
    """
    batch = 2 if training else 1
    module = specimen.fresh().train(training)
    stride = _declared(module, specimen.channels)[1]
    # An odd size over a stride has two roundings; multiples have one answer.
    height, width = (-(-side // stride) * stride for side in size)
    x = specimen.maps((height, width), batch=batch)
    try:
        with torch.no_grad():
            y = run(module, x)
    except Exception as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
            raise MemoryError from error
        return failed("size_fails", map=shape_text(x), error=said(error, specimen))
    expected = promised(specimen, module, (height, width), batch)
    if tuple(y.shape) != expected:
        return _wrong_shape(x, y, expected)
    return None


def _wrong_shape(x: Tensor, y: Tensor, expected: tuple[int, ...]) -> Finding:
    values = {"map": shape_text(x), "result": shape_text(y), "expected": shape_text(expected)}
    if y.ndim == 4 and y.shape[2:] == expected[2:]:
        return failed("wrong_channels", real=y.shape[1], declared=expected[1], **values)
    return failed("wrong_shape", **values)


def batch_of_one(specimen: Specimen) -> Finding:
    """The last batch of an epoch may hold one image."""
    try:
        run(specimen.fresh(), specimen.maps(PLAIN, batch=1))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        return failed("norm_of_one_value", error=said(error, specimen))
    return passed("one_image")


def _shapes(module: nn.Module) -> dict[str, object]:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {
        name: "lazy" if isinstance(t, UninitializedParameter) else tuple(t.shape)
        for name, t in tensors.items()
    }


def parameters(specimen: Specimen) -> Finding:
    """Parameters and buffers are there, and have their shape, before the first map comes."""
    for size in (PLAIN, (13, 20)):
        module = specimen.fresh().eval()
        before = _shapes(module)
        try:
            with torch.no_grad():
                module(specimen.maps(size))
        except YolograftError:
            raise
        except Exception:
            # A map of this size does not pass at all: the check of shapes says why.
            continue
        after = _shapes(module)
        changed = [name for name in after if before.get(name) != after[name]]
        if changed:
            return failed("made_by_map", names=listed(changed), size=f"{size[0]}x{size[1]}")
    count = sum(p.numel() for p in specimen.fresh().parameters() if not isinstance(p, UninitializedParameter))
    return passed("counted", count=f"{count:,}")
