"""Non-maximum suppression, one method a file, named in `table`.

Every method is a function of the scored boxes of one image and acts within a class:

    method(found, *, iou, limit=None, ...) -> Detections, best score first

found: boxes float32 [N, 4] xyxy in any frame, scores float32 [N] in 0..1, labels int64 [N], best score first.
iou: overlap above which two boxes count as one object (strictly above, as torchvision has it). limit: most
detections returned; they are the ones that come first without it. Of equal scores the one that stands first
goes first. `adaptive` alone reads the predicted crowding, density float32 [N].
"""
