"""``neck:bifpn``, the weighted bi-directional pyramid.

Tan, Pang, Le, "EfficientDet: Scalable and Efficient Object Detection", 2020, arXiv 1911.09070, section 3:
nodes with one input are dropped, a level in between has an edge from its input to its output, every node is a
weighted sum of its inputs, and the whole is repeated.

Deviations: levels keep the widths of the family, as its head expects, so that 1x1 convolutions stand where
widths differ; after a sum comes the family's block, where the paper has an activation and a depthwise
separable convolution; a map is narrowed before it is enlarged, the same sum for a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Mapping

from yolograft.graph.necks.frame import WIDTH, Frame
from yolograft.graph.spec import LayerSpec, frozen_args

ADD = "bifpn_add"


def bifpn(frame: Frame, *, repeats: int = 1, fusion: str = "fast") -> tuple[list[LayerSpec], dict[int, str]]:
    """The layers, and level -> the layer whose map the head reads.

    Args:
        repeats: how often the two paths are run through; the last bear the names of PAN's layers.
        fusion: ``fast``, ``softmax`` or ``sum``, see the module ``bifpn_add``.
    """
    rows: list[LayerSpec] = []
    maps: Mapping[int, str] = frame.maps
    for number in range(1, repeats + 1):
        layers, maps = _once(frame, maps, "neck" if number == repeats else f"neck.r{number}", fusion)
        rows += layers
    return rows, dict(maps)


def _once(
    frame: Frame, maps: Mapping[int, str], prefix: str, fusion: str
) -> tuple[list[LayerSpec], dict[int, str]]:
    """One run of the two paths. A join reads the map of its path first, as in PAN: a gate passes that one."""
    rows: list[LayerSpec] = []

    def node(name: str, level: int, inputs: tuple[str, ...]) -> str:
        args = frozen_args({WIDTH: frame.width(level), "fusion": fusion})
        joined = frame.join(name, ADD, inputs, args)
        rows.extend([joined, frame.block(name, level, joined.name)])
        return name

    between = {frame.top: maps[frame.top]}
    for level in range(frame.top - 1, frame.low - 1, -1):
        name = f"{prefix}.td{level}" if level > frame.low else f"{prefix}.p{level}"
        # A family whose PAN has no laterals gets none: the role says what to rebuild.
        lateral = f"{prefix}.lat{level + 1}" if frame.lateral else f"{name}.narrow"
        narrow = frame.narrow(lateral, level, between[level + 1])
        up = frame.grow(name, narrow.name)
        rows += [narrow, up]
        between[level] = node(name, level, (up.name, maps[level]))
    outputs = {frame.low: between[frame.low]}
    for level in range(frame.low + 1, frame.top + 1):
        name = f"{prefix}.p{level}"
        rows.append(frame.shrink(name, level - 1, outputs[level - 1]))
        # At the top level the map in between and the input are the same.
        inputs = dict.fromkeys((rows[-1].name, between[level], maps[level]))
        outputs[level] = node(name, level, tuple(inputs))
    return rows, outputs
