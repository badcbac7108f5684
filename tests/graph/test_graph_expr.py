from __future__ import annotations

import math

import pytest
from graft_strategies import any_terms, grafts, scalars
from hypothesis import given, settings
from hypothesis import strategies as st

from yolograft.errors import MAX_LINE, SpecError
from yolograft.graph.expr import GraftSpec, GraftTerm, Site, parse_graft, parse_scalar
from yolograft.graph.spec import ModuleRef


def term(text: str, *, init: str = "paper") -> GraftTerm:
    (only,) = parse_graft(text, init=init).terms
    return only


def options(text: str) -> dict[str, object]:
    return dict(term(f"{text}@x").ref.args)


def test_the_examples_of_the_language() -> None:
    first = term("coord_att:reduction=16@neck.p3,neck.p5")
    assert first.ref == ModuleRef("coord_att", (("reduction", 16),))
    assert first.sites == (Site("after", "neck.p3"), Site("after", "neck.p5"))
    own = term("my_att.py::MyAtt:k=7@backbone.p4")
    assert own.ref == ModuleRef("my_att.py::MyAtt", (("k", 7),))
    assert term("se@edge:backbone.p4..neck.td4").sites == (Site("edge", "backbone.p4", "neck.td4"),)
    assert term("timm:eca@neck.p3").ref == ModuleRef("timm:eca")
    assert term("package.sub::MyAtt@neck.p3").ref == ModuleRef("package.sub::MyAtt")


@pytest.mark.parametrize("mode", ["after", "before", "inside", "replace"])
def test_every_mode(mode: str) -> None:
    assert term(f"se@{mode}:neck.p3").sites == (Site(mode, "neck.p3"),)
    assert term(f"se@neck.p4,{mode}:head.p3.cls").sites[1] == Site(mode, "head.p3.cls")


@pytest.mark.parametrize(
    "text",
    [
        "coord_att:reduction=16,bias=off@neck.p3+se@neck.p4",
        "coord_att(reduction=16, bias=off)@neck.p3 + se@neck.p4",
        "  coord_att ( reduction = 16 , bias = False ) @ neck.p3  +  se() @ neck.p4  ",
        "coord_att: reduction = 16, bias = off @ after:neck.p3 + se @ after: neck.p4",
        "coord_att:bias=OFF,reduction=16@neck.p3+se:@neck.p4",
        "coord_att(bias='off',reduction=\"16\")@neck.p3+se:@neck.p4",
    ],
)
def test_every_way_to_write_it_reads_the_same(text: str) -> None:
    assert parse_graft(text) == parse_graft("coord_att:reduction=16,bias=off@neck.p3+se@neck.p4")
    assert parse_graft(f"mine = {text}").terms == parse_graft(text).terms


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("C:\\att\\my.py::My:k=3@x", ModuleRef("C:\\att\\my.py::My", (("k", 3),))),
        ("../a b/my.py::My@x", ModuleRef("../a b/my.py::My")),
        ("../a b/my.py::My(k=3)@x", ModuleRef("../a b/my.py::My", (("k", 3),))),
        ("me@host/my.py::My@x", ModuleRef("me@host/my.py::My")),
        ("neck/my.py::My@x", ModuleRef("neck/my.py::My")),
        ("timm:cbam:rd_ratio=0.25@x", ModuleRef("timm:cbam", (("rd_ratio", 0.25),))),
        ("timm:cbam(rd_ratio=.25)@x", ModuleRef("timm:cbam", (("rd_ratio", 0.25),))),
    ],
)
def test_modules_with_colons_and_spaces_of_their_own(text: str, ref: ModuleRef) -> None:
    assert term(text).ref == ref


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("on", True), ("True", True), ("yes", True), ("off", False), ("false", False), ("NO", False)),
        *(("7", 7), ("-3", -3), ("0.5", 0.5), ("1e-4", 1e-4), ("1e+4", 1e4), ("1E+4", 1e4)),
        *(("hard_swish", "hard_swish"), ("inf", "inf"), ("nan", "nan"), ("1e999", "1e999"), ("none", "none")),
    ],
)
def test_values_are_read_by_their_form(text: str, value: object) -> None:
    for given_value in (parse_scalar(text), options(f"se:a={text}")["a"], options(f"se(a={text})")["a"]):
        assert given_value == value and type(given_value) is type(value)


