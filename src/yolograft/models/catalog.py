"""One explicit table from the names users type to the classes they mean.

This is the only file that names concrete module classes. A module of ours is its file plus one row here.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor, nn

from yolograft.attention.cbam import CBAM
from yolograft.attention.cloformer import CloFormerAttention
from yolograft.attention.coord_att import CoordAtt
from yolograft.attention.density import Density
from yolograft.attention.double_att import DoubleAttention
from yolograft.attention.eca import ECA
from yolograft.attention.ela import EfficientLocalAttention
from yolograft.attention.ema_att import EMAAttention
from yolograft.attention.gc import GlobalContext
from yolograft.attention.guided import GuidedAttention
from yolograft.attention.nam import NAM
from yolograft.attention.placebo import Placebo
from yolograft.attention.se import SqueezeExcite
from yolograft.attention.simam import SimAM
from yolograft.attention.strip import StripAttention
from yolograft.attention.triplet import TripletAttention
from yolograft.errors import ModuleError, SpecError
from yolograft.families import yolov5, yolov8, yolox
from yolograft.fusion.bifpn import BiFPNAdd, BiFPNConcat
from yolograft.fusion.dualpath import GatedConcat
from yolograft.graph.spec import model_name
from yolograft.nn.concat import Concat
from yolograft.nn.conv import ConvBNAct, DepthwiseConv, Upsample
from yolograft.nn.csp import C3, C2f
from yolograft.nn.focus import Focus
from yolograft.nn.spp import SPP, SPPF
from yolograft.types import Losses, RawPredictions, Targets


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: what a name means, where it was published, under which licence our code stands.

    kind: ``attention`` (graftable, keeps its channels), ``control`` (graftable, to compare with), ``probe``
    (graftable, reads something off its map and hands it through), ``block``, ``fusion`` (takes a list of
    maps) or ``head``. placed: where users put it.
    """

    name: str
    cls: type[nn.Module]
    kind: str
    aliases: tuple[str, ...] = ()
    paper: str = ""
    summary: str = ""
    licence: str = "Apache-2.0"


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "se",
        SqueezeExcite,
        "attention",
        ("SE", "SEAttention", "SELayer"),
        "Hu et al. 2018, Squeeze-and-Excitation Networks, arXiv 1709.01507",
        "global pooling, two layers, one gate per channel",
    ),
    Entry(
        "coord_att",
        CoordAtt,
        "attention",
        ("CoordAtt", "CoordAttention", "CA", "CAM"),
        "Hou et al. 2021, Coordinate Attention for Efficient Mobile Network Design, arXiv 2103.02907",
        "pooling along rows and along columns, one gate per row and per column",
    ),
    Entry(
        "nam",
        NAM,
        "attention",
        ("NAM", "NAMAttention"),
        "Liu et al. 2021, NAM: Normalization-based Attention Module, arXiv 2111.12419",
        "gates weighted by the batch-norm scale of each channel",
    ),
    Entry(
        "double_att",
        DoubleAttention,
        "attention",
        ("DoubleAttention", "DoubleAttentionLayer", "A2"),
        "Chen et al. 2018, A2-Nets: Double Attention Networks, arXiv 1810.11579",
        "gathers global descriptors by second-order pooling and hands them out per position",
    ),
    Entry(
        "eca",
        ECA,
        "attention",
        ("ECA", "ECAAttention", "ECALayer", "eca_layer"),
        "Wang et al. 2020, ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks, "
        "arXiv 1910.03151",
        "one gate per channel from a short convolution along the channel means",
    ),
    Entry(
        "cbam",
        CBAM,
        "attention",
        ("CBAM", "CBAMBlock"),
        "Woo et al. 2018, CBAM: Convolutional Block Attention Module, arXiv 1807.06521",
        "a gate per channel, then a gate per position, each from mean and maximum",
    ),
    Entry(
        "cloformer",
        CloFormerAttention,
        "attention",
        ("CloFormer", "EfficientAttention", "AttnConv"),
        "Fan et al. 2023, Rethinking Local Perception in Lightweight Vision Transformer, arXiv 2303.17803",
        "convolutional attention beside global attention to window means",
    ),
    Entry(
        "simam",
        SimAM,
        "attention",
        ("SimAM", "simam_module"),
        "Yang et al. 2021, SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural "
        "Networks, ICML 2021, PMLR 139:11863-11874",
        "a gate per position from how far it stands out of its channel; no parameters",
    ),
    Entry(
        "ema_att",
        EMAAttention,
        "attention",
        ("EMA", "EMAAttention", "EMA_attention"),
        "Ouyang et al. 2023, Efficient Multi-Scale Attention Module with Cross-Spatial Learning, "
        "arXiv 2305.13563",
        "groups of channels, gated where a strip branch and a 3x3 branch agree",
    ),
    Entry(
        "triplet",
        TripletAttention,
        "attention",
        ("TripletAttention",),
        "Misra et al. 2020, Rotate to Attend: Convolutional Triplet Attention Module, arXiv 2010.03045",
        "three gates: channel x width, height x channel, height x width",
    ),
    Entry(
        "gc",
        GlobalContext,
        "attention",
        ("GC", "GCNet", "GlobalContext", "ContextBlock"),
        "Cao et al. 2019, GCNet: Non-Local Networks Meet Squeeze-Excitation Networks and Beyond, "
        "arXiv 1904.11492",
        "one context vector gathered by attention and added to every position",
    ),
    Entry(
        "strip",
        StripAttention,
        "attention",
        ("StripAttention", "StripAttn", "StripPooling"),
        "Hou et al. 2020, Strip Pooling: Rethinking Spatial Pooling for Scene Parsing, arXiv 2003.13328",
        "one gate per position from the row and the column that cross there",
    ),
    Entry(
        "ela",
        EfficientLocalAttention,
        "attention",
        ("ELA", "EfficientLocalAttention"),
        "Xu, Wan 2024, ELA: Efficient Local Attention for Deep Convolutional Neural Networks, "
        "arXiv 2403.01123",
        "one gate per row and per column from depthwise convolution and group norm",
    ),
    Entry(
        "guided",
        GuidedAttention,
        "attention",
        ("GuidedAttention",),
        "Cai et al. 2020, Guided Attention Network for Object Detection and Counting on Drones, "
        "arXiv 1909.11307",
        "a gate per position that learns from the boxes where objects are",
    ),
    Entry(
        "density",
        Density,
        "probe",
        (),
        "Liu et al. 2019, Adaptive NMS: Refining Pedestrian Detection in a Crowd, arXiv 1904.03629",
        "hands its map through and learns how crowded each place is, for adaptive NMS",
    ),
    Entry(
        "placebo",
        Placebo,
        "control",
        (),
        "He et al. 2016, Deep Residual Learning for Image Recognition, arXiv 1512.03385",
        "residual 1x1 convolutions of a graft's size: what parameters alone do at its place",
    ),
    Entry("conv", ConvBNAct, "block", ("Conv",), "", "convolution, batch norm, SiLU"),
    Entry("c3", C3, "block", ("C3",), "", "cross-stage-partial block of YOLOv5 and YOLOX"),
    Entry(
        "focus",
        Focus,
        "block",
        ("Focus",),
        "Ge et al. 2021, YOLOX: Exceeding YOLO Series in 2021, arXiv 2107.08430",
        "2x2 patches to channels",
    ),
    Entry(
        "dwconv",
        DepthwiseConv,
        "block",
        (),
        "Howard et al. 2017, MobileNets: Efficient Convolutional Neural Networks for Mobile Vision "
        "Applications, arXiv 1704.04861",
        "depthwise and pointwise",
    ),
    Entry("c2f", C2f, "block", ("C2f",), "", "cross-stage-partial block of YOLOv8"),
    Entry(
        "sppf",
        SPPF,
        "block",
        ("SPPF",),
        "He et al. 2014, Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition, "
        "arXiv 1406.4729",
        "pooling pyramid",
    ),
    Entry(
        "spp",
        SPP,
        "block",
        ("SPP",),
        "He et al. 2014, Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition, "
        "arXiv 1406.4729",
        "poolings side by side",
    ),
    Entry("upsample", Upsample, "block", ("nn.Upsample",), "", "nearest-neighbour upsampling"),
    Entry("concat", Concat, "fusion", ("Concat",), "", "concatenation of channels"),
    Entry(
        "bifpn_add",
        BiFPNAdd,
        "fusion",
        (),
        "Tan et al. 2020, EfficientDet: Scalable and Efficient Object Detection, arXiv 1911.09070",
        "weighted sum of maps",
    ),
    Entry(
        "bifpn_concat",
        BiFPNConcat,
        "fusion",
        (),
        "Tan et al. 2020, EfficientDet: Scalable and Efficient Object Detection, arXiv 1911.09070",
        "weighted concatenation of maps",
    ),
    Entry(
        "gated_concat",
        GatedConcat,
        "fusion",
        (),
        "Woo et al. 2018, CBAM: Convolutional Block Attention Module, arXiv 1807.06521",
        "concatenation, lateral maps behind a gate per position",
    ),
    Entry("yolov5_head", yolov5.YOLOv5Head, "head", (), "", "one convolution a level over anchors"),
    Entry("yolov8_head", yolov8.YOLOv8Head, "head", ("Detect",), "", "decoupled anchor-free head"),
    Entry(
        "yolox_head",
        yolox.YOLOXHead,
        "head",
        ("YOLOXHead",),
        "Ge et al. 2021, YOLOX: Exceeding YOLO Series in 2021, arXiv 2107.08430",
        "decoupled anchor-free head with objectness",
    ),
)
# Kinds that stand in the list of modules and have a page each.
LISTED = ("attention", "probe")
BY_NAME: dict[str, Entry] = {name: e for e in ENTRIES for name in (e.name, *e.aliases)}


