"""The names modules have in YOLOv5 and YOLOv8 model files, and the orders of their arguments. Data only.

Orders are those of the published code a name comes from. Parsers in the wild put the channel count in front
of a row's arguments or leave that to the row, so every attention takes it or does without.
"""

from __future__ import annotations

from yolograft.graph.dialect.words import Form, Slot, Word, Words

# What every row starts with, or leaves to the parser.
CHANNELS = Slot("channels", "in")
SAME = Slot("out_channels", "in")

# --- blocks of the families; `out_channels` is scaled by width

_OUT = Slot("out_channels", "out", "out_channels")
_KERNEL = Slot("kernel", "whole", "kernel", 1, most=63)
_STRIDE = Slot("stride", "whole", "stride", 1, most=8)
_PADDING = Slot("padding", "padding", "padding")
_GROUPS = Slot("groups", "whole", "groups", 1)
_ENDS = (Slot("dilation", "only", allowed=(1,)), Slot("act", "only", allowed=(True,)))
_CONV = (_OUT, _KERNEL, _STRIDE, _PADDING, _GROUPS, *_ENDS)
_DWCONV = (_OUT, _KERNEL, _STRIDE, *_ENDS)
_REST = (Slot("groups", "only", allowed=(1,)), Slot("expansion", "only", allowed=(0.5,)))
_C2F = (_OUT, Slot("shortcut", "switch", "shortcut", False, False), *_REST)
_C3 = (_OUT, Slot("shortcut", "switch", "shortcut", False, True), *_REST)
_FOCUS = (_OUT, Slot("kernel", "whole", "kernel", 3, 1, most=63), Slot("stride", "only", allowed=(1,)))
_SPPF = (_OUT, Slot("kernel", "odd", "kernel", 5, most=63))
_SPP = (_OUT, Slot("kernels", "wholes", "kernels", (5, 9, 13), most=63))
_UPSAMPLE = (
    Slot("size", "only", allowed=(None,)),
    Slot("scale_factor", "whole", "scale", 2, most=8),
    Slot("mode", "text", "mode", "nearest", "nearest"),
    Slot("align_corners", "only", allowed=(False, None)),
)
_CONCAT = (Slot("dimension", "only", allowed=(1,)),)

BLOCKS = (
    Word("conv", ("Conv",), (Form(_CONV, 1, usual=3, out="out_channels"),)),
    Word("conv", ("DWConv",), (Form(_DWCONV, 1, out="out_channels"),), gcd_groups=True),
    Word("focus", ("Focus",), (Form(_FOCUS, 1, out="out_channels"),)),
    Word("c2f", ("C2f",), (Form(_C2F, 1, out="out_channels"),), repeats=True),
    Word("c3", ("C3",), (Form(_C3, 1, out="out_channels"),), repeats=True),
    Word("sppf", ("SPPF",), (Form(_SPPF, 1, usual=2, out="out_channels"),)),
    Word("spp", ("SPP",), (Form(_SPP, 1, out="out_channels"),)),
    Word("upsample", ("nn.Upsample", "Upsample"), (Form(_UPSAMPLE, 2, usual=3),)),
    Word("concat", ("Concat",), (Form(_CONCAT, usual=1),), kind="join"),
    Word("yolov5_head", ("Detect",), (), kind="head"),
    Word("yolov8_head", ("Detect",), (), kind="head"),
)

# --- attention: [channels, out_channels, ...], [channels, ...], and [...] for parsers that give the channels

_R16 = Slot("reduction", "share", "reduction", 16)
_R32 = Slot("reduction", "share", "reduction", 32)
_K3 = Slot("kernel_size", "odd", "kernel", 3, most=31)
_K7 = Slot("kernel_size", "odd", "kernel", 7, most=31)
# The published layer takes 3 where nothing is written, the paper's rule is ours.
_K_ECA, _K_LAYER = Slot("k_size", "odd", "kernel", 0, most=31), Slot("k_size", "odd", "kernel", 0, 3, most=31)
_FACTOR = Slot("factor", "whole", "groups", 8, 32, most=256)
_LAMBDA = Slot("e_lambda", "number", "e_lambda", 1e-4)
_NO_SPATIAL = Slot("no_spatial", "not", "spatial", True)
_UNUSED = Slot("no_spatial", "only", allowed=(True, False, None))

_BY_R16 = (Form((CHANNELS, SAME, _R16), 2), Form((CHANNELS, _R16)), Form((_R16,), 1))
# Its published class has no default for the second: rows with both build everywhere.
_BY_R32 = (Form((CHANNELS, SAME, _R32), 2, usual=2), Form((CHANNELS, _R32)), Form((_R32,), 1))
_BY_K3 = (Form((CHANNELS, SAME, _K3), 2), Form((CHANNELS, _K3)), Form((_K3,), 1))
_BY_K7 = (Form((CHANNELS, SAME, _K7), 2), Form((CHANNELS, _K7)), Form((_K7,), 1))
_ECA = (Form((CHANNELS, SAME, _K_ECA), 2), Form((CHANNELS, _K_ECA)), Form((_K_ECA,), 1))
_ECA_LAYER = (Form((CHANNELS, SAME, _K_LAYER), 2), Form((CHANNELS, _K_LAYER)), Form((_K_LAYER,), 1))
_EMA = (Form((CHANNELS, SAME, _FACTOR), 2), Form((CHANNELS, _FACTOR)), Form((_FACTOR,), 1))
_NAM = (Form((CHANNELS, SAME, _UNUSED), 2), Form((CHANNELS, _UNUSED)))
_SIMAM = (Form((CHANNELS, _LAMBDA)), Form((_LAMBDA,), 1))
_CBAM = (
    Form((CHANNELS, SAME, _K7), 2),
    Form((CHANNELS, SAME, _R16, _K7), 2),
    Form((CHANNELS, _K7)),
    Form((CHANNELS, _R16, _K7)),
    Form((_K7,), 1),
    Form((_R16, _K7), 1),
)
_TRIPLET = (
    Form((CHANNELS, SAME), 2),
    Form((CHANNELS, _NO_SPATIAL, _K7)),
    Form((CHANNELS, _K7), 2),
    Form((_NO_SPATIAL, _K7), 1),
)