def test_necks_and_distillation_go_to_no_site() -> None:
    spec = parse_graft("neck:bifpn:repeats=2,levels=p3-p6+se@neck.p3+distill:cwd(tau=2)")
    assert [t.kind for t in spec.terms] == ["neck", "module", "distill"]
    assert spec.of_kind("neck") == (ModuleRef("bifpn", (("levels", "p3-p6"), ("repeats", 2))),)
    assert spec.of_kind("distill") == (ModuleRef("cwd", (("tau", 2),)),)
    assert [t.sites for t in spec.terms if t.kind != "module"] == [(), ()]
    assert spec.text() == "neck:bifpn:levels=p3-p6,repeats=2+se@neck.p3+distill:cwd:tau=2"
    assert term("neck::Own@neck.p3").kind == "module"  # a package of that name


@given(st.lists(any_terms(), max_size=2), st.sampled_from(["neck", "distill"]))
def test_terms_without_a_site_are_read_back(terms: list[GraftTerm], kind: str) -> None:
    siteless = GraftTerm(ModuleRef("bifpn", (("repeats", 2), ("weighted", False))), (), kind)
    spec = GraftSpec("mine", (*terms, siteless))
    assert parse_graft(f"mine={spec.text()}") == spec


def test_the_sign_of_an_exponent_splits_no_terms() -> None:
    spec = parse_graft("a:x=1e+3,y=-2.5E+2@p+b:z=3@q")
    assert [dict(t.ref.args) for t in spec.terms] == [{"x": 1e3, "y": -250.0}, {"z": 3}]


def test_init_is_read_apart_from_the_options() -> None:
    assert term("se:init=identity,reduction=4@x").ref == ModuleRef("se", (("reduction", 4),), "identity")
    assert term("se@x", init="identity").ref.init == "identity"
    assert term("se:init=paper@x", init="identity").ref.init == "paper"


def test_what_has_no_identity_form_takes_none_from_the_default() -> None:
    for text in ("neck:bifpn", "distill:cwd", "bifpn_add@edge:a..b", "gated_concat@edge:a..b"):
        assert parse_graft(text, init="identity").text() == text
    # Asked for, it is kept: who reads it can say that there is none.
    assert term("neck:bifpn:init=identity").ref.init == "identity"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("CA_BiFPN=se@neck.p3", "ca_bifpn"),
        ("v1.2-b = se@neck.p3", "v1.2-b"),
        ("7=se@neck.p3", "7"),
        ("se@neck.p3", "se-neck.p3"),
        ("se@neck.p3,neck.p4+nam@stem", "se-neck.p3-neck.p4-nam-stem"),
        ("se@inside:neck.p3", "se-inside-neck.p3"),
        ("se@edge:a..b", "se-edge-a-b"),
        ("dir/my.py::MyAtt:k=7@neck.p3", "myatt-neck.p3"),
        ("timm:eca@neck.p3", "eca-neck.p3"),
        ("neck:bifpn:repeats=2", "bifpn"),
        ("CA_BiFPN = coord_att@neck.p3+neck:bifpn", "ca_bifpn"),
        ("small=neck:bifpn", "small"),
        ("se@neck.p3+neck:pan+distill:cwd", "se-neck.p3-pan-cwd"),
    ],
)
def test_labels(text: str, label: str) -> None:
    assert parse_graft(text).label == label


def test_a_module_after_and_inside_a_place_are_two_labels() -> None:
    modes = ("", "before:", "inside:", "replace:")
    assert len({parse_graft(f"se@{mode}backbone.p3").label for mode in modes}) == 4


@settings(max_examples=40)
@given(st.text(alphabet="abcXYZ019._- +/\\:é", max_size=90), st.lists(any_terms(), min_size=1, max_size=3))
def test_labels_are_safe_folder_names(label: str, terms: list[GraftTerm]) -> None:
    text = "+".join(t.text() for t in terms)
    for source in (text, f"a{label}={text}"):
        try:
            name = parse_graft(source).label
        except SpecError:
            continue  # a label outside the grammar
        assert 0 < len(name) <= 60
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
        assert name[0] not in "-." and name[-1] not in "-."


