"""``neck:pan``, the path aggregation network: down, and up again. The neck the three families have.

Liu, Qi, Qin, Shi, Jia, "Path Aggregation Network for Instance Segmentation", 2018, arXiv 1803.01534, in the
form of the YOLO families: maps are concatenated, and the family's block mixes them.
"""

from __future__ import annotations

from yolograft.graph.necks.fpn import top_down
from yolograft.graph.necks.frame import Frame
from yolograft.graph.spec import Args, LayerSpec


def pan(
    frame: Frame, *, join: str = "concat", join_args: Args = ()
) -> tuple[list[LayerSpec], dict[int, str]]:
    """The layers, and level -> the layer whose map the head reads."""
    rows, blocks, handed = top_down(frame, join=join, join_args=join_args)
    outputs = {frame.low: blocks[frame.low]}
    for level in range(frame.low + 1, frame.top + 1):
        name = f"neck.p{level}"
        down = frame.shrink(name, level - 1, outputs[level - 1])
        joined = frame.join(name, join, (down.name, handed[level]), join_args)
        rows += [down, joined, frame.block(name, level, joined.name)]
        outputs[level] = name
    return rows, outputs
