"""Graft expressions, the one line a user types, read into `GraftSpec`.

    EXPR   := [LABEL "="] TERM { "+" TERM }
    TERM   := MODULE[":"option=value{","option=value}] "@" SITE{","SITE}
            | "neck:"NAME[":"option=value{","option=value}]
            | "distill:"NAME[":"option=value{","option=value}]
    SITE   := [ "after:" | "before:" | "inside:" | "replace:" ] role-or-layer-name | "edge:"SRC".."DST

A neck replaces the whole neck and a distillation changes the loss: neither goes to a site.
The call form ``coord_att(reduction=16)@neck.p3`` and spaces round ``+`` and ``=`` are read too.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from yolograft.errors import SpecError
from yolograft.graph.sites import FUSIONS
from yolograft.graph.spec import Args, ModuleRef, Scalar, frozen_args

MODES = ("after", "before", "inside", "replace", "edge")
MODULE, NECK, DISTILL = "module", "neck", "distill"
SITELESS = (NECK, DISTILL)
_LABEL = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*=\s*(?=\S)")
_SAFE = re.compile(r"[^a-z0-9._-]+")
_EXPONENT = re.compile(r"=\s*[+-]?[\d.]+[eE]$")
# `path/to/file.py::Class` and `package::Class` hold colons of their own; timm:KEY one.
_MODULE = re.compile(r"(?P<name>timm:[\w]+|.+?::[A-Za-z_]\w*|[A-Za-z_][\w.-]*)(?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Site:
    """A place: how (``after`` ... ``edge``), the role or layer name, and the far end of an edge."""

    mode: str
    target: str
    to: str = ""

    def text(self) -> str:
        """The site as a user types it; ``after:`` is left out."""
        if self.mode == "edge":
            return f"edge:{self.target}..{self.to}"
        return self.target if self.mode == "after" else f"{self.mode}:{self.target}"


@dataclass(frozen=True, slots=True)
class GraftTerm:
    """One module and the places it goes to; a neck or a distillation, which go to none.

    kind: ``module``, ``neck`` or ``distill``; ref names the neck or the method of the latter two.
    """

    ref: ModuleRef
    sites: tuple[Site, ...]
    kind: str = MODULE

    def text(self) -> str:
        """The term as a user types it."""
        if self.kind in SITELESS:
            return f"{self.kind}:{self.ref.text()}"
        return f"{self.ref.text()}@{','.join(site.text() for site in self.sites)}"


@dataclass(frozen=True, slots=True)
class GraftSpec:
    """One arm: a label and its terms. label is safe as a folder name ([a-z0-9._-])."""

    label: str
    terms: tuple[GraftTerm, ...]

    def text(self) -> str:
        """The expression in its canonical form, without the label."""
        return "+".join(term.text() for term in self.terms)

    def of_kind(self, kind: str) -> tuple[ModuleRef, ...]:
        """What the terms of one kind name, in the order written."""
        return tuple(term.ref for term in self.terms if term.kind == kind)

    def without(self, kind: str) -> GraftSpec:
        """The arm without its terms of one kind; a label of the user's own stays."""
        terms = tuple(term for term in self.terms if term.kind != kind)
        own = self.label != folder_name(_default_label(self.terms))
        return GraftSpec(self.label if own else folder_name(_default_label(terms)), terms)


def parse_graft(text: str, *, init: str = "paper") -> GraftSpec:
    """Read one graft expression.

    Args:
        init: how modules start whose expression does not say: ``paper`` or ``identity``. Necks, joins and
            distillation have no identity form, and take it from nobody.

    Raises:
        SpecError: the text does not follow the grammar (YG110-YG116).
    """
    source = text.strip()
    if not source:
        raise SpecError("YG110", "empty graft expression", fix='write MODULE@SITE, e.g. "coord_att@neck.p3"')
    label, body = _split_label(source)
    where = _one_line(source)
    terms = tuple(_parse_term(part, where, init) for part in _split(body, "+"))
    return GraftSpec(label=folder_name(label or _default_label(terms)), terms=terms)


def _one_line(source: str, most: int = 60) -> str:
    """The expression as the place of an error: a long one must leave room for the cause."""
    text = " ".join(source.split())
    return text if len(text) <= most else text[: most - 3] + "..."


def _split_label(source: str) -> tuple[str, str]:
    match = _LABEL.match(source)
    # `a:k=7@x` has its first '=' inside the options: a label holds neither ':' nor '@' nor '('.
    rest = source[match.end() :] if match else ""
    if match and ("@" in rest or _siteless(rest)):
        return match.group(1), rest
    return "", source


def _siteless(text: str) -> str:
    """``neck`` or ``distill`` where the text is such a term, else empty; a package may bear the name."""
    head, colon, rest = text.partition(":")
    return head.strip() if colon and head.strip() in SITELESS and not rest.startswith(":") else ""


