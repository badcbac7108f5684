"""The module under examination: named once, built afresh for every check, always from stated draws."""

from __future__ import annotations

import io
import logging
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from inspect import getsourcefile
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from yolograft import rng
from yolograft.errors import ModuleError, SpecError, YolograftError
from yolograft.graph.expr import parse_graft
from yolograft.graph.spec import ModuleRef, Scalar, frozen_args
from yolograft.models.build import instantiate
from yolograft.models.catalog import find
from yolograft.models.codebook import Codebook
from yolograft.models.usercode import UserClass, load_reference
from yolograft.types import Targets

Size = tuple[int, int]
# Offsets that take every parameter away from a special initial value (zeros, ones) without saturating it.
STIR, STIR_CONSTANT = 0.5, 0.3
SWALLOWED = "yolograft_no_such_option"
# The grammar wants a site, and the doctor has none.
_HERE = "here"
# Kinds of our own modules that map one map to one of the same shape.
EXAMINED = ("attention", "probe", "control")


@dataclass(frozen=True)
class Specimen:
    """A module by reference, with the options and the channel count it is examined at."""

    ref: ModuleRef
    channels: int
    code: Codebook
    deep: bool = False

    @property
    def name(self) -> str:
        """The class or catalog name in short."""
        return self.ref.module.rpartition("::")[2] or self.ref.module

    @property
    def user(self) -> UserClass | None:
        """The class when it is not one of ours."""
        return self.code.get(self.ref.module)

    def construct(self, **extra: Scalar) -> tuple[nn.Module, str]:
        """Build it once; the line says how a foreign signature was filled."""
        ref = ModuleRef(self.ref.module, frozen_args({**dict(self.ref.args), **extra}))
        with torch.device("cpu"):
            return instantiate(ref, self.channels, self.code)

    def fresh(self, seed: int = 0) -> nn.Module:
        """As initialised, in training mode; the initial weights depend on ``seed`` alone."""
        sow(seed, "doctor", "init")
        return self.construct()[0].train()

    def stirred(self, seed: int = 0) -> nn.Module:
        """Eval mode, with parameters and running statistics away from their special initial values."""
        module = self.fresh(seed)
        with torch.no_grad():
            try:
                module(self.maps((6, 8), batch=4))
            except Exception:
                # The check of shapes reports it; lazy parameters stay as they are.
                return module.eval()
            for parameter in module.parameters():
                if not parameter.is_floating_point():
                    continue
                spread = float(parameter.std()) if parameter.numel() > 1 else 0.0
                parameter.add_(torch.randn_like(parameter) * (STIR * spread or STIR_CONSTANT))
            module(self.maps((6, 8), batch=4, seed=1))
        return module.eval()

    def maps(
        self, size: Size, *, batch: int = 2, seed: int = 0, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Normal noise [batch, channels, H, W] that depends on ``seed`` and the shape alone."""
        generator = torch.Generator().manual_seed(rng.seed_of(seed, "doctor", "maps", batch, *size))
        return torch.randn(batch, self.channels, *size, generator=generator, dtype=torch.float64).to(dtype)


def sow(*counters: int | str) -> None:
    """Seed the CPU generator; the caller has forked it."""
    torch.default_generator.manual_seed(rng.seed_of(*counters))


def resolve(
    reference: str | type[nn.Module], *, channels: int, options: Mapping[str, Any] | None, deep: bool
) -> Specimen:
    """A reference such as ``my_att.py::MyAtt:k=7``, ``se``, ``timm:eca``, or a class, as a specimen.

    Raises:
        SpecError: the text is no module reference, or names a site (YG11x). ModuleError: the code or the
            name is not there (YG201, YG22x), or it is a layer of another kind (YG218).
    """
    if isinstance(reference, type):
        place = f"{reference.__module__}::{reference.__name__}"
        ref = ModuleRef(place)
        code = {place: UserClass(reference, reference.__name__, reference.__module__, "", "")}
    else:
        ref = _read(reference)
        code = {ref.module: load_reference(ref.module)} if "::" in ref.module else {}
    ours = "::" not in ref.module and not ref.module.startswith("timm:")
    if ours and find(ref.module).kind not in EXAMINED:
        cause = f"{ref.module} is no module of one map that keeps its shape"
        raise ModuleError("YG218", cause, fix="the doctor examines what can be grafted: yolograft modules")
    given = {**dict(ref.args), **(options or {})}
    return Specimen(ModuleRef(ref.module, frozen_args(given)), channels, code, deep)


def _read(reference: str) -> ModuleRef:
    """A module reference without a site, in the grammar of graft expressions."""
    # A folder may be called me@home; what follows the class, or a module's name, is a site.
    if not reference.strip() or "@" in reference.rpartition("::")[2]:
        cause = f"'{reference.strip()}' is no module: no site here, the module alone"
        raise SpecError("YG112", cause, fix='write e.g. yolograft doctor "se:reduction=8"')
    try:
        return parse_graft(f"{reference}@{_HERE}").terms[0].ref
    except SpecError as error:
        # The site was put in here: the message speaks of what was typed.
        cause, where = (text.replace(f"@{_HERE}", "") for text in (error.cause, error.where))
        raise SpecError(error.code, cause, where=where, fix="one module, with its options") from error


@contextmanager
def quiet() -> Iterator[None]:
    """A stranger's prints, warnings and log lines stay out of the answer; the generator is put back."""
    before = logging.root.manager.disable
    with torch.random.fork_rng(devices=[]), redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)


