"""Outcomes that the ledger of claims quotes and no test of ours holds.

    python studies/facts.py reach | counts | sites | yolox | yaml

Each word prints one JSON document. `yolox` and `yaml` run the published packages as black boxes and need the
extra `peers`; tests/peers/README.md says how they are installed. No training beyond three steps.

`PublishedCoordAtt` follows the authors' published code, houqb/CoordAttention, MIT licence, Copyright (c) 2021
Qibin (Andrew) Hou (paper: arXiv 2103.02907): it is what the first post calls the official code.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from yolograft.attention.cbam import CBAM
from yolograft.attention.coord_att import CoordAtt
from yolograft.attention.double_att import DoubleAttention
from yolograft.attention.se import SqueezeExcite
from yolograft.errors import YolograftError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import inspect_spec, model_spec

ROOT = Path(__file__).resolve().parents[1]
BRANCHES = tuple(f"head.p{level}.{part}" for level in (3, 4, 5) for part in ("cls", "box"))

# depth_multiple and width_multiple as the post on DoubleAttention prints them.
MULTIPLES = {"n": (0.33, 0.25), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1, 1), "x": (1.33, 1.25)}


def reach() -> dict[str, Any]:
    """Which of 20 x 20 positions notice that one pixel changed, and what SE makes of shuffled positions."""
    torch.manual_seed(0)
    x = torch.randn(1, 64, 20, 20)
    moved = x.clone()
    moved[:, :, 2, 3] += 5
    modules: dict[str, nn.Module] = {
        "coord_att": CoordAtt(64),
        "cbam": CBAM(64),
        "se": SqueezeExcite(64),
        "double_att": DoubleAttention(64),
    }
    facts: dict[str, Any] = {"positions": 400}
    for name, module in modules.items():
        module.eval()
        residual = name == "double_att"
        change = module(moved) - moved - module(x) + x if residual else module(moved) / moved - module(x) / x
        noticed = (change.abs().amax(1)[0] > 1e-7).nonzero()
        cross = bool(((noticed[:, 0] == 2) | (noticed[:, 1] == 3)).all())
        facts[name] = {"notice": len(noticed), "row and column only": cross}
    order = torch.randperm(400)
    shuffled = x.flatten(2)[..., order].unflatten(2, (20, 20))
    gates = [(modules["se"](m) / m)[0, :, 0, 0] for m in (x, shuffled)]
    facts["se, gates move by when positions are shuffled"] = float((gates[0] - gates[1]).abs().max().detach())
    return facts


def counts() -> dict[str, Any]:
    """Parameters of SE, CBAM and CoordAtt by channels: as published, and at one reduction of 16."""
    classes = {"se": SqueezeExcite, "cbam": CBAM, "coord_att": CoordAtt}

    def row(channels: int, **options: int) -> dict[str, int]:
        built = {name: cls(channels, **options) for name, cls in classes.items()}
        return {name: sum(p.numel() for p in module.parameters()) for name, module in built.items()}

    widths = (32, 64, 128, 256, 512, 1024)
    return {str(c): {"published": row(c), "reduction 16": row(c, reduction=16)} for c in widths}


def sites() -> dict[str, Any]:
    """Of all places a model has, those where a module of the posts builds; what the others answer.

    A place is a site, any layer by its own name, or a branch of the head.
    """
    facts: dict[str, Any] = {}
    for model, module in (
        ("yolox-nano", "coord_att"),
        ("yolox-nano", "cbam"),
        ("yolov5s", "nam"),
        ("yolov8n", "double_att"),
    ):
        spec = model_spec(model, num_classes=3)
        roles = [role for role, _ in spec.sites]
        layers = [layer.name for layer in spec.layers if layer.name not in (*roles, spec.head.name)]
        answers = {}
        for place in (*roles, *layers, *BRANCHES):
            try:
                inspect_spec(graft(spec, parse_graft(f"{module}@{place}")))
            except YolograftError as error:
                answers[place] = error.code
        facts[f"{module} in {model}"] = {
            "sites": _share(roles, answers),
            "other layers": _share(layers, answers),
            "head branches": _share(BRANCHES, answers),
            "refused": answers,
        }
    return facts


def _share(places: Sequence[str], refused: Mapping[str, str]) -> str:
    return f"{sum(place not in refused for place in places)} of {len(places)}"


class PublishedCoordAtt(nn.Module):
    """CoordAtt in the authors' form: both pools are modules made in ``__init__``. [B, C, H, W] -> same."""

    def __init__(self, channels: int, *, reduction: int = 32) -> None:
        super().__init__()
        self.pool_h = nn.AdaptiveAvgPool2d((None, 1))
        self.pool_w = nn.AdaptiveAvgPool2d((1, None))
        hidden = max(8, channels // reduction)
        self.conv1 = nn.Conv2d(channels, hidden, kernel_size=1, stride=1, padding=0)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.sixth = nn.ReLU6(inplace=True)
        self.conv_h = nn.Conv2d(hidden, channels, kernel_size=1, stride=1, padding=0)
        self.conv_w = nn.Conv2d(hidden, channels, kernel_size=1, stride=1, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        pooled = torch.cat((self.pool_h(x), self.pool_w(x).permute(0, 1, 3, 2)), dim=2)
        y = self.bn1(self.conv1(pooled))
        y = y * (self.sixth(y + 3) / 6)
        rows, columns = torch.split(y, [height, width], dim=2)
        columns = columns.permute(0, 1, 3, 2)
        return x * self.conv_w(columns).sigmoid() * self.conv_h(rows).sigmoid()


def yolox() -> dict[str, Any]:
    """CoordAtt behind dark3, dark4 and dark5 of YOLOX's own network: the authors' form, ours, both alike."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import oracles  # pyright: ignore[reportMissingImports]

    oracles.yolox_model("nano", 3)  # before the package is imported by name: it needs what this hides
    from yolox.models.network_blocks import get_activation

    def trained(form: type[nn.Module]) -> dict[str, Any]:
        facts = {}
        for height, width in ((416, 416), (320, 480)):
            torch.manual_seed(0)
            facts[f"{height}x{width}"] = three_steps(oracles.yolox_model("nano", 3), form, height, width)
        return facts

    return {
        "published": trained(PublishedCoordAtt),
        "ours": trained(CoordAtt),
        "published and ours differ by": forms_differ(),
        "mish": _answer(lambda: str(get_activation("mish"))),
    }


def three_steps(network: Any, form: type[nn.Module], height: int, width: int) -> dict[str, Any]:
    """Loss of three steps of YOLOX's network with ``form`` behind its three dark stages."""
    torch.manual_seed(0)
    network.train()
    added = nn.ModuleDict({f"dark{n}": form(32 * 2 ** (n - 2)) for n in (3, 4, 5)})

    def place(_: nn.Module, __: Any, maps: dict[str, Any]) -> dict[str, Any]:
        return {name: added[name](value) if name in added else value for name, value in maps.items()}

    network.backbone.backbone.register_forward_hook(place)
    images, boxes = torch.rand(2, 3, height, width) * 255, torch.zeros(2, 4, 5)
    boxes[:, 0] = torch.tensor([1, 100.0, 100, 60, 50])
    step = torch.optim.SGD([*network.parameters(), *added.parameters()], 1e-4)
    losses = []
    for _ in range(3):
        loss = network(images, boxes)["total_loss"]
        step.zero_grad()
        loss.backward()
        step.step()
        losses.append(round(loss.item(), 2))
    reached = all(p.grad is not None and bool(p.grad.isfinite().all()) for p in added.parameters())
    return {"loss": losses, "every weight has a gradient": reached}


def forms_differ(channels: int = 64, height: int = 13, width: int = 19) -> float:
    """Largest difference between the two forms with equal weights, on a map that is not square."""
    torch.manual_seed(0)
    published, ours = PublishedCoordAtt(channels).eval(), CoordAtt(channels).eval()
    ours.load_state_dict(published.state_dict())
    x = torch.randn(2, channels, height, width)
    with torch.no_grad():
        return float((published(x) - ours(x)).abs().max())


def yaml() -> dict[str, Any]:
    """Where ultralytics finds a model file, what it holds then, and the two tables of multiples."""
    from yaml import safe_dump, safe_load

    text = (ROOT / "tests/seeds/stock_yolov8.yaml").read_text(encoding="utf-8")
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, before = Path(name), Path.cwd()
        (folder / "inner").mkdir()
        for file in (folder / "yolov8_DANet.yaml", folder / "inner/yolov8_DANet.yaml"):
            file.write_text(text, encoding="utf-8")
        try:
            os.chdir(folder)
            asked = ("yolov8_DANet.yaml", "inner/yolov8_DANet.yaml", str(folder / "yolov8_DANet.yaml"))
            for label, path in zip(("file name", "relative path", "absolute path"), asked, strict=True):
                facts[label] = _answer(lambda path=path: _parameters(path))
            os.chdir(folder / "inner")
            (folder / "inner/yolov8_DANet.yaml").unlink()
            facts["file name, from another folder"] = _answer(lambda: _parameters("yolov8_DANet.yaml"))
            facts["modules of yolov8n.yaml"] = _modules("yolov8n.yaml")
            for scale in "nsmlx":
                facts[f"yolov8{scale}.yaml"] = _answer(lambda scale=scale: _parameters(f"yolov8{scale}.yaml"))
            for scale, (depth, width) in MULTIPLES.items():
                model = safe_load(text) | {"depth_multiple": depth, "width_multiple": width}
                Path("both.yaml").write_text(safe_dump(model, sort_keys=False), encoding="utf-8")
                facts[f"multiples of {scale} beside scales"] = _answer(lambda: _parameters("both.yaml"))
                del model["scales"]
                Path("alone.yaml").write_text(safe_dump(model, sort_keys=False), encoding="utf-8")
                facts[f"multiples of {scale} alone"] = _answer(lambda: _parameters("alone.yaml"))
        finally:
            os.chdir(before)
    return facts


def _parameters(file: str) -> int:
    from ultralytics import YOLO

    network: Any = YOLO(file).model
    return sum(p.numel() for p in network.parameters())


def _modules(file: str) -> dict[str, int]:
    """Two ways to count the layers of one network."""
    from ultralytics import YOLO

    network: Any = YOLO(file).model
    modules = list(network.modules())
    return {"all": len(modules), "without others inside": sum(not any(m.children()) for m in modules)}


def _answer(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (FileNotFoundError, AttributeError) as error:
        return type(error).__name__


FACTS: dict[str, Callable[[], dict[str, Any]]] = {
    "reach": reach,
    "counts": counts,
    "sites": sites,
    "yolox": yolox,
    "yaml": yaml,
}

if __name__ == "__main__":
    for word in sys.argv[1:]:
        sys.stdout.write(json.dumps(FACTS[word](), indent=1) + "\n")