def _split(text: str, separator: str) -> list[str]:
    """Split outside parentheses; the sign of an exponent (``1e+3``) splits nothing."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == separator and depth == 0 and not _EXPONENT.search(text[start:i]):
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def _parse_term(part: str, source: str, init: str) -> GraftTerm:
    text = part.strip()
    if kind := _siteless(text):
        name = text.partition(":")[2].strip()
        if not name or "@" in name:
            cause = f"'{text}' goes to no site" if name else f"'{text}' names nothing"
            raise SpecError(
                "YG111", cause, where=source, fix=f"write {kind}:NAME or {kind}:NAME:option=value"
            )
        return GraftTerm(_parse_module(name, source, "paper"), (), kind)
    module_text, at, site_text = text.rpartition("@")
    if not at or not module_text.strip() or not site_text.strip():
        raise SpecError(
            "YG112",
            f"'{text}' is not MODULE@SITE",
            where=source,
            fix='write e.g. "se@neck.p3"; did your shell split the expression? Put it in double quotes',
        )
    sites = tuple(_parse_site(s.strip(), source) for s in site_text.split(","))
    if len(set(sites)) != len(sites):
        raise SpecError("YG113", f"'{site_text.strip()}' names a site twice", where=source)
    return GraftTerm(_parse_module(module_text.strip(), source, init), sites)


def _parse_site(text: str, source: str) -> Site:
    mode, colon, target = (part.strip() for part in text.partition(":"))
    if not colon:
        mode, target = "after", text
    if mode not in MODES:
        raise SpecError(
            "YG114", f"'{mode}:' is no way to place a graft", where=source, fix=f"use {', '.join(MODES)}"
        )
    if not target:
        raise SpecError("YG114", f"'{text}' names no site", where=source)
    if mode == "edge":
        start, dots, end = (part.strip() for part in target.partition(".."))
        if not dots or not start or not end:
            raise SpecError("YG114", f"'{text}' is not edge:SRC..DST", where=source)
        return Site("edge", start, end)
    return Site(mode, target)


def _parse_module(text: str, source: str, init: str) -> ModuleRef:
    call = re.fullmatch(r"(?P<name>[^()]+)\((?P<args>.*)\)", text, re.DOTALL)
    if call:
        name, options = call["name"].strip(), call["args"]
    else:
        match = _MODULE.fullmatch(text)
        if not match:
            raise SpecError("YG115", f"'{text}' is no module name", where=source)
        name, rest = match["name"].strip(), match["rest"].strip()
        if rest and not rest.startswith(":"):
            raise SpecError("YG115", f"cannot read '{rest}' after module '{name}'", where=source)
        options = rest[1:]
    args = dict(_parse_options(options, source))
    init = str(args.pop("init", "paper" if name in FUSIONS else init))
    if init not in ("paper", "identity"):
        raise SpecError("YG116", f"init={init}", where=source, fix="use init=paper or init=identity")
    return ModuleRef(name, frozen_args(args), init)


def _parse_options(text: str, source: str) -> Args:
    out: list[tuple[str, Scalar]] = []
    for item in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = (s.strip() for s in item.partition("="))
        if not equals or not key.isidentifier() or not value:
            raise SpecError("YG116", f"'{item}' is not option=value", where=source)
        if key in (k for k, _ in out):
            raise SpecError("YG116", f"option '{key}' is given twice", where=source)
        out.append((key, parse_scalar(value)))
    return tuple(out)


def parse_scalar(text: str) -> Scalar:
    """Text to bool, int, float or str, by form alone; on/off/true/false are booleans."""
    lowered = text.strip().strip("\"'")
    if lowered.lower() in ("on", "true", "yes"):
        return True
    if lowered.lower() in ("off", "false", "no"):
        return False
    for kind in (int, float):
        try:
            number = kind(lowered)
        except ValueError:
            continue
        # inf and nan are no numbers in JSON, and nan does not equal itself: they stay text.
        return lowered if isinstance(number, float) and not math.isfinite(number) else number
    return lowered


def _default_label(terms: tuple[GraftTerm, ...]) -> str:
    names = (term.ref.module.rsplit("::", 1)[-1].removeprefix("timm:") for term in terms)
    places = ("-".join(_site_label(site) for site in term.sites) for term in terms)
    return "+".join("-".join(filter(None, pair)) for pair in zip(names, places, strict=True))


def _site_label(site: Site) -> str:
    place = f"{site.target}-{site.to}" if site.to else site.target
    # One module after a place and inside it are two arms, and need two labels.
    return place if site.mode == "after" else f"{site.mode}-{place}"


def folder_name(label: str) -> str:
    """The label as a folder name on any system: [a-z0-9._-], at most 60 characters."""
    name = _SAFE.sub("-", label.lower()).strip("-.") or "graft"
    return name if len(name) <= 60 else name[:60].rstrip("-.")