class Criterion(Protocol):
    """The loss of one batch. final: the batch belongs to the last epochs, those without mosaic."""

    def __call__(self, raw: RawPredictions, targets: Targets, *, final: bool = False) -> Losses: ...


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between detectors beyond their layers.

    model_file: layer table, P3 to P5. p2_file: the one with P2 to P5, where there is one. channel_order and
    pixel_scale: the normalisation; images come as uint8 RGB and enter the network in that order, times that
    factor. criterion: (head, keyword settings) -> the loss. decode: (raw, head) -> boxes [B, A, 4] xyxy input
    pixels, scores [B, A, C].
    """

    name: str
    scales: tuple[str, ...]
    model_file: Path
    p2_file: Path | None
    channel_order: Literal["rgb", "bgr"]
    pixel_scale: float
    criterion: Callable[..., Criterion]
    decode: Callable[[RawPredictions, Any], tuple[Tensor, Tensor]]


_ZOO = Path(__file__).parent / "zoo"
FAMILIES: dict[str, Family] = {
    "yolov5": Family(
        "yolov5",
        ("n", "s", "m", "l", "x"),
        _ZOO / "yolov5.yaml",
        None,
        "rgb",
        1 / 255,
        yolov5.YOLOv5Criterion,
        yolov5.decode,
    ),
    "yolov8": Family(
        "yolov8",
        ("n", "s", "m", "l", "x"),
        _ZOO / "yolov8.yaml",
        _ZOO / "yolov8-p2.yaml",
        "rgb",
        1 / 255,
        yolov8.YOLOv8Criterion,
        yolov8.decode,
    ),
    "yolox": Family(
        "yolox",
        ("nano", "tiny", "s", "m", "l", "x"),
        _ZOO / "yolox.yaml",
        None,
        "bgr",
        1.0,
        yolox.YOLOXCriterion,
        yolox.decode,
    ),
}


def model_names() -> tuple[str, ...]:
    """Every stock model as users type it: ``yolov5n`` ... ``yolox-nano`` ... ``yolov8x``."""
    return tuple(model_name(family.name, scale) for family in FAMILIES.values() for scale in family.scales)


def find(name: str) -> Entry:
    """The row of a catalog name or alias.

    Raises:
        ModuleError: no such module; the nearest name is offered (YG201).
    """
    entry = BY_NAME.get(name) or BY_NAME.get(name.lower())
    if entry is not None:
        return entry
    near = difflib.get_close_matches(name, BY_NAME, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    graftable = ", ".join(e.name for e in ENTRIES if e.kind in LISTED)
    raise ModuleError(
        "YG201", f"no module '{name}'", fix=f"{hint}modules: {graftable}, timm:KEY, my_att.py::MyAtt"
    )


def split_model_name(model: str) -> tuple[Family, str]:
    """``yolov8n`` -> (family yolov8, scale n).

    Raises:
        SpecError: no such model (YG106).
    """
    for family in FAMILIES.values():
        for scale in family.scales:
            if model == model_name(family.name, scale):
                return family, scale
    near = difflib.get_close_matches(model, model_names(), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise SpecError("YG106", f"no model '{model}'", fix=f"{hint}models: {', '.join(model_names())}")
