"""``neck:dualpath``, a dual-path pyramid whose lateral joins carry spatial attention. A design of ours.

The paths are those of PAN (arXiv 1803.01534): semantics come down, detail goes up. Wherever a path meets a
lateral map, a gate per position decides what of that map enters, see the module ``gated_concat`` (CBAM's
spatial attention, arXiv 1807.06521, asked of both maps as in Attention U-Net, arXiv 1804.03999). Joins stay
concatenations: every layer of PAN is there with its name and shape, and all its weights carry over.
"""

from __future__ import annotations

from yolograft.graph.necks.frame import Frame
from yolograft.graph.necks.pan import pan
from yolograft.graph.spec import LayerSpec, Scalar, frozen_args


def dualpath(frame: Frame, **options: Scalar) -> tuple[list[LayerSpec], dict[int, str]]:
    """The layers, and level -> the layer whose map the head reads.

    Args:
        options: those of the module ``gated_concat``.
    """
    return pan(frame, join="gated_concat", join_args=frozen_args(options))
