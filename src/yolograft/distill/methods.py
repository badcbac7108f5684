"""One explicit table of the methods of distillation, and how a term of an expression becomes one of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from yolograft.distill.cwd import ChannelWise
from yolograft.distill.ld import Localization
from yolograft.distill.logit import Logit
from yolograft.distill.mgd import MaskedGenerative
from yolograft.errors import SpecError
from yolograft.graph.spec import ModuleRef


@dataclass(frozen=True, slots=True)
class Method:
    """One row. compares: ``maps`` (any family), ``scores`` (one family and class list) or ``edges`` (of these
    the distributional heads). paper: several of them part by a semicolon."""

    name: str
    build: Callable[..., nn.Module]
    compares: Literal["maps", "scores", "edges"]
    paper: str
    summary: str


METHODS: tuple[Method, ...] = (
    Method(
        "cwd",
        ChannelWise,
        "maps",
        "Shu et al. 2021, Channel-wise Knowledge Distillation for Dense Prediction, arXiv 2011.13256",
        "where each channel of the pyramid fires",
    ),
    Method(
        "mgd",
        MaskedGenerative,
        "maps",
        "Yang et al. 2022, Masked Generative Distillation, arXiv 2205.01529",
        "the teacher's pyramid made from a masked one",
    ),
    Method(
        "logit",
        Logit,
        "scores",
        "Hinton et al. 2015, Distilling the Knowledge in a Neural Network, arXiv 1503.02531; "
        "Yang et al. 2023, Bridging Cross-task Protocol Inconsistency for Distillation in Dense Object "
        "Detection, arXiv 2308.14286",
        "the class scores of every anchor",
    ),
    Method(
        "ld",
        Localization,
        "edges",
        "Zheng et al. 2022, Localization Distillation for Dense Object Detection, arXiv 2102.12252",
        "how sure the teacher is of every edge",
    ),
)


def find_method(name: str) -> Method:
    """The row of a method.

    Raises:
        SpecError: no such method (YG447).
    """
    for method in METHODS:
        if method.name == name:
            return method
    known = ", ".join(method.name for method in METHODS)
    raise SpecError("YG447", f"no method of distillation '{name}'", fix=f"distill: {known}")


def check_methods(refs: Sequence[ModuleRef]) -> None:
    """See that every method of an arm exists, takes its options and stands there once.

    Raises:
        SpecError: it does not (YG447).
        ModuleError: an option out of range (YG210).
    """
    names = [ref.module for ref in refs]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise SpecError("YG447", f"distill:{twice} stands twice in one arm", fix="leave one of them out")
    with torch.device("meta"):  # where nothing is drawn
        for ref in refs:
            if ref.init != "paper":
                raise SpecError("YG447", f"distill:{ref.module} has no init", fix="leave init out")
            build_method(ref, (1,), (1,))


def build_method(ref: ModuleRef, student: Sequence[int], teacher: Sequence[int]) -> nn.Module:
    """The method that a term asks for.

    Args:
        student, teacher: channels of the maps the heads read, level by level.

    Raises:
        SpecError: no such method or option (YG447).
        ModuleError: an option out of range (YG210).
    """
    method, options = find_method(ref.module), dict(ref.args)
    kinds = inspect.signature(method.build).parameters.values()
    accepted = [item.name for item in kinds if item.kind is inspect.Parameter.KEYWORD_ONLY]
    unknown = [key for key in options if key not in accepted]
    if unknown:
        cause = f"distill:{method.name} has no option '{unknown[0]}'"
        raise SpecError("YG447", cause, fix=f"options: {', '.join(accepted)}")
    channels = (student, teacher) if method.compares == "maps" else ()
    return method.build(*channels, **options)