_C_M = Slot("c_m", "whole", "c_m", 0)
_C_N = Slot("c_n", "whole", "c_n", 0)
_BACK = Slot("reconstruct", "only", allowed=(True,))
_BARE = Slot("reconstruct", "only", allowed=(False,))
# The published code has no skip connection; without re-projection its output has c_m channels.
_WITH_BACK, _WITHOUT = (("skip", False),), (("reproject", False),)
_NO_M = "c_m is missing; read as c_n, the way a parser that gives the channels twice passes it"
_NO_M_N = "c_m and c_n are missing; ours stand in"
# [in_channels, c_m, c_n, reconstruct]: the default of the last differs from file to file.
_LAYER = (
    Form((CHANNELS, _C_M, _C_N, _BACK), least=4, fixed=_WITH_BACK),
    Form((CHANNELS, _C_M, _C_N, _BARE), least=3, fixed=_WITHOUT, out="c_m"),
    Form((CHANNELS, _C_N), least=2, fixed=_WITHOUT, doubt=_NO_M),
    Form((_C_M, _C_N), least=2, fixed=_WITHOUT, out="c_m"),
    Form((CHANNELS,), fixed=_WITHOUT, doubt=_NO_M_N),
)
_BLOCK = (
    Form((CHANNELS, _C_M, _C_N, _BACK), least=3, fixed=_WITH_BACK),
    Form((CHANNELS, _C_M, _C_N, _BARE), least=4, fixed=_WITHOUT, out="c_m"),
    Form((CHANNELS, _C_N), least=2, fixed=_WITH_BACK, doubt=_NO_M),
    Form((_C_M, _C_N), least=2, fixed=_WITH_BACK),
    Form((CHANNELS,), fixed=_WITH_BACK, doubt=_NO_M_N),
)
_OURS = (Form((CHANNELS,)), Form((CHANNELS, _C_M, _C_N), least=3))

_HEADS = Slot("num_heads", "whole", "heads", 8)
_CLO_REST = (
    Slot("group_split", "wholes", "group_split"),
    Slot("kernel_sizes", "wholes", "kernels", 5, most=63),
    Slot("window_size", "whole", "window", 7),
    Slot("attn_drop", "number", "attn_drop", 0.0),
    Slot("proj_drop", "number", "proj_drop", 0.0),
    Slot("qkv_bias", "switch", "qkv_bias", True),
)
_CLO_DOUBT = "dim, num_heads, group_split and kernel_sizes are needed; ours stand in for what is missing"
_CLO = (
    Form((CHANNELS, _HEADS, *_CLO_REST), least=4),
    Form((_HEADS, *_CLO_REST), least=3),
    Form((CHANNELS, _HEADS, *_CLO_REST), doubt=_CLO_DOUBT),
)

ATTENTION = (
    Word("se", ("SE", "SEAttention", "SELayer", "SEBlock", "SENet"), _BY_R16, keeps=True),
    Word("coord_att", ("CoordAtt", "CoordAttention", "CA", "CAM", "CABlock"), _BY_R32, keeps=True),
    Word("nam", ("NAMAttention", "NAM"), _NAM, keeps=True),
    Word("double_att", ("DoubleAttentionLayer",), _LAYER, keeps=True),
    Word("double_att", ("DoubleAttention", "A2"), _BLOCK, keeps=True),
    Word("double_att", ("double_att",), _OURS, keeps=True),
    Word("eca", ("ECAAttention", "ECALayer", "eca_layer"), _ECA_LAYER, keeps=True),
    Word("eca", ("ECA",), _ECA, keeps=True),
    Word("cbam", ("CBAM", "CBAMBlock"), _CBAM, keeps=True),
    Word("cloformer", ("EfficientAttention", "CloFormer", "AttnConv"), _CLO, keeps=True),
    Word("cloformer", ("cloformer",), (Form((CHANNELS,)), *_CLO[:2]), keeps=True),
    Word("simam", ("SimAM", "simam_module"), _SIMAM, keeps=True),
    Word("ema_att", ("EMA", "EMAAttention", "EMA_attention"), _EMA, keeps=True),
    Word("triplet", ("TripletAttention", "TripletAtt"), _TRIPLET, keeps=True),
    Word("gc", ("GlobalContext", "ContextBlock", "GCBlock", "GC", "GCNet"), _BY_R16, keeps=True),
    Word("ela", ("ELA", "EfficientLocalAttention"), _BY_K7, keeps=True),
    Word("guided", ("GuidedAttention",), (Form((CHANNELS,)),), keeps=True),
    Word("density", ("density",), (Form((CHANNELS,)),), keeps=True, probe=True),
    Word("strip", ("StripAttention", "StripAttn", "StripPooling"), _BY_K3, keeps=True),
)

_ALL = (*BLOCKS, *ATTENTION)
# Catalog names are names too; where two words share a module, its name means the first.
WORDS: Words = {word.module: word for word in _ALL[::-1]} | {n: word for word in _ALL for n in word.names}
