"""What teacher and student show, what goes together, and what stands beside a detector in training."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from yolograft.distill.distiller import Distiller
from yolograft.distill.logit import Logit, binary_divergence
from yolograft.distill.methods import METHODS, build_method, check_methods, find_method
from yolograft.distill.mgd import MaskedGenerative
from yolograft.distill.teacher import Teacher
from yolograft.distill.view import View, watching
from yolograft.errors import CheckpointError, ModuleError, SpecError
from yolograft.graph.spec import ModuleRef, frozen_args
from yolograft.models.build import build, model_spec, sketch
from yolograft.models.detector import Detector
from yolograft.study.paper.citations import bibtex_of, keys_of_graft
from yolograft.types import RawPredictions


def ref(name: str, **options: object) -> ModuleRef:
    return ModuleRef(name, frozen_args(options))


def look(detector: Detector, images: Tensor) -> View:
    with watching(detector) as seen:
        raw = detector(detector.normalise(images))
    return View(detector, seen[0], raw)


def noise() -> Tensor:
    return torch.randint(0, 256, (1, 3, 64, 128), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def lively(name: str, *, seed: int = 0) -> Detector:
    """A fresh detector for three classes whose norms fit the noise it will see.

    Without, its maps are next to 0; with norms of another image, scores are exactly 0 or 1, without gradient.
    """
    detector = build(model_spec(name, num_classes=3), seed=seed)
    for part in detector.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        detector.train()(detector.normalise(noise()))
    return detector.eval()


@pytest.fixture(scope="module")
def nano() -> Detector:
    return lively("yolov8n")


@pytest.fixture(scope="module")
def images() -> Tensor:
    return noise()


def test_every_method_is_in_the_table_once_with_its_paper() -> None:
    names = [method.name for method in METHODS]
    assert names == ["cwd", "mgd", "logit", "ld"]
    assert all(bibtex_of(paper) and row.summary for row in METHODS for paper in row.paper.split("; "))
    assert keys_of_graft("distill:logit") == ("hinton2015distilling", "yang2023bridging")
    for name in names:
        assert float(build_method(ref(name), (4, 8), (8, 8)).weight) > 0  # type: ignore[arg-type]
    assert build_method(ref("ld", tau=3, weight=2.5), (), ()).tau == 3


@pytest.mark.parametrize(
    ("refs", "error", "message"),
    [
        ([ref("fgd")], SpecError, r"YG447 no method of distillation 'fgd' -> distill: cwd, mgd, logit, ld"),
        ([ref("cwd", temperature=2)], SpecError, r"YG447 .*no option 'temperature' -> options: tau, weight"),
        ([ref("mgd", tau=2)], SpecError, r"YG447 .*options: mask, weight"),
        ([ref("cwd"), ref("cwd", tau=2)], SpecError, r"YG447 distill:cwd stands twice"),
        ([ref("cwd", tau=0)], ModuleError, r"YG210 cwd: tau .*> 0"),
        ([ref("logit", weight=-1)], ModuleError, r"YG210 logit: weight"),
        ([ref("ld", tau="hot")], ModuleError, r"YG210 ld: tau"),
        ([ref("mgd", mask=1)], ModuleError, r"YG210 mgd: mask"),
        (
            [replace(ref("cwd"), init="identity")],
            SpecError,
            r"YG447 distill:cwd has no init -> leave init out",
        ),
    ],
)
def test_what_is_no_method_is_said_in_one_line(
    refs: list[ModuleRef], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_methods(refs)


@pytest.mark.parametrize(
    ("student", "teacher", "method", "message"),
    [
        (
            "yolov8n",
            "yolox-nano",
            "logit",
            "YG448 .*scores of yolox-nano .* of yolov8n: heads of two families",
        ),
        ("yolov8n", "yolov8s:7", "logit", "YG448 .*are of 7 classes, the student has 3 -> .*distill:cwd"),
        ("yolov8n", "yolov8s:7", "ld", "YG448 .*edges are of 7 classes"),
        ("yolox-nano", "yolox-nano", "ld", "YG448 .*no distributions: yolox"),
        ("yolov5n", "yolov5n", "ld", "YG448 .*no distributions: yolov5"),
        ("yolov8n", "yolov8n/p2", "cwd", "YG448 .*strides 8, 16, 32 and 4, 8, 16, 32.*--levels"),
    ],
)
def test_a_teacher_that_cannot_teach(student: str, teacher: str, method: str, message: str) -> None:
    name, _, classes = teacher.partition(":")
    name, _, level = name.partition("/")
    levels = ("p2", "p3", "p4", "p5") if level else ("p3", "p4", "p5")
    its = sketch(model_spec(name, num_classes=int(classes or 3), levels=levels))
    with pytest.raises(CheckpointError, match=message):
        Distiller([ref(method)], sketch(model_spec(student, num_classes=3)), its, seed=0)


@pytest.mark.parametrize("teacher", ["yolov8s", "yolox-tiny", "yolov5s"])
def test_maps_of_any_family_and_scale_through_adapters(teacher: str, nano: Detector) -> None:
    its = sketch(model_spec(teacher, num_classes=11))
    distiller = Distiller([ref("cwd"), ref("mgd")], nano, its, seed=0)
    wide = [
        its.facts[i].out_channels for i, fact in enumerate(its.facts) if fact.name in its.spec.head.inputs
    ]
    for method in distiller.methods.values():
        adapters = method.get_submodule("adapters")
        got = [(a.in_channels, a.out_channels) for a in adapters.children() if isinstance(a, nn.Conv2d)]
        assert got == list(zip((64, 128, 256), wide, strict=True))
    count = sum(i * o for i, o in zip((64, 128, 256), wide, strict=True))
    assert sum(p.numel() for p in distiller.methods["cwd"].parameters()) == count
    # Beside its adapters, which have a bias, two 3x3 convolutions a level.
    generators = sum(2 * (9 * c * c + c) for c in wide)
    assert sum(p.numel() for p in distiller.methods["mgd"].parameters()) == count + sum(wide) + generators


def test_adapters_learn_and_depend_on_seed_and_method_alone(nano: Detector, images: Tensor) -> None:
    teacher = Teacher(lively("yolov8s"), sha256="")
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one = Distiller([ref("cwd")], nano, teacher.detector, seed=5)
    two = Distiller([ref("mgd"), ref("cwd", tau=2)], nano, teacher.detector, seed=5)
    other = Distiller([ref("cwd")], nano, teacher.detector, seed=6)
    assert torch.equal(torch.get_rng_state(), state)
    mine, same, apart = (d.methods["cwd"].state_dict() for d in (one, two, other))
    assert all(torch.equal(mine[key], same[key]) for key in mine)
    assert not any(torch.equal(mine[key], apart[key]) for key in mine)
    losses = two(look(nano, images), teacher.look(images), draw=7)
    assert list(losses) == ["distill_mgd", "distill_cwd"] and all(loss > 0 for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    for name, parameter in two.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    again = two(look(nano, images), teacher.look(images), draw=7)
    assert all(torch.equal(losses[key], again[key]) for key in losses)
    assert not torch.equal(
        two(look(nano, images), teacher.look(images), draw=8)["distill_mgd"], losses["distill_mgd"]
    )
    assert all(parameter.grad is None for parameter in teacher.detector.parameters())


@pytest.mark.parametrize(
    ("name", "methods"),
    [("yolov8n", ("cwd", "logit", "ld")), ("yolov5n", ("cwd", "logit")), ("yolox-nano", ("cwd", "logit"))],
)
def test_who_teaches_himself_learns_nothing(name: str, methods: tuple[str, ...], images: Tensor) -> None:
    detector = lively(name)
    distiller = Distiller([ref(method) for method in methods], detector, detector, seed=0)
    assert list(distiller.parameters()) == []
    mine = look(detector, images)
    with torch.no_grad():
        its = look(detector, images)
    losses = distiller(mine, its, draw=0)
    assert {key: loss.item() for key, loss in losses.items()} == {f"distill_{m}": 0.0 for m in methods}
    apart = distiller(mine, Teacher(lively(name, seed=9), sha256="").look(images), draw=0)
    assert all(loss > 0 for loss in apart.values())
    # Of each method by itself, the gradient is rounding beside that of a lesson.
    for key in losses:
        top = steepest(apart[key], detector)
        assert top > 0 and steepest(losses[key], detector) < 1e-5 * top, key


def steepest(loss: Tensor, detector: Detector) -> float:
    wanted = [p for p in detector.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
    return max(grad.abs().max().item() for grad in found if grad is not None)


def test_a_generator_that_hands_through_makes_the_teacher() -> None:
    method = MaskedGenerative([3], [3], mask=0.0)
    with torch.no_grad():
        for conv in (method.generators[0][0], method.generators[0][2]):  # type: ignore[index]
            nn.init.dirac_(conv.weight)
            nn.init.zeros_(conv.bias)
    detector = sketch(model_spec("yolov8n", num_classes=1))
    maps = (torch.rand(2, 3, 5, 7),)
    view = View(detector, maps, RawPredictions((), (8,), (40, 56)))
    assert method(view, view, draw=1).item() == 0.0
    method.mask = 0.5
    hidden = method(view, view, draw=1).item()
    assert 0 < hidden < maps[0].square().mean().item()


def test_scores_and_edges_of_a_view(nano: Detector, images: Tensor) -> None:
    view = look(nano, images)
    boxes, scores = nano.decode(view.raw)
    assert torch.equal(view.scores, scores) and view.edges.shape == (*boxes.shape[:2], 4, 16)
    # The expected distance of every edge is the decoded one.
    expected = view.edges.softmax(-1) @ torch.arange(16.0)
    sides = (boxes[..., 2:] - boxes[..., :2]) / (expected[..., :2] + expected[..., 2:])
    assert sides.min() > 7.9 and sides.max() < 32.1


def test_the_teacher_s_confidence_is_the_weight(nano: Detector, images: Tensor) -> None:
    view = look(nano, images)
    sure = look(nano, images)
    sure.__dict__["scores"] = torch.zeros_like(view.scores)
    sure.__dict__["scores"][0, 5, 1] = 0.8
    loss = Logit(tau=1.0, weight=2.0)(view, sure, draw=0)
    # Under one anchor's worth of confidence the sum is not blown up.
    assert torch.equal(loss, 2 * binary_divergence(view.scores, sure.scores, tau=1.0).sum())


def test_watching_leaves_nothing_behind_and_changes_nothing(nano: Detector, images: Tensor) -> None:
    inputs = nano.normalise(images)
    plain = nano(inputs)
    with watching(nano) as seen:
        raw = nano(inputs)
        assert len(nano.head._forward_pre_hooks) == 1
    assert not nano.head._forward_pre_hooks and len(seen) == 1
    assert [tuple(m.shape) for m in seen[0]] == [(1, 64, 8, 16), (1, 128, 4, 8), (1, 256, 2, 4)]
    assert all(
        torch.equal(a, b)
        for one, two in zip(plain.levels, raw.levels, strict=True)
        for a, b in zip(one, two, strict=True)
    )
    assert torch.equal(nano.head.box[0](seen[0][0]), raw.levels[0][0])
    with pytest.raises(RuntimeError, match="planted"), watching(nano):
        raise RuntimeError("planted")
    assert not nano.head._forward_pre_hooks


def test_under_autocast_the_maps_are_what_the_head_read(nano: Detector, images: Tensor) -> None:
    teacher = Teacher(lively("yolov8n", seed=2), sha256="")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        view, its = look(nano, images), teacher.look(images)
        assert torch.equal(nano.head.cls[2](view.maps[2]), view.raw.levels[2][1])
        losses = Distiller([ref(m.name) for m in METHODS], nano, teacher.detector, seed=0)(view, its, draw=0)
    assert view.maps[0].dtype is torch.bfloat16 and its.maps[0].dtype is torch.bfloat16
    assert all(loss.dtype is torch.float32 and torch.isfinite(loss) and loss > 0 for loss in losses.values())


def test_a_teacher_reads_images_as_its_own_family_does(images: Tensor) -> None:
    teacher = Teacher(build(model_spec("yolox-nano", num_classes=3)).train(), sha256="ab")
    view = teacher.look(images)
    with torch.no_grad():
        want = teacher.detector(images.flip(1).float())
    assert not teacher.detector.training and view.seconds > 0
    assert torch.equal(view.raw.levels[0][0], want.levels[0][0])
    assert not view.scores.requires_grad and not any(p.requires_grad for p in teacher.detector.parameters())
    assert find_method("cwd").compares == "maps"


def test_on_a_gpu_a_look_lasts_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels run behind the clock: without waiting, the first arm that reads the view would pay for it."""

    class Blank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Identity()

        def normalise(self, _: object) -> list[Tensor]:
            return [torch.zeros(1)]

        def forward(self, maps: list[Tensor]) -> Any:
            return self.head(maps)

    waited: list[object] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    blank: Any = Blank()
    for is_cuda in (False, True):
        images: Any = SimpleNamespace(is_cuda=is_cuda, device="cuda:1")
        Teacher(blank, sha256="").look(images)
    assert waited == ["cuda:1"]
