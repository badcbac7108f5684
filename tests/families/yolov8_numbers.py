"""Parameter counts and FLOPs of YOLOv8 and of grafted YOLOv8, recorded from independent programs.

Parameters: the published package with 80 and 3 classes; the 16 fixed weights of the integral count. FLOPs:
torch's FlopCounterMode over its forward in eval mode, batch 1, decoding included.
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


YOLOV8 = {
    "n": Numbers(
        3_157_200,
        3_011_433,
        (
            464,
            4_672,
            7_360,
            18_560,
            49_664,
            73_984,
            197_632,
            295_424,
            460_288,
            164_608,
            0,
            0,
            148_224,
            0,
            0,
            37_248,
            36_992,
            0,
            123_648,
            147_712,
            0,
            493_056,
            897_664,
        ),
        8_743_987_200,
        2_185_996_800,
    ),
    "s": Numbers(
        11_166_560,
        11_136_761,
        (
            928,
            18_560,
            29_056,
            73_984,
            197_632,
            295_424,
            788_480,
            1_180_672,
            1_838_080,
            656_896,
            0,
            0,
            591_360,
            0,
            0,
            148_224,
            147_712,
            0,
            493_056,
            590_336,
            0,
            1_969_152,
            2_147_008,
        ),
        28_602_624_000,
        7_150_656_000,
    ),
    "m": Numbers(
        25_902_640,
        25_858_057,
        (
            1_392,
            41_664,
            111_360,
            166_272,
            813_312,
            664_320,
            3_248_640,
            1_991_808,
            3_985_920,
            831_168,
            0,
            0,
            1_993_728,
            0,
            0,
            517_632,
            332_160,
            0,
            1_846_272,
            1_327_872,
            0,
            4_207_104,
            3_822_016,
        ),
        78_936_729_600,
        19_734_182_400,
    ),
    "l": Numbers(
        43_691_520,
        43_632_153,
        (
            1_856,
            73_984,
            279_808,
            295_424,
            2_101_248,
            1_180_672,
            8_396_800,
            2_360_320,
            4_461_568,
            656_896,
            0,
            0,
            4_723_712,
            0,
            0,
            1_247_744,
            590_336,
            0,
            4_592_640,
            2_360_320,
            0,
            4_723_712,
            5_644_480,
        ),
        165_148_518_400,
        41_287_129_600,
    ),
    "x": Numbers(
        68_229_648,
        68_155_497,
        (
            2_320,
            115_520,
            436_800,
            461_440,
            3_281_920,
            1_844_480,
            13_117_440,
            3_687_680,
            6_969_600,
            1_025_920,
            0,
            0,
            7_379_200,
            0,
            0,
            1_948_800,
            922_240,
            0,
            7_174_400,
            3_687_680,
            0,
            7_379_200,
            8_795_008,
        ),
        257_804_339_200,
        64_451_084_800,
    ),
}


class Grafted(NamedTuple):
    """One grafted detector with 80 classes at 640."""

    scale: str
    expression: str
    params: int
    flops_640: int


# Double attention as posts print it (no re-projection, c_m = C) after the first C2f.
DOUBLE_ATTENTION = (
    Grafted("n", "double_att:c_n=1,reproject=off@backbone.p2", 3_158_322, 8_802_969_600),
    Grafted("n", "double_att:c_n=8,reproject=off@backbone.p2", 3_158_784, 8_848_844_800),
    Grafted("n", "double_att:c_n=32,reproject=off@backbone.p2", 3_160_368, 9_006_131_200),
    Grafted("s", "double_att:c_n=1,reproject=off@backbone.p2", 11_170_850, 28_825_446_400),
    Grafted("s", "double_att:c_n=8,reproject=off@backbone.p2", 11_171_760, 28_917_196_800),
    Grafted("s", "double_att:c_n=32,reproject=off@backbone.p2", 11_174_880, 29_231_769_600),
    Grafted("m", "double_att:c_n=1,reproject=off@backbone.p2", 25_912_146, 79_428_249_600),
    Grafted("m", "double_att:c_n=8,reproject=off@backbone.p2", 25_913_504, 79_565_875_200),
    Grafted("m", "double_att:c_n=32,reproject=off@backbone.p2", 25_918_160, 80_037_734_400),
    Grafted("l", "double_att:c_n=1,reproject=off@backbone.p2", 43_708_290, 166_013_593_600),
    Grafted("l", "double_att:c_n=8,reproject=off@backbone.p2", 43_710_096, 166_197_094_400),
    Grafted("l", "double_att:c_n=32,reproject=off@backbone.p2", 43_716_288, 166_826_240_000),
    Grafted("x", "double_att:c_n=1,reproject=off@backbone.p2", 68_255_730, 259_147_827_200),
    Grafted("x", "double_att:c_n=8,reproject=off@backbone.p2", 68_257_984, 259_377_203_200),
    Grafted("x", "double_att:c_n=32,reproject=off@backbone.p2", 68_265_712, 260_163_635_200),
)
