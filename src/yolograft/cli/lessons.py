"""A graft where a net is only looked at or written down: distillation changes its loss, not the net."""

from __future__ import annotations

from yolograft.distill.methods import check_methods
from yolograft.graph.expr import DISTILL, GraftSpec, parse_graft


def read_placed(graft: str | None, *, init: str = "paper") -> tuple[list[GraftSpec], list[str]]:
    """What of an expression changes the net, nothing or one graft, and its terms of distillation as written.

    Raises:
        SpecError: the expression does not follow the grammar (YG110-YG116), or there is no such method or
            option, or one twice (YG447).
        ModuleError: an option out of range (YG210).
    """
    if not graft:
        return [], []
    asked = parse_graft(graft, init=init)
    check_methods(asked.of_kind(DISTILL))
    placed = asked.without(DISTILL)
    lessons = [term.text() for term in asked.terms if term.kind == DISTILL]
    return [placed] if placed.terms else [], lessons
