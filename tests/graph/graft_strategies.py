"""Random graft expressions for YOLOv8, as data and as the text a user would type."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from yolograft.graph.expr import GraftSpec, GraftTerm, Site
from yolograft.graph.spec import ModuleRef, Scalar, frozen_args

ROLES = (
    *("stem", "backbone.p2", "backbone.p3", "backbone.p4", "backbone.p5", "backbone.sppf"),
    *("neck.td4", "neck.p3", "neck.p4", "neck.p5"),
)
BLOCKS = (
    "backbone.p2",
    "backbone.p3",
    "backbone.p4",
    "backbone.p5",
    "neck.td4",
    "neck.p3",
    "neck.p4",
    "neck.p5",
)
EDGES = (
    ("backbone.p4", "neck.td4"),
    ("backbone.p3", "neck.p3"),
    ("neck.td4", "neck.p4"),
    ("backbone.sppf", "neck.td4"),
    ("backbone.sppf", "neck.p5"),
    ("neck.p3", "head"),
    ("neck.p5", "head"),
)
BRANCHES = tuple(f"head.{level}.{branch}" for level in ("p3", "p4", "p5") for branch in ("cls", "box"))

# Modules that keep the channel count, with options of theirs.
MODULES = (
    ("se", {}),
    ("se", {"reduction": 4, "gate": "hard_sigmoid"}),
    ("coord_att", {"min_hidden": 4, "activation": "mish", "bias": False}),
    ("nam", {"branch": "both", "penalty": 0.001}),
    ("double_att", {"c_n": 4}),
    ("CAM", {}),
)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """A place of YOLOv8 that exists and takes a module that keeps the channels."""
    mode = draw(st.sampled_from(["after", "after", "before", "inside", "edge", "branch"]))
    if mode == "edge":
        return Site("edge", *draw(st.sampled_from(EDGES)))
    if mode == "branch":
        return Site(draw(st.sampled_from(["after", "inside"])), draw(st.sampled_from(BRANCHES)))
    if mode == "before":
        return Site("before", draw(st.sampled_from([r for r in ROLES if r != "stem"])))
    places = BLOCKS if mode == "inside" else (*ROLES, "backbone.p3.down", "neck.td4.cat", "neck.p3.up")
    return Site(mode, draw(st.sampled_from(places)))


@st.composite
def grafts(draw: st.DrawFn, max_terms: int = 3) -> GraftSpec:
    """One arm of up to ``max_terms`` terms with up to three sites each."""
    terms = []
    for _ in range(draw(st.integers(1, max_terms))):
        module, options = draw(st.sampled_from(MODULES))
        init = draw(st.sampled_from(["paper", "identity"]))
        places = draw(st.lists(sites(), min_size=1, max_size=3, unique=True))
        terms.append(GraftTerm(ModuleRef(module, frozen_args(options), init), tuple(places)))
    return GraftSpec("random", tuple(terms))


# --- any expression the grammar allows, whether such a module and such a site exist or not

_words = st.from_regex(r"[a-z_][a-z0-9_]{0,7}", fullmatch=True)
_paths = st.from_regex(
    r"([A-Za-z]:/)?([a-z]{1,4}/){0,2}[a-z_]{1,6}\.py::[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True
)
_packages = st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){0,2}::[A-Z][A-Za-z0-9_]{0,5}", fullmatch=True)
_keys = st.from_regex(r"timm:[a-z]{1,6}", fullmatch=True)
_names = st.one_of(_words, _paths, _packages, _keys).filter(lambda name: name not in ("neck", "distill"))
_places = st.from_regex(r"[a-z][a-z0-9_]{0,5}(\.[a-z0-9_]{1,4}){0,2}", fullmatch=True)


def _stays_text(text: str) -> bool:
    """Whether a value that is text reads as text: not as a switch or a number."""
    if text.lower() in ("on", "off", "true", "false", "yes", "no"):
        return False
    try:
        return not math.isfinite(float(text))
    except ValueError:
        return True


scalars: st.SearchStrategy[Scalar] = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_./-]{0,8}", fullmatch=True).filter(_stays_text),
)


@st.composite
def any_terms(draw: st.DrawFn) -> GraftTerm:
    """A term of any grammatical form."""
    options = draw(st.dictionaries(_words.filter(lambda key: key != "init"), scalars, max_size=3))
    one = st.builds(Site, st.sampled_from(["after", "before", "inside", "replace"]), _places)
    edge = st.builds(Site, st.just("edge"), _places, _places)
    places = draw(st.lists(st.one_of(one, edge), min_size=1, max_size=3, unique=True))
    init = draw(st.sampled_from(["paper", "identity"]))
    return GraftTerm(ModuleRef(draw(_names), frozen_args(options), init), tuple(places))
