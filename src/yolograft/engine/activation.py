"""Where the maps that a head reads speak for what a detector found: class-activation maps.

LayerCAM (Jiang et al. 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization",
IEEE TIP 30, DOI 10.1109/TIP.2021.3089943) of the maintained library pytorch-grad-cam (MIT), which comes
with the extra ``explain``: positive gradients of a score, position by position, times the map, summed over
channels. The score explained is the sum of the logits of all class scores at or above a confidence; logits,
because the slope of a score near 1 vanishes and the surest detections would leave no trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yolograft.data.eval_stream import EvalBatch
from yolograft.errors import MachineError
from yolograft.models.detector import Detector, key_of

_EDGE = 1e-6  # logits are taken of scores in [edge, 1 - edge]


class _Scores(nn.Module):
    """A detector as a function from a normalised batch to class scores [B, A, C]."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        return self.detector.decode(self.detector(images))[1]


def class_activation(detector: Detector, batch: EvalBatch, *, confidence: float) -> NDArray[np.float32]:
    """Float32 [h, w] in 0..1 over the network input of the first image: mean over the maps the head reads.

    Each level's map is scaled to 0..1 by its own extremes before the mean, and the mean again: positions of
    one map may be compared, two maps may be compared in where they are high, not in how high.

    Args:
        confidence: class scores from here on are explained; the highest one where none reaches it.

    Raises:
        MachineError: the library is missing (YG712).
    """
    LayerCAM = _library()
    device = next(detector.parameters()).device
    was_training = detector.training
    wanted = [parameter.requires_grad for parameter in detector.parameters()]
    read = [detector.layers[key_of(name)] for name in detector.spec.head.inputs]
    detector.eval().requires_grad_(True)
    try:
        with torch.enable_grad(), LayerCAM(model=_Scores(detector), target_layers=read) as explained:
            images = detector.normalise(batch.images[:1].to(device))
            shown = explained(input_tensor=images, targets=[target(confidence)])
    finally:
        detector.zero_grad(set_to_none=True)
        for parameter, asked in zip(detector.parameters(), wanted, strict=True):
            parameter.requires_grad_(asked)
        detector.train(was_training)
    return np.nan_to_num(np.asarray(shown[0], np.float32))


def target(confidence: float) -> Callable[[Tensor], Tensor]:
    """Class scores [A, C] of one image -> the scalar that is explained."""

    def explained(scores: Tensor) -> Tensor:
        kept = scores[scores >= confidence]
        kept = kept if len(kept) else scores.max().reshape(1)
        return torch.logit(kept, eps=_EDGE).sum()

    return explained


def _library() -> Any:
    try:
        from pytorch_grad_cam import LayerCAM  # type: ignore[import-not-found]
    except ImportError as error:
        cause = "class-activation maps need the library grad-cam"
        raise MachineError("YG712", cause, fix="install the extra: yolograft[explain]") from error
    return LayerCAM
