"""``neck:fpn``, the feature pyramid: one path from the smallest map down to the largest.

Lin, Dollar, Girshick, He, Hariharan, Belongie, "Feature Pyramid Networks for Object Detection", 2017, arXiv
1612.03144. Deviations, all of them what the YOLO families do: maps are concatenated rather than added, the
family's block stands where the paper has a 3x3 convolution, and widths differ from level to level.

It is the first half of `pan`, so that those layers keep their names and weights: the block of a level in
between, ``neck.td4``, is what the head reads there.
"""

from __future__ import annotations

from yolograft.graph.necks.frame import Frame
from yolograft.graph.spec import Args, LayerSpec


def top_down(
    frame: Frame, *, join: str = "concat", join_args: Args = ()
) -> tuple[list[LayerSpec], dict[int, str], dict[int, str]]:
    """The path from the top level down.

    Returns:
        its layers; level -> block, the top level excepted; level -> the map handed down from there, which a
        path back up joins again.
    """
    rows: list[LayerSpec] = []
    blocks: dict[int, str] = {}
    handed = {frame.top: frame.maps[frame.top]}
    for level in range(frame.top - 1, frame.low - 1, -1):
        if frame.lateral:
            rows.append(frame.narrow(f"neck.lat{level + 1}", level, handed[level + 1]))
            handed[level + 1] = rows[-1].name
        name = f"neck.td{level}" if level > frame.low else f"neck.p{level}"
        up = frame.grow(name, handed[level + 1])
        joined = frame.join(name, join, (up.name, frame.maps[level]), join_args)
        rows += [up, joined, frame.block(name, level, joined.name)]
        blocks[level] = handed[level] = name
    return rows, blocks, handed


def fpn(frame: Frame) -> tuple[list[LayerSpec], dict[int, str]]:
    """The layers, and level -> the layer whose map the head reads."""
    rows, outputs, _ = top_down(frame)
    rows.append(frame.block(f"neck.p{frame.top}", frame.top, frame.maps[frame.top]))
    return rows, outputs | {frame.top: rows[-1].name}
