"""Our weights spelled as the published packages spell them, for tests that need no package."""

from __future__ import annotations

from torch import Tensor

from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build
from yolograft.models.detector import Detector, key_of
from yolograft.models.foreign.names import part_of, their_name

Rows = list[dict[str, Tensor]]


def rows_of(net: Detector) -> Rows:
    """Per layer of the model its tensors by their names inside it, as YOLOv5 and YOLOv8 number them."""
    state = net.state_dict()
    rows: Rows = []
    for layer in net.spec.layers:
        prefix = f"layers.{key_of(layer.name)}."
        rows.append(
            {
                their_name(net.spec.family, layer.module, key[len(prefix) :]): value.clone()
                for key, value in state.items()
                if key.startswith(prefix)
            }
        )
    if net.spec.family == "yolov5":
        strides = [[[stride]] for stride in net.head.strides]
        rows[-1]["anchors"] = net.head.anchors / net.head.anchors.new_tensor(strides)
    return rows


def numbered(rows: Rows) -> dict[str, Tensor]:
    """The state dict of a model of these rows."""
    return {f"model.{i}.{name}": value for i, row in enumerate(rows) for name, value in row.items()}


def attributed(net: Detector) -> dict[str, Tensor]:
    """The state dict of a YOLOX with these weights."""
    out: dict[str, Tensor] = {}
    places: dict[str, int] = {}
    for layer, row in zip(net.spec.layers, rows_of(net), strict=True):
        part = part_of(net.spec.family, layer.name)
        prefix = part
        if ".dark" in part and row:
            places[part] = places.get(part, -1) + 1
            prefix = f"{part}.{places[part]}"
        out |= {f"{prefix}.{name}": value for name, value in row.items()}
    return out


def state_of(net: Detector) -> dict[str, Tensor]:
    """The state dict of the published model with these weights."""
    return attributed(net) if net.spec.family == "yolox" else numbered(rows_of(net))


def scrambled(spec: ModelSpec, *, seed: int = 0) -> Detector:
    """A detector no two tensors of which are alike: a tensor in a wrong place would be seen."""
    import torch

    net = build(spec, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator))
    return net
