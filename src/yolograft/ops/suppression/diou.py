"""DIoU suppression: boxes with centres apart are less likely one object.

Source: "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression", Zheng et al. 2019, arXiv
1911.08287, section "Non-Maximum Suppression using DIoU": a box goes where IoU - R_DIoU with a better one
reaches the threshold; R_DIoU is the squared distance of the centres over the squared diagonal of the hull.
Deviation: strictly above the threshold, as everywhere here.
"""

from __future__ import annotations

from torch import Tensor

from yolograft.ops.suppression.greedy import greedy
from yolograft.ops.suppression.overlap import centre_distance, overlaps, take
from yolograft.types import Detections


def diou(found: Detections, *, iou: float = 0.7, limit: int | None = None) -> Detections:
    """Greedy suppression by IoU - R_DIoU; arguments and result as the room's head says."""

    def suppresses(left: Tensor, right: Tensor) -> Tensor:
        apart = centre_distance(found.boxes[left], found.boxes[right])
        # Between classes the overlap is 0, so the difference is not above any threshold.
        return overlaps(found, left, right).sub_(apart) > iou

    return take(found, greedy(found, suppresses, limit=limit))
