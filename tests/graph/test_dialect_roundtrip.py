"""A grafted detector written as rows comes back equal; a broken file is one line or a detector."""

from __future__ import annotations

import random
import re
import time

import pytest
import torch
from graft_strategies import grafts
from hypothesis import given, settings
from hypothesis import strategies as st
from index_files import STOCKS, V5, V8, broken, read, stock_spec, with_rows

from yolograft.errors import MAX_LINE, SpecError, YolograftError
from yolograft.graph.dialect.naming import normalised
from yolograft.graph.dialect.stock import Stock
from yolograft.graph.dialect.write import Written, write_index_file
from yolograft.graph.expr import GraftSpec, parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.levels import keep_levels
from yolograft.graph.spec import IMAGE, ModelSpec
from yolograft.models.build import inspect_spec
from yolograft.models.dialect_words import WORDS

FILES = ("yolov5", "yolov8", "yolov8-p2")
BASES = [stock_spec(file, scale, 3) for file in FILES for scale in "nsmlx"]
BASES += [
    keep_levels(stock_spec("yolov8", "n", 3), levels) for levels in (("p4", "p5"), ("p3",), ("p3", "p5"))
]


def written(spec: ModelSpec) -> Written:
    return write_index_file(spec, words=WORDS, stocks=STOCKS)


def stock_of(spec: ModelSpec) -> Stock:
    p2 = any(layer.name == "neck.p2" for layer in spec)
    return next(s for s in STOCKS if s.name == spec.family + ("-p2" if p2 else ""))


def shape(spec: ModelSpec) -> list[tuple]:
    """The network without any name: modules, options that say something, wiring by position."""
    place = {IMAGE: -1} | {layer.name: index for index, layer in enumerate(spec)}
    return [
        (
            WORDS[layer.module].module,
            sorted((k, v) for k, v in layer.args if v != WORDS[layer.module].defaults().get(k)),
            [place[name] for name in layer.inputs],
        )
        for layer in spec
    ]


@pytest.mark.parametrize("spec", BASES, ids=lambda spec: f"{spec.name}-{len(spec.layers)}")
def test_a_stock_detector_comes_back(spec: ModelSpec) -> None:
    out = written(spec)
    assert out.lost == () and out.spec == spec
    assert read(out.text).spec.digest() == spec.digest()


def test_the_text_has_exact_channels_and_our_names() -> None:
    spec = graft(stock_spec("yolov8", "n"), parse_graft("coord_att@neck.p3+cbam:kernel=3@backbone.p4"))
    lines = written(spec).text.splitlines()
    assert "depth_multiple: 1.0" in lines and "width_multiple: 1.0" in lines and "nc: 80  # classes" in lines
    row = next(line for line in lines if line.endswith("# 17 neck.p3+coord_att"))
    assert row.split("  #")[0].strip() == "- [-1, 1, CoordAtt, [64, 64]]"
    row = next(line for line in lines if line.endswith("# 7 backbone.p4+cbam"))
    assert row.split("  #")[0].strip() == "- [-1, 1, CBAM, [128, 3]]"
    assert any(line.split("  #")[0].strip() == "- [[-1, 7], 1, Concat, [1]]" for line in lines)
    assert lines[-1].split("  #")[0].strip() == "- [[17, 20, 23], 1, Detect, [nc]]"


def as_rows_can_say(item: GraftSpec) -> bool:
    return all(
        site.mode != "inside" and not site.target.startswith("head.")
        for term in item.terms
        for site in term.sites
    )


@settings(max_examples=60)
@given(scale=st.sampled_from("nsmlx"), item=grafts().filter(as_rows_can_say))
def test_random_grafts_come_back(scale: str, item: GraftSpec) -> None:
    spec = graft(stock_spec("yolov8", scale, 3), item)
    out = written(spec)
    back = read(out.text)
    assert back.spec.digest() == out.spec.digest() and not back.notes
    # Names aside it is the very network that was written.
    assert shape(back.spec) == shape(spec)
    assert normalised(back.spec, WORDS, stock=stock_of(spec)) == back.spec
    lost = [layer.name for layer in spec if layer.init == "identity"]
    assert [line.split(":")[0] for line in out.lost] == lost
    stock_names = {layer.name for layer in stock_spec("yolov8", scale)}
    assert {x.name for x in back.spec} & stock_names == {x.name for x in spec} & stock_names