def said(error: BaseException, specimen: Specimen) -> str:
    """An exception in one line, with the line of the user's file it comes from."""
    if isinstance(error, YolograftError):
        return error.line()
    words = " ".join(str(error).split()) or "no message"
    text = f"{type(error).__name__}: {words[:160]}"
    place = line_of(error, specimen)
    return f"{text} ({place})" if place else text


def line_of(error: BaseException, specimen: Specimen) -> str:
    """``my_att.py:12``, the last line of the user's file an exception came through; else empty."""
    file = _file_of(specimen)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{Path(file).name}:{frames[-1].lineno}" if frames else ""


def _file_of(specimen: Specimen) -> str:
    user = specimen.user
    if user is None:
        return ""
    module = sys.modules.get(user.cls.__module__)
    try:
        return getsourcefile(user.cls) or ""
    except (TypeError, OSError):
        return str(getattr(module, "__file__", "") or "")


def run(module: nn.Module, x: Tensor) -> Tensor:
    """One forward pass that must return a tensor.

    Raises:
        TypeError: ``forward`` returns something else.
    """
    y = module(x)
    if not isinstance(y, Tensor):
        raise TypeError(f"forward returns {type(y).__name__}, not a tensor")
    return cast(Tensor, y)


def supervised(module: nn.Module, x: Tensor, frame: Size, *, boxes: int) -> Any:
    """What ``supervise`` of a module returns after a training forward pass; None where it has none.

    Args:
        x: the map of that pass. frame: input size in pixels. boxes: 0, or 1 in the middle of the first image.
    """
    supervise = getattr(module, "supervise", None)
    if not callable(supervise):
        return None
    height, width = frame
    box = torch.tensor([[width / 4, height / 4, 3 * width / 4, 3 * height / 4]])[:boxes]
    none = torch.zeros(boxes, dtype=torch.int64)
    return supervise(Targets(box, none, none, len(x)), image_size=frame)


def listed(names: Sequence[str], most: int = 4) -> str:
    """The first names and the number of the others, in one line."""
    more = f" (+{len(names) - most})" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def shape_text(x: Tensor | tuple[int, ...]) -> str:
    """[B, C, H, W] as people write it."""
    return str(list(x.shape if isinstance(x, Tensor) else x))


def relative_error(y: Tensor, exact: Tensor) -> float:
    """Root mean square of the difference over that of the exact values; inf where y is not finite."""
    difference = (y.double() - exact.double()).square().mean().sqrt()
    size = exact.double().square().mean().sqrt()
    error = float(difference / size) if float(size) > 0 else float(difference)
    return error if error == error else float("inf")
