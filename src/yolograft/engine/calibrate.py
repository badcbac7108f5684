"""Scores made comparable between the levels of a pyramid: one offset a level, in logits.

A level that is too sure of itself puts its false alarms before the finds of others. With s the score of a
candidate and l its level, the chance that it is right is modelled as sigmoid(logit s + b_l), and b_l is its
maximum likelihood estimate: the b at which the chances of the level's candidates sum to the number of right
ones (Platt 1999, the slope held at 1, so that the order within a level stays). Half a right and half a wrong
candidate are added, so that a level without either stays finite.

Right is a candidate that overlaps a box of its class by IoU .5 or more: whether it is a duplicate is for
suppression to find out. The images it is fitted on must not be those evaluated; on training images a
detector is surer than elsewhere, so that the differences between levels carry over, not the offsets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from torch import Tensor

from yolograft.data.records import ImageRecord
from yolograft.engine.candidates import Scene
from yolograft.ops.suppression.overlap import iou_matrix

RIGHT_IOU = 0.5
MOST_IMAGES = 1000
_WIDEST, _EDGE = 30.0, 1e-6


def fitting_images(records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """The images offsets are fitted on: all, or `MOST_IMAGES` spread evenly over the split."""
    step = max(len(records) / MOST_IMAGES, 1.0)
    return [records[int(i * step)] for i in range(min(len(records), MOST_IMAGES))]


def level_offsets(found: Iterable[Scene], records: Sequence[ImageRecord]) -> tuple[float, ...]:
    """The offset of every level, in logits; 0 for a level that offers no candidate.

    Args:
        found: the candidates of ``records``, ``image`` of each pointing there.
    """
    logits: dict[int, list[NDArray[np.float64]]] = {}
    right: dict[int, int] = {}
    levels = 0
    for scene in found:
        levels = scene.levels
        hits = _right(scene, records[scene.image])
        scores = _logit(scene.found.scores).double()
        for level in scene.level.unique().tolist():
            here = scene.level == level
            logits.setdefault(level, []).append(scores[here].cpu().numpy())
            right[level] = right.get(level, 0) + int(hits[here].sum())
    return tuple(_offset(np.concatenate(logits[k]), right[k]) if k in logits else 0.0 for k in range(levels))


def calibrated(scene: Scene, offsets: Sequence[float]) -> Scene:
    """The scene with its scores moved by the offsets of their levels; an offset of 0 changes nothing."""
    scores = scene.found.scores
    shift = torch.tensor(offsets, device=scores.device)[scene.level]
    moved = torch.where(shift == 0, scores, (_logit(scores) + shift).sigmoid())
    return scene._replace(found=scene.found._replace(scores=moved))


def _logit(scores: Tensor) -> Tensor:
    return scores.clamp(_EDGE, 1 - _EDGE).logit()


def _offset(logits: NDArray[np.float64], right: int) -> float:
    goal = len(logits) * (right + 0.5) / (len(logits) + 1)
    return float(brentq(lambda b: expit(logits + b).sum() - goal, -_WIDEST, _WIDEST, xtol=1e-9))  # pyright: ignore


def _right(scene: Scene, record: ImageRecord) -> Tensor:
    """Which candidates overlap a box of their class, bool [N]; a crowd is no box."""
    boxes = scene.to_original(scene.found.boxes)
    truth = torch.as_tensor(record.boxes[~record.crowd], dtype=torch.float32, device=boxes.device)
    labels = torch.as_tensor(record.labels[~record.crowd], device=boxes.device)
    near = iou_matrix(boxes, truth.reshape(-1, 4)) >= RIGHT_IOU
    return (near & (scene.found.labels[:, None] == labels)).any(1)