@settings(max_examples=30)
@given(
    base=st.sampled_from([spec for spec in BASES if len(spec.layers) > 20]),
    module=st.sampled_from(
        ["se", "nam", "eca:kernel=5", "double_att:reproject=off", "ema_att", "cloformer:heads=4"]
    ),
    places=st.lists(
        st.sampled_from(
            [
                *("stem", "backbone.p3", "before:backbone.p5", "replace:backbone.p4", "replace:neck.p4"),
                *(
                    "edge:backbone.p3..neck.p3",
                    "neck.td4.cat",
                    "replace:backbone.p2",
                    "before:backbone.p4.down",
                ),
            ]
        ),
        min_size=1,
        max_size=4,
        unique=True,
    ),
)
def test_every_family_and_replacements_come_back(base: ModelSpec, module: str, places: list[str]) -> None:
    try:
        spec = graft(base, parse_graft(f"{module}@{','.join(places)}"))
    except SpecError:
        return
    out = written(spec)
    back = read(out.text)
    assert back.spec.digest() == out.spec.digest() and shape(back.spec) == shape(spec)


def test_what_a_graft_is_named_by_place() -> None:
    base = stock_spec("yolov8", "n")
    spec = graft(base, parse_graft("se@edge:backbone.p4..neck.td4,neck.p3+nam@neck.p3,edge:neck.p3..head"))
    assert normalised(spec, WORDS, stock=stock_of(base)) == spec
    # In front of a layer, where nobody else reads the map: the same network as after the layer before.
    front = graft(base, parse_graft("se@before:backbone.p4"))
    after = graft(base, parse_graft("se@after:backbone.p4.down"))
    assert shape(front) == shape(after) and front != after
    assert normalised(front, WORDS, stock=stock_of(base)) == after


def test_an_alias_and_a_default_are_the_same_network() -> None:
    base = stock_spec("yolov8", "n")
    spelled = graft(base, parse_graft("CAM:reduction=32@neck.p3"))
    assert normalised(spelled, WORDS, stock=stock_of(base)) == graft(base, parse_graft("coord_att@neck.p3"))


def test_what_rows_cannot_say_is_refused_in_one_line() -> None:
    base = stock_spec("yolov8", "n")
    for text in ("se@inside:neck.p4", "se@head.p3.cls", "se@before:stem+nam@edge:image..stem"):
        with pytest.raises(SpecError) as caught:
            written(graft(base, parse_graft(text)))
        assert caught.value.code in ("YG148", "YG120") and len(caught.value.line()) <= MAX_LINE
    from yolograft.models.build import model_spec

    with pytest.raises(SpecError, match="YG148 the dialect has no row for the head of yolox-nano"):
        written(model_spec("yolox-nano"))


def test_an_identity_start_is_said_to_be_lost() -> None:
    out = written(graft(stock_spec("yolov8", "n"), parse_graft("se:init=identity@neck.p3,neck.p5")))
    assert len(out.lost) == 2 and out.lost[0].startswith("neck.p3+se: the identity start of se")
    assert all(layer.init == "paper" for layer in out.spec)
    # A probe hands its map through and never had one.
    probe = written(graft(stock_spec("yolov8", "n"), parse_graft("density:init=identity@neck.p3")))
    assert probe.lost == () and read(probe.text).spec.digest() == probe.spec.digest()


def test_extra_branches_take_nobody_s_place() -> None:
    text = with_rows(V8, "[1024]] # 21", "- [4, 1, CAM, [256]]")
    spec = read(text.replace("[[15, 18, 21], 1", "[[15, 18, 21], 1")).spec
    extra = [layer.name for layer in spec if "+" in layer.name]
    assert extra == ["neck.p5.out+coord_att"] and not spec.consumers(extra[0])
    assert dict(spec.sites)["backbone.p3"] == "backbone.p3"


