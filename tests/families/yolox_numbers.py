"""Parameter counts and FLOPs of YOLOX and of grafted YOLOX, recorded from independent programs.

Parameters: the published package with 80 and 3 classes. FLOPs: torch's FlopCounterMode over its forward in
eval mode, batch 1, decoding included.
"""

from __future__ import annotations

from typing import NamedTuple


class Numbers(NamedTuple):
    """total, total_3: parameters with 80 and 3 classes; all else with 80. tensors: of parameters."""

    total: int
    total_3: int
    backbone: int
    neck: int
    head: int
    flops_640: int
    flops_416: int
    buffers: int  # elements
    tensors: int


YOLOX = {
    "nano": Numbers(
        912_159,
        897_144,
        459_968,
        347_424,
        104_767,
        2_473_625_600,
        1_045_106_816,
        15_496,
        330,
    ),
    "tiny": Numbers(
        5_055_855,
        5_033_448,
        2_372_304,
        1_596_096,
        1_087_455,
        15_177_600_000,
        6_412_536_000,
        17_402,
        240,
    ),
    "s": Numbers(
        8_968_255,
        8_938_456,
        4_212_672,
        2_834_688,
        1_920_895,
        26_685_542_400,
        11_274_641_664,
        23_178,
        240,
    ),
    "m": Numbers(
        25_326_495,
        25_281_912,
        12_352_992,
        8_679_168,
        4_294_335,
        73_530_316_800,
        31_066_558_848,
        43_394,
        312,
    ),
    "l": Numbers(
        54_208_895,
        54_149_528,
        27_075_968,
        19_523_072,
        7_609_855,
        155_292_672_000,
        65_611_153_920,
        69_370,
        384,
    ),
    "x": Numbers(
        99_071_455,
        98_997_304,
        50_301_600,
        36_902_400,
        11_867_455,
        281_409_792_000,
        118_895_637_120,
        101_106,
        456,
    ),
}


class Grafted(NamedTuple):
    """One grafted detector with 80 classes."""

    scale: str
    expression: str
    params: int
    flops_640: int
    flops_416: int


_PLACES = "backbone.p3,backbone.p4,backbone.p5"
# Coordinate attention as its authors publish it, after dark3, dark4 and dark5.
COORD_ATT = (
    Grafted("nano", f"coord_att@{_PLACES}", 923_879, 2_474_608_640, 1_045_745_792),
    Grafted("tiny", f"coord_att@{_PLACES}", 5_078_019, 15_179_320_320, 6_413_654_208),
    Grafted("s", f"coord_att@{_PLACES}", 9_003_935, 26_688_163_840, 11_276_345_600),
    Grafted("m", f"coord_att@{_PLACES}", 25_403_043, 73_535_723_520, 31_070_073_216),
    Grafted("l", f"coord_att@{_PLACES}", 54_341_671, 155_301_847_040, 65_617_117_696),
    Grafted("x", f"coord_att@{_PLACES}", 99_277_745, 281_424_128_000, 118_904_955_520),
)

# The variant a post prints as CAM, at the same places. It holds a batch norm of 2 (C // 32) weights that its
# forward never uses; ours leaves that out, and so does this count of its other parameters.
_CAM = "coord_att:reduction=32,min_hidden=1,activation=mish,norm=none,bias=off"
CAM = (
    Grafted("nano", f"{_CAM}@{_PLACES}", 920_251 - 28, 2_474_199_040, 1_045_479_552),
    Grafted("tiny", f"{_CAM}@{_PLACES}", 5_074_041 - 42, 15_178_890_240, 6_413_374_656),
    Grafted("s", f"{_CAM}@{_PLACES}", 9_000_567 - 56, 26_687_836_160, 11_276_132_608),
    Grafted("m", f"{_CAM}@{_PLACES}", 25_399_155 - 84, 73_535_477_760, 31_069_913_472),
    Grafted("l", f"{_CAM}@{_PLACES}", 54_338_031 - 112, 155_301_847_040, 65_617_117_696),
    Grafted("x", f"{_CAM}@{_PLACES}", 99_273_195 - 140, 281_424_128_000, 118_904_955_520),
)
