"""Which layer of ours a tensor of somebody else's checkpoint belongs to.

Published files name their tensors by position: row numbers in YOLOv5 and YOLOv8
(``model.4.cv1.conv.weight``), attributes and positions inside them in YOLOX
(``backbone.backbone.dark3.1.conv1.conv.weight``). Position says nothing once a row has been inserted, so
layers are found by what they hold (`align`); this file knows how each family spells what is inside
one. The names were listed by running the packages as black boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Renames = tuple[tuple[str, str], ...]

ROW = re.compile(r"(?:module\.)?(?:model\.)+(\d+)\.(.+)")
PARTS = (
    re.compile(r"(?:module\.)?(backbone\.backbone\.dark\d)\.(\d+)\.(.+)"),
    re.compile(r"(?:module\.)?(backbone\.backbone\.[^.]+|backbone\.[^.]+|head)\.(.+)"),
)

_BLOCKS = (r"\bblocks\.", "m.")
_YOLOX_CONV: Renames = ((r"\bdepthwise\.", "dconv."), (r"\bpointwise\.", "pconv."))
_YOLOX_BLOCK: Renames = (_BLOCKS, (r"\bcv(\d)\.", r"conv\1."), *_YOLOX_CONV)
_YOLOX_HEAD: Renames = (
    (r"^cls\.", "cls_convs."),
    (r"^box\.", "reg_convs."),
    (r"^box_pred\.", "reg_preds."),
    (r"^(cls|obj)_pred\.", r"\1_preds."),
    *_YOLOX_CONV,
)
# Inside a layer, from our key to theirs, by the family and the module of ours.
RENAMES: Mapping[tuple[str, str], Renames] = MappingProxyType(
    {
        ("yolov8", "c2f"): (_BLOCKS,),
        ("yolov8", "yolov8_head"): ((r"^box\.", "cv2."), (r"^cls\.", "cv3.")),
        ("yolov5", "c3"): (_BLOCKS,),
        ("yolov5", "yolov5_head"): ((r"^predict\.", "m."),),
        ("yolox", "c3"): _YOLOX_BLOCK,
        ("yolox", "sppf"): _YOLOX_BLOCK,
        ("yolox", "dwconv"): _YOLOX_CONV,
        ("yolox", "yolox_head"): _YOLOX_HEAD,
    }
)
# Which attribute of YOLOX a layer of ours lies in, by the beginning of its name, longest first.
YOLOX_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "stem": "backbone.backbone.stem",
        "backbone.p2": "backbone.backbone.dark2",
        "backbone.p3": "backbone.backbone.dark3",
        "backbone.p4": "backbone.backbone.dark4",
        "backbone.p5": "backbone.backbone.dark5",
        "neck.lat5": "backbone.lateral_conv0",
        "neck.td4": "backbone.C3_p4",
        "neck.lat4": "backbone.reduce_conv1",
        "neck.p3": "backbone.C3_p3",
        "neck.p4.down": "backbone.bu_conv2",
        "neck.p4": "backbone.C3_n3",
        "neck.p5.down": "backbone.bu_conv1",
        "neck.p5": "backbone.C3_n4",
        "head": "head",
    }
)
# What files hold that is no weight: constants a head computes for itself, and counters of a profiler.
DERIVED = re.compile(r"(^|\.)(anchor_grid|stride|strides|grids?|total_ops|total_params)$")


@dataclass(frozen=True, slots=True)
class Group:
    """The tensors of one layer of theirs.

    part: the attribute it lies in; empty in a file of numbered rows. position: row number, or place in the
    part. held: name inside the layer -> whole key.
    """

    part: str
    position: int
    held: dict[str, str] = field(default_factory=dict)


def groups_of(keys: Iterable[str]) -> tuple[list[Group], list[str]]:
    """The layers of a file by part and position, and the keys of no known form."""
    found: dict[tuple[str, int], Group] = {}
    loose: list[str] = []
    for key in keys:
        split = split_key(key)
        if split is None:
            loose.append(key)
            continue
        part, position, inside = split
        found.setdefault((part, position), Group(part, position)).held[inside] = key
    return [found[place] for place in sorted(found)], loose


def split_key(key: str) -> tuple[str, int, str] | None:
    """(part, position, name inside the layer) of a key of theirs; None for a key of no known form."""
    if match := ROW.fullmatch(key):
        return "", int(match[1]), match[2]
    if match := PARTS[0].fullmatch(key):
        return match[1], int(match[2]), match[3]
    if match := PARTS[1].fullmatch(key):
        return match[1], 0, match[2]
    return None


def part_of(family: str, layer: str) -> str:
    """The attribute of theirs that a layer of ours lies in; empty for families of numbered rows."""
    if family != "yolox":
        return ""
    fits = [name for name in YOLOX_PARTS if layer == name or layer.startswith(f"{name}.")]
    return YOLOX_PARTS[max(fits, key=len)] if fits else ""


def their_name(family: str, module: str, key: str) -> str:
    """Our key inside a layer as that family's files spell it."""
    for pattern, replacement in RENAMES.get((family, module), ()):
        key = re.sub(pattern, replacement, key)
    return key


def family_of(keys: Iterable[str]) -> str:
    """The family whose head a file holds; empty for none of ours.

    YOLOv8's head keeps the bins of its box distances, YOLOv5's its anchors, YOLOX's a branch for objects.
    """
    ends = {split[2] for split in map(split_key, keys) if split is not None}
    if {"obj_preds.0.weight", "cls_preds.0.weight"} <= ends:
        return "yolox"
    if {"cv2.0.2.weight", "cv3.0.2.weight"} <= ends:
        return "yolov8"
    return "yolov5" if {"m.0.weight", "m.1.weight"} <= ends else ""