def test_a_number_above_one_is_a_chain() -> None:
    spec = read(with_rows(V8, "[1024, True]", "- [-1, 3, SE, [1024]]"), scale="l").spec
    chain = [layer for layer in spec if "+" in layer.name]
    assert [layer.name for layer in chain] == ["backbone.p5+se", "backbone.p5+se.2", "backbone.p5+se.3"]
    assert chain[2].inputs == ("backbone.p5+se.2",)
    assert dict(spec.sites)["backbone.p5"] == "backbone.p5+se.3"
    # Depth scales the number of a row, as it does elsewhere.
    assert (
        len([x for x in read(with_rows(V8, "[1024, True]", "- [-1, 3, SE, []]")).spec if "+" in x.name]) == 1
    )


def judge(text: str, *, build: bool) -> str:
    """``spec`` or the code of the one line; anything else that happens is a failure."""
    try:
        spec = read(text, name="my.yaml").spec
        if build:
            inspect_spec(spec)
    except YolograftError as error:
        said = error.line()
        assert "\n" not in said and len(said) <= MAX_LINE
        if not build:
            assert error.where.startswith("my.yaml"), said
        return error.code
    assert ModelSpec.from_json(spec.to_json()).digest() == spec.digest()
    return "spec"


@settings(max_examples=100)
@given(text=st.sampled_from([V5, V8]), seed=st.integers(0, 2**32))
def test_a_broken_file_is_one_line_or_a_detector(text: str, seed: int) -> None:
    judge(broken(text, random.Random(seed)), build=False)


@settings(max_examples=60)
@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
    | st.from_regex(r"[\[\]{}:,\-a-z0-9 \n]{0,80}")
)
def test_any_text_is_one_line(text: str) -> None:
    assert judge(text, build=False) in ("YG140", "YG141")


def _same_shape(x: torch.Tensor, mean: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
    assert x.is_meta and x.shape[1] == len(mean)
    return x


@pytest.mark.slow
def test_two_thousand_files(monkeypatch: pytest.MonkeyPatch) -> None:
    # Three quarters of a sketch are torch's decomposition of batch norms, which change no shape.
    monkeypatch.setattr(torch.nn.functional, "batch_norm", _same_shape)
    draw = random.Random(4)
    modules = [
        "se",
        "coord_att",
        "nam",
        "eca",
        "cbam",
        "simam",
        "triplet",
        "ema_att",
        "gc",
        "ela",
        "strip",
        "double_att",
    ]
    places = [
        "stem",
        "backbone.p2",
        "backbone.p3",
        "backbone.p5",
        "neck.td4",
        "neck.p3",
        "neck.p5",
        "neck.p4.cat",
    ]
    places += ["before:neck.p4", "edge:backbone.p4..neck.td4", "replace:backbone.p3", "neck.p3.up"]
    outcomes: dict[str, int] = {}
    slowest = 0.0
    for number in range(2000):
        base = draw.choice(BASES)
        terms = [f"{draw.choice(modules)}@{place}" for place in draw.sample(places, draw.randint(1, 4))]
        try:
            spec = graft(base, parse_graft("+".join(terms)))
        except SpecError:
            spec = base
        out = written(spec)
        start = time.process_time()
        if number % 2:
            back = read(out.text)
            assert back.spec.digest() == out.spec.digest() and shape(back.spec) == shape(spec)
            inspect_spec(back.spec)
            outcome = "valid"
        else:
            text = draw.choice([out.text, V5, V8])
            outcome = judge(broken(text, draw), build=True)
        slowest = max(slowest, time.process_time() - start)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert outcomes["valid"] == 1000 and slowest < 20, (outcomes, slowest)
    assert len([code for code in outcomes if re.fullmatch(r"YG\d{3}", code)]) >= 8, outcomes
