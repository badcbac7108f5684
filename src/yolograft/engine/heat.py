"""A map laid over the picture it belongs to, in colours that are told apart in print and by every eye.

Viridis runs from dark to light evenly, so that it survives grey printing; the picture underneath is grey, so
that colour means the map and nothing else.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from yolograft.data.images import Image

OPACITY = 0.55


def heat_over(
    pixels: Image, values: NDArray[np.floating], *, low: float, high: float, opacity: float = OPACITY
) -> Image:
    """``values`` float [H, W] from ``low`` to ``high`` in viridis over ``pixels`` uint8 [H, W, 3] RGB."""
    span = max(high - low, 1e-12)
    share = np.clip((np.nan_to_num(np.asarray(values, np.float64), nan=low) - low) / span, 0.0, 1.0)
    colours = viridis((255 * share).round().astype(np.uint8))
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(grey, 1 - opacity, colours, opacity, 0.0), np.uint8)


def viridis(levels: NDArray[np.uint8]) -> Image:
    """Levels uint8 [H, W] as RGB uint8 [H, W, 3]."""
    painted = cv2.applyColorMap(np.ascontiguousarray(levels), cv2.COLORMAP_VIRIDIS)
    return np.ascontiguousarray(painted[:, :, ::-1], np.uint8)
