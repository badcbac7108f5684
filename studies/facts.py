"""Outcomes that the ledger of claims quotes and no test of ours holds.

    python studies/facts.py reach | counts | sites | yolox | yaml

Each word prints one JSON document. `yolox` and `yaml` run the published packages as black boxes and need the
extra `peers`; tests/peers/README.md says how they are installed. No training beyond three steps.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from yolograft.attention.cbam import CBAM
from yolograft.attention.coord_att import CoordAtt
from yolograft.attention.double_att import DoubleAttention
from yolograft.attention.se import SqueezeExcite
from yolograft.errors import YolograftError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import inspect_spec, model_spec

ROOT = Path(__file__).resolve().parents[1]
PLACES = (
    *("stem", "backbone.p2", "backbone.p3", "backbone.p4", "backbone.p5", "backbone.sppf"),
    *("neck.lat5", "neck.lat4", "neck.td4", "neck.p3", "neck.p4", "neck.p5", "head.p3.cls", "head.p3.box"),
)

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
    """At how many places each module of the posts builds, and what the others answer."""
    facts: dict[str, Any] = {}
    for model, module in (
        ("yolox-nano", "coord_att"),
        ("yolox-nano", "cbam"),
        ("yolov5s", "nam"),
        ("yolov8n", "double_att"),
    ):
        answers = {}
        for place in PLACES:
            try:
                inspect_spec(graft(model_spec(model, num_classes=3), parse_graft(f"{module}@{place}")))
            except YolograftError as error:
                answers[place] = error.code
        facts[f"{module} in {model}"] = {"builds at": len(PLACES) - len(answers), "refused": answers}
    return facts


def yolox() -> dict[str, Any]:
    """CoordAtt as published behind dark3, dark4 and dark5 of YOLOX's own network; its activations."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import oracles  # pyright: ignore[reportMissingImports]

    oracles.yolox_model("nano", 3)  # before the package is imported by name: it needs what this hides
    from yolox.models.network_blocks import get_activation

    facts: dict[str, Any] = {}
    for height, width in ((416, 416), (320, 480)):
        torch.manual_seed(0)
        network = oracles.yolox_model("nano", 3).train()
        added = nn.ModuleDict({f"dark{n}": CoordAtt(32 * 2 ** (n - 2)) for n in (3, 4, 5)})

        def place(_: nn.Module, __: Any, maps: dict[str, Any], to: nn.ModuleDict = added) -> dict[str, Any]:
            return {name: to[name](value) if name in to else value for name, value in maps.items()}

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
        facts[f"{height}x{width}"] = {"loss": losses, "every weight has a gradient": reached}
    return facts | {"mish": _answer(lambda: str(get_activation("mish")))}


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
