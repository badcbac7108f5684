"""Non-maximum suppression, one method a file, named in `table`.

Every method is a function of the scored boxes of one image and acts within a class:

    method(boxes, scores, labels, *, iou, density=None, limit=None, ...) -> Detections, best score first

boxes float32 [N, 4] xyxy in any frame, scores float32 [N] in 0..1, labels int64 [N]. iou: overlap above which
two boxes count as one object (strictly above, as torchvision has it). density [N]: predicted crowding, read
by `adaptive` alone. limit: most detections returned; they are the ones that come first without it. Of equal
scores the one that stands first in the input goes first.
"""
