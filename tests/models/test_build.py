"""From a spec to a detector: what a layer's weights depend on, and promises checked against facts."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from yolograft.errors import MAX_LINE, ModuleError, SpecError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.spec import LayerSpec, ModelSpec
from yolograft.models.build import build, inspect_spec, instantiate, model_spec, sketch
from yolograft.models.catalog import ENTRIES, model_names
from yolograft.models.codebook import from_grafts
from yolograft.models.detector import Detector

BASE = model_spec("yolov8n", num_classes=3)
ATTENTION = [entry.name for entry in ENTRIES if entry.kind == "attention"]

OWN = """import torch
from torch import nn

class Fine(nn.Module):
    def __init__(self, channels, k=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, k, padding=k // 2)
        self.seen = 0.0
    def forward(self, x):
        self.seen = x.mean().item()  # reads a value, which a shapes-only run has none of
        if self.seen > 1e9:
            raise RuntimeError
        return x * self.conv(x).sigmoid()

class Noisy(Fine):
    def forward(self, x):
        return super().forward(x) + torch.rand(1).item() * 0

class Strided(Fine):  # `strides` is a word of our heads, and may be one of anybody's
    strides = (1, 2)

class WrongChannels(Fine):
    out_channels = 7

class ZeroChannels(Fine):
    out_channels = 0

class WrongStride(Fine):
    stride = 2

class ZeroStride(Fine):
    stride = 0

class NanStride(Fine):
    stride = float("nan")

class Halves(Fine):
    def forward(self, x):
        return x[:, ::2]

class Shrinks(Fine):
    def forward(self, x):
        return x[:, :, ::2, ::2]

class SquareOnly(Fine):
    def forward(self, x):
        return x + x.transpose(2, 3)

class Forgets(Fine):
    def forward(self, x):
        super().forward(x)

class GivesTwo(Fine):
    def forward(self, x):
        return x, x

class Raises(Fine):
    def forward(self, x):
        raise ValueError("a long reason\\n" + "because " * 60)

class Narrows(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.out_channels = channels // 2
        self.conv = nn.Conv2d(channels, channels // 2, 1)
    def forward(self, x):
        return self.conv(x)

class Halved(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.stride = 2
        self.conv = nn.Conv2d(channels, channels, 3, 2, 1)
    def forward(self, x):
        return self.conv(x)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "own.py"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def base() -> dict[str, Tensor]:
    return build(BASE, seed=5).state_dict()


def grafted(text: str, *, seed: int = 5, spec: ModelSpec = BASE) -> Detector:
    arm = parse_graft(text)
    return build(graft(spec, arm), seed=seed, code=from_grafts([arm]))


def refused(text: str, spec: ModelSpec = BASE) -> ModuleError:
    arm = parse_graft(text)
    with pytest.raises(ModuleError) as caught:
        inspect_spec(graft(spec, arm), code=from_grafts([arm]))
    line = str(caught.value)
    assert "\n" not in line and len(line) <= MAX_LINE
    return caught.value


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


PLACES = (
    *(
        "se@neck.p3",
        "coord_att@backbone.p2,neck.p5+nam@stem",
        "timm:cbam@neck.p4",
        "double_att@backbone.sppf",
    ),
    *("se@edge:backbone.p4..neck.td4", "se@before:backbone.sppf", "coord_att@edge:neck.p3..head"),
    *(
        "se@inside:backbone.p2",
        "coord_att@inside:backbone.p4+se@inside:backbone.p4",
        "timm:eca@inside:neck.p3",
    ),
    *(
        "se@head.p3.cls",
        "coord_att@head.p5.box+se@head.p3.box,head.p4.cls",
        "se:init=identity@inside:neck.td4",
    ),
)


@pytest.mark.parametrize("text", PLACES)
def test_a_graft_leaves_every_stock_weight_as_it_is(text: str, base: dict[str, Tensor]) -> None:
    state = grafted(text).state_dict()
    assert same({key: state[key] for key in base}, base)
    assert len(state) > len(base)


@pytest.mark.parametrize(
    "site",
    ["neck.p3", "inside:backbone.p3", "head.p3.cls", "edge:backbone.p4..neck.td4", "before:backbone.p5"],
)
def test_a_class_of_the_users_own_leaves_them_too(site: str, own: Path, base: dict[str, Tensor]) -> None:
    detector = grafted(f"{own}::Noisy:k=5@{site}")
    state = detector.state_dict()
    assert same({key: state[key] for key in base}, base)
    raw = detector.eval()(torch.rand(1, 3, 64, 96))
    assert all(bool(t.isfinite().all()) for level in raw.levels for t in level)


def test_weights_depend_on_the_seed_and_the_layer_name_alone(base: dict[str, Tensor]) -> None:
    assert same(build(BASE, seed=5).state_dict(), base)
    other = build(BASE, seed=6).state_dict()
    drawn = [key for key in base if key.endswith("conv.weight") and "dfl" not in key]
    assert not any(torch.equal(base[key], other[key]) for key in drawn)
    first, second = grafted("se@neck.p3").state_dict(), grafted("nam@stem+se@neck.p3,neck.p4").state_dict()
    assert torch.equal(first["layers.neck/p3+se.fc1.weight"], second["layers.neck/p3+se.fc1.weight"])
    head = "layers.head."
    more = build(BASE.with_classes(5), seed=5).state_dict()
    assert same(
        {key: value for key, value in base.items() if not key.startswith(head)},
        {key: value for key, value in more.items() if not key.startswith(head)},
    )


def test_modules_inside_a_block_start_apart_and_do_not_depend_on_later_ones() -> None:
    alone = grafted("se@inside:backbone.p3").state_dict()
    both = grafted("se@inside:backbone.p3+nam@inside:backbone.p3").state_dict()
    first, second = (f"layers.backbone/p3.blocks.{i}.inner." for i in (0, 1))
    assert not torch.equal(alone[first + "fc1.weight"], alone[second + "fc1.weight"])
    assert torch.equal(alone[second + "fc1.weight"], both[second + "0.fc1.weight"])
    head = grafted("se@head.p3.cls,head.p3.box").state_dict()
    assert torch.equal(
        head["layers.head.cls.0.3.fc1.weight"],
        grafted("se@head.p3.cls").state_dict()["layers.head.cls.0.3.fc1.weight"],
    )


def test_hidden_generators_are_left_as_they_were(own: Path) -> None:
    # The first use of a class or of timm imports it, which is not the builder's doing.
    texts = ("se@neck.p3", f"{own}::Noisy@neck.p3,inside:neck.p4", "timm:cbam@neck.p3")
    for text in texts:
        arm = parse_graft(text)
        spec, code = graft(BASE, arm), from_grafts([arm])
        for work in (build, sketch, inspect_spec):
            before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index]
            work(spec, code=code)
            assert torch.equal(torch.get_rng_state(), before[0])
            assert random.getstate() == before[1]
            assert np.array_equal(np.random.get_state()[1], before[2])  # type: ignore[index]


def test_the_hidden_state_has_no_say(base: dict[str, Tensor]) -> None:
    torch.manual_seed(99)
    torch.rand(17)
    with torch.device("meta"):
        inside_another_device = build(BASE, seed=5).state_dict()
    assert same(inside_another_device, base)


def test_only_the_generator_of_the_cpu_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.manual_seed` would seed GPUs as well, and nothing puts their generators back."""

    def trap(seed: int) -> None:
        raise AssertionError("torch.manual_seed was called")

    monkeypatch.setattr(torch, "manual_seed", trap)
    monkeypatch.setattr(torch.random, "manual_seed", trap)
    grafted("se@neck.p3+nam@inside:neck.p4+timm:ela@neck.p5")


def test_a_sketch_holds_no_memory_and_the_same_facts(own: Path) -> None:
    arm = parse_graft(f"{own}::Fine@neck.p3+se@inside:backbone.p2")
    spec, code = graft(BASE, arm), from_grafts([arm])
    drawn, real = sketch(spec, code=code), build(spec, code=code)
    assert all(t.is_meta for t in drawn.state_dict().values())
    assert not any(t.is_meta for t in real.state_dict().values())
    shapes = [{key: t.shape for key, t in d.state_dict().items()} for d in (drawn, real)]
    assert shapes[0] == shapes[1] and drawn.facts == real.facts == inspect_spec(spec, code=code)
    (fact,) = (f for f in real.facts if f.name == "neck.p3+fine")
    assert (fact.out_channels, fact.stride, fact.params) == (64, 8, 64 * 64 * 9 + 64)
    assert "channels=64" in fact.note


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize("init", ["paper", "identity"])
def test_every_attention_module_trains_where_the_head_reads(name: str, init: str) -> None:
    detector = grafted(f"{name}:init={init}@neck.p3,neck.p4,neck.p5").train()
    optimiser = torch.optim.SGD(detector.parameters(), lr=1e-3)
    # Over one pooling window a softmax has one entry, and the query of cloformer no gradient.
    side = 256 if name == "cloformer" else 64
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    mine = {key: p for key, p in detector.named_parameters() if "+" in key}
    assert mine or name == "simam"
    alive: set[str] = set()
    for _ in range(2):
        optimiser.zero_grad()
        raw = detector(x)
        weight = torch.Generator().manual_seed(1)
        sum(
            (t * torch.randn(t.shape, generator=weight)).sum() for level in raw.levels for t in level
        ).backward()  # type: ignore[union-attr]
        alive = {key for key, p in mine.items() if p.grad is not None and bool(p.grad.any())}
        assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in detector.parameters())
        if init == "identity" and not detector.layers["neck/p3+" + name].scale.any():  # type: ignore[union-attr]
            assert alive == {key for key in mine if key.endswith(".scale")}
        optimiser.step()
    assert alive == mine.keys()


@pytest.mark.parametrize("key", ["eca", "cbam", "se", "coord"])
def test_timm_layers(key: str) -> None:
    detector = grafted(f"timm:{key}@neck.p3,inside:backbone.p2,head.p4.cls")
    raw = detector(torch.rand(2, 3, 64, 64))
    sum(t.sum() for level in raw.levels for t in level).backward()  # type: ignore[union-attr]
    assert refused("timm:nothing@neck.p3").code == "YG230"
    assert refused(f"timm:{key}:no_such=3@neck.p3").code == "YG232"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("see@neck.p3", "YG201", "did you mean se"),
        ("se:reducton=4@neck.p3", "YG202", "reducton"),
        ("se:num_classes=4@neck.p3", "YG202", "num_classes"),
        ("conv@neck.p3", "YG202", "out_channels"),
        ("c2f:out_channels=64,inner=5@neck.p3", "YG202", "inner"),
        ("se:reduction=0@neck.p3", "YG210", "reduction"),
        ("conv:out_channels=wide@neck.p3", "YG213", "TypeError"),
        ("conv:out_channels=-4@neck.p3", "YG213", "-4"),
        ("concat@neck.p3", "YG204", "joins maps"),
        ("yolov8_head@neck.p3", "YG204", "comes last"),
        ("conv:out_channels=64,stride=2@neck.p3", "YG205", "neck.p4.cat"),
        ("upsample@backbone.p4", "YG205", "(stride 8)"),
        ("conv:out_channels=64,kernel=2@neck.p3", "YG207", "neck.p3+conv"),
        ("double_att:reproject=off,c_m=8@inside:neck.p3", "YG206", "neck.p3"),
        ("double_att:reproject=off,c_m=8@head.p3.cls", "YG206", "head"),
        ("double_att:init=identity,reproject=off,c_m=8@neck.p3", "YG240", "no identity form"),
        ("se@head.p6.cls", "YG209", "p5.box"),
        ("se@head.p3.obj", "YG209", "p3.obj"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(text: str, code: str, words: str) -> None:
    error = refused(text)
    assert error.code == code and words in str(error)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("WrongChannels", "YG207", "[1, 7, 8, 12], returns [1, 64, 8, 12]"),
        ("ZeroChannels", "YG207", "0 channels"),
        ("WrongStride", "YG207", "[1, 64, 4, 6], returns [1, 64, 8, 12]"),
        ("ZeroStride", "YG207", "stride 0"),
        ("NanStride", "YG207", "stride nan"),
        ("Halves", "YG207", "returns [1, 32, 8, 12]"),
        ("Shrinks", "YG207", "returns [1, 64, 4, 6]"),
        ("SquareOnly", "YG208", "fails on [1, 64, 8, 12]"),
        ("Forgets", "YG208", "NoneType"),
        ("GivesTwo", "YG208", "tuple"),
        ("Raises", "YG208", "a long reason"),
    ],
)
def test_a_class_that_lies_is_refused_with_the_layers_name(
    own: Path, name: str, code: str, words: str
) -> None:
    # A short path: the test's folder would fill the line.
    arm = parse_graft(f"own.py::{name}@neck.p3")
    user = from_grafts([parse_graft(f"{own}::{name}@neck.p3")])
    with pytest.raises(ModuleError) as caught:
        inspect_spec(graft(BASE, arm), code={f"own.py::{name}": next(iter(user.values()))})
    line = str(caught.value)
    assert caught.value.code == code and words in line
    assert f"'neck.p3+{name.lower()}'" in line and "\n" not in line and len(line) <= MAX_LINE


def test_a_class_may_change_what_it_says_it_changes(own: Path) -> None:
    facts = {f.name: f for f in grafted(f"{own}::Narrows@neck.p3").facts}
    assert facts["neck.p3+narrows"].out_channels == 32
    assert refused(f"{own}::Halved@neck.p3").code == "YG205"
    halved = {f.name: f for f in grafted(f"{own}::Halved@replace:backbone.p5.down").facts}
    assert halved["backbone.p5.down+halved"].stride == 32
    assert refused(f"{own}::Narrows@inside:neck.p3").code == "YG206"


def test_an_attribute_named_strides_means_nothing_on_a_graft(own: Path) -> None:
    grafted(f"{own}::Strided@neck.p3").eval()(torch.rand(1, 3, 64, 64))


def test_code_is_named_before_it_is_built(own: Path) -> None:
    arm = parse_graft(f"{own}::Fine@neck.p3")
    with pytest.raises(ModuleError) as caught:
        build(graft(BASE, arm))
    assert caught.value.code == "YG203" and "--code" in str(caught.value)


def test_specs_that_end_or_join_wrongly() -> None:
    conv = LayerSpec("a", "conv", ("image",), (("out_channels", 8),))
    both = LayerSpec("b", "conv", ("image", "a"), (("out_channels", 8),))
    for layers, words in (((conv,), "comes last"), ((conv, both, BASE.head), "takes one map")):
        inputs = tuple(x.name for x in layers[:3])
        fixed = tuple(
            LayerSpec(x.name, x.module, inputs[:-1], x.args) if x.name == "head" else x for x in layers
        )
        with pytest.raises(ModuleError, match=words) as caught:
            inspect_spec(ModelSpec("yolov8", "n", 3, fixed, ()))
        assert caught.value.code == "YG204"


def test_modules_come_one_by_one_too() -> None:
    module, note = instantiate(parse_graft("se:reduction=4@x").terms[0].ref, 32, {})
    assert module.fc1.out_channels == 8 and note == ""  # type: ignore[union-attr]
    with pytest.raises(ModuleError) as caught:
        instantiate(parse_graft("timm:eca@x").terms[0].ref, [32, 64], {})
    assert caught.value.code == "YG204"


@pytest.mark.parametrize("model", model_names())
def test_model_names(model: str) -> None:
    assert model_spec(model).name == model and model_spec(model).num_classes == 80


def test_a_wrong_model_name_offers_the_nearest() -> None:
    with pytest.raises(SpecError, match="did you mean yolov8n") as caught:
        model_spec("yolo8n")
    assert caught.value.code == "YG106" and len(str(caught.value)) <= MAX_LINE
