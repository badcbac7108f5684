"""The tensors that cross room borders, with their shapes, units and frames.

Boxes are ``xyxy`` everywhere outside a file reader. Two frames exist: *input pixels* (the letterboxed
tensor the network sees) and *original pixels* (the image file as decoded).
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Targets(NamedTuple):
    """Ground truth of one batch.

    boxes: float32 [M, 4], xyxy, input pixels.
    labels: int64 [M], class index 0 .. num_classes - 1.
    image: int64 [M], index of the image in the batch, ascending.
    batch_size: number of images, those without boxes included.
    """

    boxes: Tensor
    labels: Tensor
    image: Tensor
    batch_size: int


class RawPredictions(NamedTuple):
    """What a head returns in training and in evaluation alike.

    levels: per level the maps of its branches, [B, channels, H_l, W_l]; the family file names them.
    strides: stride of each level in input pixels.
    image_size: (H, W) of the network input.
    """

    levels: tuple[tuple[Tensor, ...], ...]
    strides: tuple[int, ...]
    image_size: tuple[int, int]


class Losses(NamedTuple):
    """What a criterion returns.

    total: what is differentiated (gains applied, times batch size). parts: each term as a batch mean, gains
    applied, detached.
    """

    total: Tensor
    parts: dict[str, Tensor]


class Detections(NamedTuple):
    """Final detections of one image, best score first.

    boxes: float32 [N, 4], xyxy; original pixels once an evaluator or predictor returns them.
    scores: float32 [N]. labels: int64 [N].
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