@settings(max_examples=40)
@given(st.lists(any_terms(), min_size=1, max_size=3))
def test_what_is_written_is_read_back(terms: list[GraftTerm]) -> None:
    text = GraftSpec("mine", tuple(terms)).text()
    assert parse_graft(text).terms == tuple(terms)
    assert parse_graft(text).text() == text
    assert parse_graft(f"mine={text}") == GraftSpec("mine", tuple(terms))


@given(grafts())
def test_real_grafts_are_read_back(graft: GraftSpec) -> None:
    assert parse_graft(graft.text()).terms == graft.terms


@given(scalars)
def test_scalars_keep_value_and_type(value: object) -> None:
    text = "on" if value is True else "off" if value is False else str(value)
    back = parse_scalar(text)
    assert back == value and type(back) is type(value)
    assert not isinstance(back, float) or math.isfinite(back)


REFUSED = [
    ("YG110", ""),
    ("YG110", "   "),
    ("YG111", "neck:"),
    ("YG111", "se@neck.p3+distill: "),
    ("YG111", "neck:bifpn@neck.p3"),
    ("YG115", "neck:bi fpn"),
    ("YG116", "neck:bifpn:repeats"),
    ("YG112", "neck"),
    ("YG112", "se"),
    ("YG112", "@neck.p3"),
    ("YG112", "se@"),
    ("YG112", "se@neck.p3+"),
    ("YG112", "+se@neck.p3"),
    ("YG112", "se@neck.p3+nam"),
    ("YG112", "mine=se"),
    ("YG113", "se@neck.p3,neck.p3"),
    ("YG113", "se@neck.p3,after:neck.p3"),
    ("YG114", "se@beside:neck.p3"),
    ("YG114", "se@after:"),
    ("YG114", "se@neck.p3,"),
    ("YG114", "se@edge:neck.p3"),
    ("YG114", "se@edge:..neck.p3"),
    ("YG114", "se@edge:neck.p3.."),
    ("YG115", "s e@neck.p3"),
    ("YG115", "7se@neck.p3"),
    ("YG115", "注意=se@neck.p3"),
    ("YG115", "se(reduction=4@neck.p3"),
    ("YG115", "se)@neck.p3"),
    ("YG116", "se:4@neck.p3"),
    ("YG116", "se:reduction@neck.p3"),
    ("YG116", "se:reduction=@neck.p3"),
    ("YG116", "se:=4@neck.p3"),
    ("YG116", "se:re duction=4@neck.p3"),
    ("YG116", "se:reduction=4,reduction=8@neck.p3"),
    ("YG116", "se(4)@neck.p3"),
    ("YG116", "se:init=zero@neck.p3"),
]


@pytest.mark.parametrize(("code", "text"), REFUSED)
def test_what_is_no_expression_is_refused_in_one_line(code: str, text: str) -> None:
    for source in (text, text.replace("neck.p3", "neck.p3" + "x" * 300)):
        with pytest.raises(SpecError) as caught:
            parse_graft(source)
        line = str(caught.value)
        assert caught.value.code == code
        assert line.startswith(code) and "\n" not in line and len(line) <= MAX_LINE
        assert caught.value.cause[:12] in line  # a long expression leaves room for what is wrong


def test_a_split_expression_says_so() -> None:
    with pytest.raises(SpecError, match="did your shell split the expression"):
        parse_graft("coord_att")


@given(st.text(alphabet="ase.:=@,+()p3 \"'\n/é-_0", max_size=40))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        parse_graft(text)
    except SpecError as error:
        assert "\n" not in str(error) and len(str(error)) <= MAX_LINE


@pytest.mark.parametrize(
    ("text", "label", "rest"),
    [
        ("se@neck.p3+distill:cwd:tau=2", "se-neck.p3", "se@neck.p3"),
        ("Mine=distill:cwd+se@neck.p3+distill:mgd", "mine", "se@neck.p3"),
        ("neck:bifpn", "bifpn", "neck:bifpn"),
    ],
)
def test_an_arm_without_its_teacher_keeps_what_is_placed(text: str, label: str, rest: str) -> None:
    left = parse_graft(text).without("distill")
    assert (left.label, left.text()) == (label, rest)
    assert parse_graft("distill:cwd").without("distill").terms == ()
