"""Control arms: the arms that tell a gain of the graft from everything else that could have made it.

identity: the ungrafted detector once more (A/A). What it "gains" is what chance gives.
placebo: beside every graft a residual 1x1 C -> r -> C at the same sites, of nearest parameter count. A graft
that is not better than its placebo owes its gain to parameters.
next-scale: the next larger stock detector at equal epochs. It says what the same effort buys without a graft.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from yolograft.errors import SpecError
from yolograft.graph.expr import DISTILL, GraftSpec, GraftTerm, Site, parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.sites import FUSIONS
from yolograft.graph.spec import IMAGE, ModelSpec, ModuleRef, model_name
from yolograft.models.build import inspect_spec
from yolograft.models.catalog import split_model_name
from yolograft.models.codebook import Codebook
from yolograft.models.facts import LayerFacts
from yolograft.models.modelfile import is_model_file
from yolograft.study.planning.arms import PlannedArm, joined

Control = Literal["identity", "placebo", "next-scale"]
IDENTITY, PLACEBO, NEXT_SCALE = "identity", "placebo", "next-scale"


def check_controls(controls: Sequence[str], models: Sequence[str], *, grafts: int, weights: bool) -> None:
    """See that the controls asked for can be made.

    Raises:
        SpecError: one twice, a placebo without a graft, or no next scale for a model (YG642).
    """
    if len(set(controls)) != len(controls):
        raise SpecError("YG642", f"--control {', '.join(controls)}: one of them twice")
    if PLACEBO in controls and not grafts:
        cause = "--control placebo without a graft: there is nothing to stand beside"
        raise SpecError("YG642", cause, fix='add --graft "se@neck.p3", or leave it out')
    if NEXT_SCALE not in controls:
        return
    if weights:
        cause = "--control next-scale with --weights: the weights of one scale do not fit another"
        raise SpecError("YG642", cause, fix="leave one of them out")
    for model in models:
        next_scale(model)


def next_scale(model: str) -> str:
    """The next larger stock model, ``yolov8s`` for ``yolov8n``.

    Raises:
        SpecError: a model file, or the largest scale (YG642); no such model (YG106).
    """
    if is_model_file(model):
        cause = f"--control next-scale: {model} is a model file, which has no next scale of ours"
        raise SpecError("YG642", cause, fix="--model with the larger one, as a study of two models")
    family, scale = split_model_name(model)
    larger = family.scales[family.scales.index(scale) + 1 :]
    if not larger:
        raise SpecError("YG642", f"--control next-scale: {model} is the largest of {family.name}")
    return model_name(family.name, larger[0])


def control_arms(
    planned: Sequence[PlannedArm], controls: Sequence[str], larger: Mapping[str, ModelSpec], *, code: Codebook
) -> tuple[list[PlannedArm], list[str]]:
    """The control arms of a study, and a line for every graft that can have no placebo.

    Args:
        planned: the baselines and the grafts of every model.
        larger: model -> the stock detector of its next scale, where that control is asked for.

    Labels: those of `planned` with ``identity``, ``next-scale`` or ``placebo`` behind a dot; with one model
    plain ``identity`` and ``next-scale``.
    """
    arms, notes = [], []
    bases = [arm for arm in planned if arm.baseline]
    for base in bases:
        if IDENTITY in controls:
            note = "the baseline once more, its initial weights moved by a thousandth"
            arms.append(replace(_beside(base, IDENTITY, alone=len(bases) == 1), note=note))
        if PLACEBO in controls:
            for arm in (a for a in planned if a.model == base.model and a.expression):
                made = _placebo_arm(base.spec, arm, code)
                arms += [made] if isinstance(made, PlannedArm) else []
                notes += [made] if isinstance(made, str) else []
        if NEXT_SCALE in controls:
            spec = larger[base.model]
            next_ = _beside(base, NEXT_SCALE, alone=len(bases) == 1)
            arms.append(replace(next_, spec=spec, note=f"{spec.name} under the same recipe"))
    return arms, notes


def _beside(base: PlannedArm, control: str, *, alone: bool) -> PlannedArm:
    label = control if alone else joined(base.label, control)
    return PlannedArm(label, base.model, "", base.spec, control)


def _placebo_arm(stock: ModelSpec, arm: PlannedArm, code: Codebook) -> PlannedArm | str:
    """The placebo of a graft, or why it can have none."""
    found = placebo_of(stock, parse_graft(arm.expression), code=code)
    if isinstance(found, str):
        return f"{arm.label} has no placebo: {found}"
    return PlannedArm(
        joined(arm.label, PLACEBO),
        arm.model,
        found.graft.text(),
        graft(stock, found.graft),
        PLACEBO,
        of=arm.label,
        note=found.line(arm.label),
        distill=arm.distill,
    )


@dataclass(frozen=True, slots=True)
class Matched:
    """A placebo. graft: what to place. wanted, got: parameters that the graft and the placebo add."""

    graft: GraftSpec
    wanted: int
    got: int

    def line(self, of: str) -> str:
        """How well the parameter counts agree."""
        share = f" ({100 * (self.got / self.wanted - 1):+.1f} %)" if self.wanted else ""
        return f"placebo of {of}: {self.got:,} parameters for {self.wanted:,}{share}"


def placebo_of(stock: ModelSpec, asked: GraftSpec, *, code: Codebook) -> Matched | str:
    """A placebo of nearest parameter count at every site of a graft; a text, why there is none.

    At a site where the graft's module has P parameters and one of hidden width 1 would have U (2C on a map
    of C channels, as often as the site holds it), the hidden width is max(1, round(P / U)).
    """
    placed, before, terms = stock, _facts(stock, code), []
    wanted = got = 0
    for term in asked.terms:
        if term.kind == DISTILL:
            continue
        if not term.sites:
            return f"{term.text()} goes to no place, a placebo stands beside a layer"
        for site in term.sites:
            if site.mode == "replace" or term.ref.module in FUSIONS:
                place = site.target if site.mode == "replace" else site.text()
                return f"{term.ref.module} replaces '{place}', a placebo stands beside a layer"
            grafted = _facts(graft(placed, _single(term.ref, site)), code)
            if not _keeps_maps(before, grafted):
                return f"{term.ref.module} at '{site.text()}' changes channels or stride"
            smallest = _facts(graft(placed, _single(_placebo(1, term.ref.init), site)), code)
            share, unit = _size(grafted) - _size(before), _size(smallest) - _size(before)
            ref = _placebo(max(1, round(share / unit)), term.ref.init)
            placed = graft(placed, _single(ref, site))
            after = _facts(placed, code)
            wanted, got = wanted + share, got + _size(after) - _size(before)
            terms.append(GraftTerm(ref, (site,)))
            before = after
    if not terms:
        return "it places no module"
    # What a graft is taught beside, its placebo is taught as well.
    terms += [term for term in asked.terms if term.kind == DISTILL]
    return Matched(GraftSpec(joined(asked.label, PLACEBO), tuple(terms)), wanted, got)


def _placebo(hidden: int, init: str) -> ModuleRef:
    return ModuleRef(PLACEBO, (("hidden", hidden),), init)


def _single(ref: ModuleRef, site: Site) -> GraftSpec:
    return GraftSpec(PLACEBO, (GraftTerm(ref, (site,)),))


def _facts(spec: ModelSpec, code: Codebook) -> dict[str, LayerFacts]:
    return {facts.name: facts for facts in inspect_spec(spec, code=code)}


def _size(facts: Mapping[str, LayerFacts]) -> int:
    return sum(fact.params for fact in facts.values())


def _keeps_maps(before: Mapping[str, LayerFacts], after: Mapping[str, LayerFacts]) -> bool:
    """Whether the layers that a graft added hand on maps of the channels and the stride they read."""
    added = [fact for name, fact in after.items() if name not in before and fact.inputs[0] != IMAGE]
    return all(_form(fact) == _form(after[fact.inputs[0]]) for fact in added)


def _form(fact: LayerFacts) -> tuple[int, int]:
    return fact.out_channels, fact.stride


def control_rows(arms: Sequence[PlannedArm], notes: Sequence[str]) -> list[dict[str, Any]]:
    """For the manifest: every control with what it controls; without a label, why one could not be made."""
    rows = [{"label": a.label, "control": a.control, "of": a.of or None, "note": a.note} for a in arms]
    return rows + [{"label": None, "control": PLACEBO, "of": None, "note": note} for note in notes]
