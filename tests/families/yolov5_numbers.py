"""Parameter counts and FLOPs of YOLOv5 and of grafted YOLOv5, recorded from independent programs.

Parameters: the published package, version 7.0.14, with 80 and 3 classes. FLOPs: torch's FlopCounterMode over
its forward in eval mode, batch 1, decoding included. Grafts: the code of three blog posts in the published
package, connections repaired where a post left them on the wrong layer.
"""

from __future__ import annotations

from typing import NamedTuple


class Numbers(NamedTuple):
    """total, total_3: parameters with 80 and 3 classes. layers: with 80. flops_640, flops_320: with 80."""

    total: int
    total_3: int
    layers: tuple[int, ...]
    flops_640: int
    flops_320: int


# Width and height in pixels, three a level from stride 8 on: of the published model file.
ANCHORS = (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326)

YOLOV5 = {
    "n": Numbers(
        1_872_157,
        1_767_976,
        (
            1_760,
            4_672,
            4_800,
            18_560,
            29_184,
            73_984,
            156_928,
            295_424,
            296_448,
            164_608,
            33_024,
            0,
            0,
            90_880,
            8_320,
            0,
            0,
            22_912,
            36_992,
            0,
            74_496,
            147_712,
            0,
            296_448,
            115_005,
        ),
        4_468_121_600,
        1_117_030_400,
    ),
    "s": Numbers(
        7_235_389,
        7_027_720,
        (
            3_520,
            18_560,
            18_816,
            73_984,
            115_712,
            295_424,
            625_152,
            1_180_672,
            1_182_720,
            656_896,
            131_584,
            0,
            0,
            361_984,
            33_024,
            0,
            0,
            90_880,
            147_712,
            0,
            296_448,
            590_336,
            0,
            1_182_720,
            229_245,
        ),
        16_433_561_600,
        4_108_390_400,
    ),
    "m": Numbers(
        21_190_557,
        20_879_400,
        (
            5_280,
            41_664,
            65_280,
            166_272,
            444_672,
            664_320,
            2_512_896,
            2_655_744,
            4_134_912,
            1_476_864,
            295_680,
            0,
            0,
            1_182_720,
            74_112,
            0,
            0,
            296_448,
            332_160,
            0,
            1_035_264,
            1_327_872,
            0,
            4_134_912,
            343_485,
        ),
        48_872_448_000,
        12_218_112_000,
    ),
    "l": Numbers(
        46_563_709,
        46_149_064,
        (
            7_040,
            73_984,
            156_928,
            295_424,
            1_118_208,
            1_180_672,
            6_433_792,
            4_720_640,
            9_971_712,
            2_624_512,
            525_312,
            0,
            0,
            2_757_632,
            131_584,
            0,
            0,
            690_688,
            590_336,
            0,
            2_495_488,
            2_360_320,
            0,
            9_971_712,
            457_725,
        ),
        108_993_740_800,
        27_248_435_200,
    ),
    "x": Numbers(
        86_749_405,
        86_231_272,
        (
            8_800,
            115_520,
            309_120,
            461_440,
            2_259_200,
            1_844_480,
            13_125_120,
            7_375_360,
            19_676_160,
            4_099_840,
            820_480,
            0,
            0,
            5_332_480,
            205_440,
            0,
            0,
            1_335_040,
            922_240,
            0,
            4_922_880,
            3_687_680,
            0,
            19_676_160,
            571_965,
        ),
        205_448_192_000,
        51_362_048_000,
    ),
}


class Grafted(NamedTuple):
    """One grafted detector at 640."""

    scale: str
    expression: str
    classes: int
    params: int
    flops_640: int


GRAFTED = (
    Grafted("n", "nam@neck.p5", 80, 1_872_669, 4_468_121_600),
    Grafted("s", "nam@neck.p5", 80, 7_236_413, 16_433_561_600),
    Grafted("m", "nam@neck.p5", 80, 21_192_093, 48_872_448_000),
    Grafted("l", "nam@neck.p5", 80, 46_565_757, 108_993_740_800),
    Grafted("x", "nam@neck.p5", 80, 86_751_965, 205_448_192_000),
    Grafted("n", "nam@neck.p5", 10, 1_777_959, 4_167_065_600),
    Grafted("s", "nam@neck.p5", 10, 7_047_623, 15_831_449_600),
    Grafted("m", "nam@neck.p5", 10, 20_909_223, 47_969_280_000),
    Grafted("l", "nam@neck.p5", 10, 46_188_807, 107_789_516_800),
    Grafted("x", "nam@neck.p5", 10, 86_280_935, 203_942_912_000),
    Grafted("n", "coord_att@neck.p5", 80, 1_878_837, 4_468_449_280),
    Grafted("s", "coord_att@neck.p5", 80, 7_261_037, 16_434_872_320),
    Grafted("m", "coord_att@neck.p5", 80, 21_247_461, 48_875_397_120),
    Grafted("l", "coord_att@neck.p5", 80, 46_664_157, 108_998_983_680),
    Grafted("x", "coord_att@neck.p5", 80, 86_905_685, 205_456_384_000),
    Grafted(
        "n",
        "cloformer:heads=16,group_split=4-12,kernels=9,window=1@before:backbone.sppf",
        80,
        2_159_389,
        4_819_712_000,
    ),
    Grafted(
        "s",
        "cloformer:heads=16,group_split=4-12,kernels=9,window=1@before:backbone.sppf",
        80,
        8_350_525,
        17_569_280_000,
    ),
    Grafted(
        "m",
        "cloformer:heads=16,group_split=4-12,kernels=9,window=1@before:backbone.sppf",
        80,
        23_674_269,
        51_224_832_000,
    ),
    Grafted(
        "l",
        "cloformer:heads=16,group_split=4-12,kernels=9,window=1@before:backbone.sppf",
        80,
        50_956_669,
        112_995_328_000,
    ),
    Grafted(
        "x",
        "cloformer:heads=16,group_split=4-12,kernels=9,window=1@before:backbone.sppf",
        80,
        93_592_285,
        211_531_520_000,
    ),
)
