"""The methods of one arm, as what stands beside its detector in training and is left behind afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from yolograft import rng
from yolograft.distill.methods import Method, build_method, check_methods, find_method
from yolograft.distill.view import View, has_edges
from yolograft.errors import CheckpointError
from yolograft.graph.anchors import ANCHORS
from yolograft.graph.spec import ModuleRef
from yolograft.models.detector import Detector


class Distiller(nn.Module):
    """What an arm learns from its teacher.

    Its parameters (adapters, generators) train with the student and belong to no detector: a finished model
    is a plain one. Their first values depend on (seed, method) alone.

    Args:
        refs: the methods, as `GraftSpec.of_kind("distill")` gives them.

    Raises:
        SpecError: no such method or option, or one twice (YG447).
        ModuleError: an option out of range (YG210).
        CheckpointError: the teacher cannot teach this student by such a method (YG448).
    """

    def __init__(self, refs: Sequence[ModuleRef], student: Detector, teacher: Detector, *, seed: int) -> None:
        super().__init__()
        check_methods(refs)
        self.methods = nn.ModuleDict()
        for ref in refs:
            _check_fit(find_method(ref.module), student, teacher)
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(rng.seed_of(seed, "distill", ref.module))
                self.methods[ref.module] = build_method(ref, head_channels(student), head_channels(teacher))

    def forward(self, student: View, teacher: View, *, draw: int) -> dict[str, Tensor]:
        """``distill_<method>`` -> its weighted loss, a mean over images.

        Args:
            draw: seed of whatever is random in this step.
        """
        named = self.methods.items()
        return {f"distill_{name}": method(student, teacher, draw=draw) for name, method in named}


def head_channels(detector: Detector) -> list[int]:
    """Channels of the maps a detector's head reads."""
    facts = {fact.name: fact for fact in detector.facts}
    return [facts[name].out_channels for name in detector.spec.head.inputs]


def _check_fit(method: Method, student: Detector, teacher: Detector) -> None:
    mine, its = student.spec, teacher.spec
    if student.head.strides != teacher.head.strides:
        levels = " and ".join(", ".join(map(str, d.head.strides)) for d in (student, teacher))
        cause = f"student and teacher predict at strides {levels}: {method.name} compares them level by level"
        raise CheckpointError("YG448", cause, fix="the same levels: --levels, or levels= of the neck")
    if method.compares == "maps":
        return
    apart = ""
    if mine.family != its.family:
        apart = f"of {its.name} cannot be held against those of {mine.name}: heads of two families"
    elif mine.num_classes != its.num_classes:
        apart = f"are of {its.num_classes} classes, the student has {mine.num_classes}"
    elif dict(mine.head.args).get(ANCHORS) != dict(its.head.args).get(ANCHORS):
        apart = "belong to other anchors than the student's"
    elif method.compares == "edges" and not has_edges(teacher):
        apart = f"are no distributions: {its.family} predicts plain boxes, not a distribution an edge"
    if apart:
        what = "scores" if method.compares == "scores" else "edges"
        fix = "another teacher, or compare maps: distill:cwd, distill:mgd"
        raise CheckpointError("YG448", f"distill:{method.name}: the teacher's {what} {apart}", fix=fix)
