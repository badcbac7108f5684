from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest
from graft_strategies import grafts
from hypothesis import given, settings

from yolograft.errors import MAX_LINE, SpecError
from yolograft.graph.expr import GraftSpec, parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.spec import LayerSpec, ModelSpec, ModuleRef, frozen_args
from yolograft.models.build import model_spec

BASE = model_spec("yolov8n", num_classes=3)


def spec(*layers: LayerSpec, sites: tuple[tuple[str, str], ...] = ()) -> ModelSpec:
    return ModelSpec("yolov8", "n", 3, layers, sites)


def conv(name: str, *inputs: str) -> LayerSpec:
    return LayerSpec(name, "conv", inputs or ("image",), (("out_channels", 8),))


@given(grafts())
@settings(max_examples=25)
def test_json_gives_the_spec_back(graft_spec: GraftSpec) -> None:
    grafted = graft(BASE, graft_spec)
    back = ModelSpec.from_json(json.loads(json.dumps(grafted.to_json())))
    assert back == grafted and hash(back) == hash(grafted)
    assert back.digest() == grafted.digest() != BASE.digest()
    assert json.loads(json.dumps(back.to_json())) == json.loads(json.dumps(grafted.to_json()))


def test_equal_specs_and_only_they_have_equal_digests() -> None:
    texts = (
        *("se@neck.p3", "se@neck.p4", "se:reduction=4@neck.p3", "se:reduction=4.0@neck.p3", "nam@neck.p3"),
        *("se:init=identity@neck.p3", "se@inside:neck.p3", "se:init=identity@inside:neck.p3"),
        *("se@inside:neck.p3,head.p3.cls", "se@head.p3.cls", "se@neck.p3+se@neck.p3"),
    )
    specs = [BASE, BASE.with_classes(4), model_spec("yolov8s", num_classes=3)]
    specs += [graft(BASE, parse_graft(text)) for text in texts]
    assert len({s.digest() for s in specs}) == len(specs)
    again = [graft(model_spec("yolov8n", num_classes=3), parse_graft(text)).digest() for text in texts]
    assert again == [s.digest() for s in specs[3:]]


def test_lists_among_the_options_survive_json() -> None:
    layer = LayerSpec("a", "x", ("image",), frozen_args({"sizes": [1, 2], "b": "t"}))
    inner = replace(layer, inside=(("*", ModuleRef("y", frozen_args({"k": (3, 5)}), "identity")),))
    for one in (layer, inner):
        back = ModelSpec.from_json(json.loads(json.dumps(spec(one).to_json())))
        assert back == spec(one) and hash(back) == hash(spec(one))


def test_options_have_one_order() -> None:
    assert frozen_args({"b": 1, "a": [2, 3]}) == (("a", (2, 3)), ("b", 1))


def test_a_spec_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        BASE.num_classes = 4  # type: ignore[misc]
    assert BASE.with_classes(7).num_classes == 7 and BASE.num_classes == 3


def test_reading_a_spec() -> None:
    assert BASE.name == "yolov8n" and BASE.head.name == "head"
    assert [layer.name for layer in BASE.consumers("backbone.p4")] == ["backbone.p5.down", "neck.td4.cat"]
    assert BASE.consumers("head") == ()
    assert list(BASE) == list(BASE.layers)
    with pytest.raises(KeyError):
        BASE.layer("neck.p9")


@pytest.mark.parametrize(
    ("code", "words", "layers", "sites"),
    [
        ("YG101", "Stem", (conv("Stem"),), ()),
        ("YG101", "a/b", (conv("a/b"),), ()),
        ("YG101", "a..b", (conv("a..b"),), ()),
        ("YG102", "'a'", (conv("a"), conv("a", "a")), ()),
        ("YG102", "'image'", (conv("image"),), ()),
        ("YG103", "'b'", (conv("a", "b"), conv("b", "a")), ()),
        ("YG103", "'a'", (conv("a", "a"),), ()),
        ("YG104", "'stem'", (conv("a"),), (("stem", "b"),)),
        ("YG105", "no layers", (), ()),
    ],
)
def test_a_spec_that_cannot_be_run_is_refused(
    code: str, words: str, layers: tuple[LayerSpec, ...], sites: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        spec(*layers, sites=sites)
    assert caught.value.code == code and len(str(caught.value)) <= MAX_LINE


@pytest.mark.parametrize("classes", [0, -1])
def test_a_detector_has_classes(classes: int) -> None:
    with pytest.raises(SpecError) as caught:
        model_spec("yolov8n", num_classes=classes)
    assert caught.value.code == "YG107"


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("layers"),
        lambda d: d.pop("sites"),
        lambda d: d.update(layers=None),
        lambda d: d.update(layers=[]),
        lambda d: d.update(layers=["conv"]),
        lambda d: d.update(num_classes="many"),
        lambda d: d.update(sites=["stem"]),
        lambda d: d["layers"][3].pop("inputs"),
        lambda d: d["layers"][3].update(args=["kernel"]),
        lambda d: d["layers"][3].update(inside=[{"slot": "*"}]),
    ],
)
def test_json_that_is_no_spec_is_refused_in_one_line(damage) -> None:
    data = json.loads(json.dumps(BASE.to_json()))
    damage(data)
    with pytest.raises(SpecError) as caught:
        ModelSpec.from_json(data)
    assert caught.value.code == "YG105" and len(str(caught.value)) <= MAX_LINE


def test_references_read_as_they_are_typed() -> None:
    ref = ModuleRef("se", frozen_args({"reduction": 4, "bias": False, "ratio": 0.5, "gate": "g"}))
    assert ref.text() == "se:bias=off,gate=g,ratio=0.5,reduction=4"
    assert replace(ref, init="identity").text() == ref.text() + ",init=identity"
    assert ModuleRef("a.py::A").text() == "a.py::A"


def test_the_graph_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "import yolograft.graph.expr, yolograft.graph.graft, yolograft.graph.sites\n"
        "import yolograft.graph.spec, yolograft.graph.zoofile\n"
        "assert not {'torch', 'torchvision', 'timm'} & set(sys.modules), 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
