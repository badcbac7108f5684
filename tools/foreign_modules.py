"""Graft every module of the package `fightingcv-attention` unedited, examine it, and write the table.

    PYTHONPATH=FOLDER python tools/foreign_modules.py          writes docs/fightingcv.md and its .zh.md
    PYTHONPATH=FOLDER python tools/foreign_modules.py --quick  leaves out the compiler and the exporter

The package is no dependency: unpack version 1.0.0 anywhere, and beside it einops, which some of its modules
import without declaring it, and put that folder on the path. Every class of
its folders attention, conv, mlp and rep stands in exactly one of the two tables below; the tool refuses to
write a page that leaves one out.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from yolograft.doctor.examine import CHECKS, SLOW, check_module
from yolograft.doctor.report import Language, Report
from yolograft.doctor.specimen import quiet
from yolograft.errors import YolograftError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, inspect_spec, model_spec
from yolograft.models.codebook import from_grafts
from yolograft.models.layout import to_channels_last

PACKAGE, DISTRIBUTION, VERSION = "fightingcv_attention", "fightingcv-attention", "1.0.0"
FOLDERS = ("attention", "conv", "mlp", "rep")
MODEL, SITES = "yolov8n", {"neck.p3": 64, "neck.p4": 128, "neck.p5": 256}
DOCS = Path(__file__).resolve().parent.parent / "docs"
# Defined on a map [B, C, H, W]: module, and the options it cannot do without ({C}: the channels at the site).
ON_MAPS: dict[str, str] = {
    "attention.A2Atttention::DoubleAttention": "c_m={C},c_n=8",
    "attention.ACmixAttention::ACmix": "",
    "attention.Axial_attention::AxialAttention": "dim_index=1",
    "attention.Axial_attention::AxialImageTransformer": "depth=1",
    "attention.BAM::BAMBlock": "dia_val=1",
    "attention.CBAM::CBAMBlock": "kernel_size=7",
    "attention.CoTAttention::CoTAttention": "",
    "attention.CoordAttention::CoordAtt": "",
    "attention.CrissCrossAttention::CrissCrossAttention": "",
    "attention.DANet::DAModule": "",
    "attention.DAT::LocalAttention": "heads=4,window_size=2,attn_drop=0.0,proj_drop=0.0",
    "attention.ECAAttention::ECAAttention": "",
    "attention.HaloAttention::HaloAttention": "block_size=2,halo_size=1",
    "attention.MobileViTAttention::MobileViTAttention": "dim=64,patch_size=2",
    "attention.PSA::PSA": "",
    "attention.ParNetAttention::ParNetAttention": "",
    "attention.PolarizedSelfAttention::ParallelPolarizedSelfAttention": "",
    "attention.PolarizedSelfAttention::SequentialPolarizedSelfAttention": "",
    "attention.ResidualAttention::ResidualAttention": "",
    "attention.S2Attention::S2Attention": "",
    "attention.SEAttention::SEAttention": "",
    "attention.SGE::SpatialGroupEnhance": "groups=8",
    "attention.SKAttention::SKAttention": "",
    "attention.ShuffleAttention::ShuffleAttention": "",
    "attention.SimAM::SimAM": "",
    "attention.TripletAttention::AttentionGate": "",
    "attention.TripletAttention::TripletAttention": "",
    "conv.CondConv::CondConv": "kernel_size=3,stride=1,padding=1",
    "conv.DepthwiseSeparableConvolution::DepthwiseSeparableConvolution": "",
    "conv.DynamicConv::DynamicConv": "kernel_size=3,stride=1,padding=1",
    "conv.HorNet::Block": "",
    "conv.HorNet::GlobalLocalFilter": "",
    "conv.HorNet::gnconv": "",
    "conv.Involution::Involution": "kernel_size=3,in_channel={C}",
    "conv.MBConv::MBConvBlock": "ksize=3,input_filters={C},output_filters={C}",
    "mlp.repmlp::RepMLP": "C={C},O={C},H=8,W=12,h=4,w=4",
    "mlp.sMLP_block::sMLPBlock": "h=8,w=12,c={C}",
    "rep.acnet::ACNet": "",
    "rep.repvgg::RepBlock": "",
}
# What stands behind a message of the machine, where the message does not say it itself.
BEHIND: dict[str, tuple[str, str]] = {
    "BAMBlock": (
        "with its default dia_val=2 the padding of 1 is too small, and the gate smaller than the map",
        "默认 dia_val=2 时补边 1 不够，门控图比特征图小",
    ),
    "PSA": (
        "forward writes into its input, which the layer before needs for its gradient",
        "forward 改写了输入，而前一层求梯度还要用它",
    ),
    "DAModule": (
        "d_model is ignored: 512 channels and 7 x 7 maps are written into it",
        "忽略 d_model：写死了 512 通道和 7 x 7",
    ),
    "S2Attention": (
        "its SplitAttention is built for 512 channels at any width",
        "内部的 SplitAttention 固定为 512 通道",
    ),
    "ResidualAttention": (
        "a classifier head: it returns class scores, no map",
        "它是分类头：返回类别得分，不是特征图",
    ),
    "sMLPBlock": ("its weights are one per row and column of one map size", "权重按固定尺寸的行列逐个设置"),
    "RepMLP": ("its weights belong to one map size", "权重属于固定尺寸"),
    "LocalAttention": ("returns a tuple (x, None, None), no map", "返回元组 (x, None, None)，不是特征图"),
    "DoubleAttention": (
        "softmax without dim= runs over dimension 0, the batch",
        "softmax 没写 dim=，作用在第 0 维即批维上",
    ),
}
# Not a map in, a map out: the reason, and the classes.
OTHERS: dict[tuple[str, str], str] = {
    ("token sequences [B, N, C], not maps", "输入为 token 序列 [B, N, C]"): """
        AFT.AFT_FULL EMSA.EMSA ExternalAttention.ExternalAttention MUSEAttention.MUSEAttention
        MobileViTv2Attention.MobileViTv2Attention SelfAttention.ScaledDotProductAttention
        SimplifiedSelfAttention.SimplifiedScaledDotProductAttention UFOAttention.UFOAttention
        Axial_attention.SelfAttention Crossformer.Attention Crossformer.CrossFormerBlock
        Crossformer.PatchMerging Crossformer.Stage MOATransformer.WindowAttention
        MOATransformer.GlobalAttention MOATransformer.LocalTransformerBlock
        MOATransformer.PatchMerging MOATransformer.BasicLayer
        gfnet.GlobalFilter gfnet.Block mlp_mixer.MixerBlock""",
    ("maps laid out [B, H, W, C]", "输入布局为 [B, H, W, C]"): """
        OutlookAttention.OutlookAttention ViP.WeightedPermuteMLP vip-mlp.WeightedPermuteMLP
        vip-mlp.PermutatorBlock""",
    ("whole networks", "完整网络"): """
        CoAtNet.CoAtNet Crossformer.CrossFormer DAT.DAT MOATransformer.MOATransformer gfnet.GFNet
        HorNet.HorNet mlp_mixer.MlpMixer resmlp.ResMLP g_mlp.gMLP vip-mlp.VisionPermutator""",
    ("parts of a module listed here", "所列模块的零件"): """
        Axial_attention.Deterministic Axial_attention.ReversibleBlock Axial_attention.IrreversibleBlock
        Axial_attention.ReversibleSequence Axial_attention.ChanLayerNorm Axial_attention.PreNorm
        Axial_attention.Sequential Axial_attention.PermuteToFrom Axial_attention.AxialPositionalEmbedding
        Axial_attention._ReversibleFunction BAM.Flatten BAM.ChannelAttention BAM.SpatialAttention
        CBAM.ChannelAttention CBAM.SpatialAttention CoordAttention.h_sigmoid CoordAttention.h_swish
        Crossformer.Mlp Crossformer.DynamicPosBias Crossformer.PatchEmbed DANet.PositionAttentionModule
        DANet.ChannelAttentionModule DAT.ShiftWindowAttention DAT.DAttentionBaseline DAT.TransformerMLP
        DAT.LayerNormProxy DAT.TransformerMLPWithConv DAT.TransformerStage HaloAttention.RelPosEmb
        MOATransformer.Mlp MOATransformer.PatchEmbed MUSEAttention.Depth_Pointwise_Conv1d
        MobileViTAttention.PreNorm MobileViTAttention.FeedForward MobileViTAttention.Attention
        MobileViTAttention.Transformer S2Attention.SplitAttention TripletAttention.BasicConv
        TripletAttention.ZPool ViP.MLP gfnet.PatchEmbed gfnet.Mlp CondConv.Attention DynamicConv.Attention
        HorNet.LayerNorm MBConv.SwishImplementation MBConv.MemoryEfficientSwish MBConv.Conv2dStaticSamePadding
        MBConv.Identity mlp_mixer.MlpBlock resmlp.Rearange resmlp.Affine resmlp.PreAffinePostLayerScale
        g_mlp.Residual g_mlp.SpatialGatingUnit vip-mlp.Mlp vip-mlp.PatchEmbed vip-mlp.Downsample""",
}
WORDS: dict[str, tuple[str, str]] = {
    "title": (f"{DISTRIBUTION} {VERSION}, grafted unedited", f"原样嫁接 {DISTRIBUTION} {VERSION}"),
    "intro": (
        f"Every class of the package's folders {', '.join(FOLDERS)} (backbone holds whole networks), named "
        f"by its path in a graft expression, at three sites of {MODEL}; each that builds goes through one "
        "step of training there and is examined by `yolograft doctor`. einops, which some modules import and "
        "the package does not declare, stands beside it. Nothing of the package is edited, "
        "nothing of it is part of yolograft. Its metadata says Apache, its LICENSE file is the MIT licence. "
        "Written by `tools/foreign_modules.py`; do not edit.",
        f"该包 {'、'.join(FOLDERS)} 目录下的全部类（backbone 是完整网络，不在其列），用路径写进嫁接表达式，"
        f"放到 {MODEL} 的三个位置；能构建的再训练一步，并由 `yolograft doctor` 体检。"
        "部分模块要导入 einops 而包未声明，已另行放在旁边。"
        "包的代码未作任何改动，"
        "也不是 yolograft 的一部分。其元数据写 Apache，LICENSE 文件则是 MIT。"
        "本页由 `tools/foreign_modules.py` 生成，请勿手改。",
    ),
    "example": ("For example:", "例如："),
    "count": (
        "{good} of {all} modules that are defined on a map [B, C, H, W] graft; {bad} are refused, each with "
        "its reason.",
        "在特征图 [B, C, H, W] 上有定义的 {all} 个模块中，{good} 个可以嫁接，{bad} 个被拒绝并给出原因。",
    ),
    "grafts": ("Grafted", "可以嫁接"),
    "refused": ("Refused", "被拒绝"),
    "others": ("Not defined on a map", "不是定义在特征图上的"),
    "module": ("module", "模块"),
    "options": ("options given", "给出的选项"),
    "finds": ("what the doctor finds", "体检结果"),
    "reason": ("reason", "原因"),
    "nothing": ("nothing", "无问题"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "training": ("builds, but a step of training fails: {reason}", "能构建，但训练一步就失败：{reason}"),
    "copied": ("gets a contiguous copy of its map in training", "训练时得到特征图的连续副本"),
}


@dataclass(frozen=True)
class Trial:
    """One module: its options, why a site or a training step fails (empty: fine), and the examination.

    contiguous: the builder gives it contiguous copies of its maps.
    """

    module: str
    options: str
    sites: tuple[str, ...]
    training: str
    report: Report | None
    contiguous: bool = False

    @property
    def name(self) -> str:
        return self.module.rpartition("::")[2]

    @property
    def refused(self) -> bool:
        """No site takes it, or no step can be trained."""
        return bool(self.training) or all(self.sites)


def expression(module: str, options: str, site: str) -> str:
    """The graft expression a user would type."""
    text = options.format(C=SITES[site])
    return f"{PACKAGE}.{module}{':' + text if text else ''}@{site}"


def place(module: str, options: str, site: str) -> tuple[str, bool]:
    """Why the detector with this graft does not build (empty: it does), and whether it gets copies."""
    item = parse_graft(expression(module, options, site))
    try:
        facts = inspect_spec(graft(model_spec(MODEL), item), code=from_grafts([item]))
    except YolograftError as error:
        return _portable(f"{error.code} {error.cause}"), False
    return "", any(fact.contiguous for fact in facts)


def train(module: str, options: str, site: str) -> str:
    """Why one step of training fails in the memory layout the engine uses, or an empty string."""
    item = parse_graft(expression(module, options, site))
    try:
        detector = build(graft(model_spec(MODEL), item), code=from_grafts([item]))
        to_channels_last(detector, torch.device("cpu"))
        images = torch.rand(2, 3, 256, 256).contiguous(memory_format=torch.channels_last)
        raw = detector.train()(images)
        torch.stack([values.square().mean() for level in raw.levels for values in level]).sum().backward()
    except Exception as error:
        return _portable(f"{type(error).__name__}: {error}")
    return ""


def _portable(text: str) -> str:
    """A message without the folder the package was unpacked into."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None and spec.origin is not None
    text = text.replace(str(Path(spec.origin).parent.parent) + "/", "")
    text = " ".join(re.sub(rf"{PACKAGE}\S+ at '[^']*' ", "", text).split())
    return text if len(text) <= 200 else text[:197] + "..."


def attempt(module: str, options: str, checks: Sequence[str]) -> Trial:
    """Graft it at every site; where one takes it, examine it at that site's channels."""
    with quiet():
        built = [place(module, options, site) for site in SITES]
    sites, contiguous = tuple(reason for reason, _ in built), any(copied for _, copied in built)
    report, training = None, ""
    if not all(sites):
        first = next(site for site, reason in zip(SITES, sites, strict=True) if not reason)
        reference = expression(module, options, first).rpartition("@")[0]
        with quiet():
            training = train(module, options, first)
        report = check_module(reference, channels=SITES[first], checks=checks)
    return Trial(module, options, sites, training, report, contiguous)


def classes(root: Path) -> Iterator[str]:
    """``file.Class`` of every class at the top of a module."""
    for folder in FOLDERS:
        for file in sorted((root / folder).glob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            yield from (f"{file.stem}.{node.name}" for node in tree.body if isinstance(node, ast.ClassDef))


def unlisted(root: Path) -> list[str]:
    """Classes that neither table names, and names without a class."""
    listed = [name.partition(".")[2].replace("::", ".") for name in ON_MAPS]
    listed += [name for names in OTHERS.values() for name in names.split()]
    return sorted(set(classes(root)) ^ set(listed))


def page(trials: Sequence[Trial], lang: Language) -> str:
    """The whole page in one language."""
    zh = lang == "zh"
    word = {key: pair[zh] for key, pair in WORDS.items()}
    bad = [trial for trial in trials if trial.refused]
    good = [trial for trial in trials if not trial.refused]
    example = expression("attention.SEAttention::SEAttention", "", "neck.p3")
    lines = [f"# {word['title']}", "", word["intro"], "", word["example"], "", "```"]
    lines += [f'yolograft compare {MODEL} --graft "{example}"', "```", ""]
    lines += [
        word["count"].format(good=len(good), bad=len(bad), all=len(trials)),
        "",
        f"## {word['grafts']}",
        "",
    ]
    lines += [
        f"| {word['module']} | {word['options']} | p3 | p4 | p5 | {word['finds']} |",
        "|---|---|---|---|---|---|",
    ]
    for trial in good:
        marks = " | ".join(word["no"] if reason else word["yes"] for reason in trial.sites)
        lines.append(
            f"| {_code(trial.module)} | {_code(trial.options)} | {marks} | {findings(trial, lang)} |"
        )
    lines += [
        "",
        f"## {word['refused']}",
        "",
        f"| {word['module']} | {word['options']} | {word['reason']} |",
        "|---|---|---|",
    ]
    lines += [f"| {_code(t.module)} | {_code(t.options)} | {refusal(t, lang)} |" for t in bad]
    lines += ["", f"## {word['others']}", ""]
    for reasons, names in OTHERS.items():
        lines += [f"- {reasons[zh]}: " + ", ".join(_code(name) for name in names.split())]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def findings(trial: Trial, lang: Language) -> str:
    """What failed or calls for care, and why a site does not take it."""
    assert trial.report is not None
    rows = [row for row in trial.report.rows if row.status in ("fail", "warn")]
    if any(row.key == "size_fails" for row in rows):
        # The checks after it use such sizes too, and raise the same.
        rows = [row for row in rows if row.key != "raises"]
    colon, stop = ("：", "；") if lang == "zh" else (": ", "; ")
    parts = [f"{row.title(lang)}{colon}{row.reason(lang)}" for row in rows]
    if trial.contiguous and all(row.key != "contiguous_copy" for row in rows):
        parts.append(WORDS["copied"][lang == "zh"])
    parts += [f"{site}{colon}{reason}" for site, reason in zip(SITES, trial.sites, strict=True) if reason]
    parts += [BEHIND[trial.name][lang == "zh"]] if trial.name in BEHIND else []
    return _cell(stop.join(parts)) or WORDS["nothing"][lang == "zh"]


def refusal(trial: Trial, lang: Language) -> str:
    """Why it is not taken, in the words of the builder."""
    zh = lang == "zh"
    if not all(trial.sites):
        return _cell(WORDS["training"][zh].format(reason=_behind(trial, zh) or trial.training))
    behind = _behind(trial, zh)
    return _cell(f"{behind} ({trial.sites[0]})" if behind else trial.sites[0])


def _behind(trial: Trial, zh: bool) -> str:
    return BEHIND.get(trial.name, ("", ""))[zh]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: Sequence[str]) -> int:
    """Write both pages, or say in one line why not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="without compiler and exporter")
    quick = parser.parse_args(arguments).quick
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        sys.stderr.write(
            f"{PACKAGE} is not on the path: unpack {DISTRIBUTION} {VERSION} and set PYTHONPATH\n"
        )
        return 2
    if importlib.util.find_spec("einops") is None:
        sys.stderr.write(f"einops is not on the path: some modules of {PACKAGE} import it undeclared\n")
        return 2
    if (have := version(DISTRIBUTION)) != VERSION:
        sys.stderr.write(f"{DISTRIBUTION} {have} is on the path, the tables are of {VERSION}\n")
        return 2
    if names := unlisted(Path(spec.origin).parent):
        sys.stderr.write(f"in one place only, package or tables: {', '.join(names)}\n")
        return 2
    checks = [name for name in CHECKS if not (quick and name in SLOW)]
    trials = []
    for module, options in ON_MAPS.items():
        trials.append(attempt(module, options, checks))
        sys.stderr.write(f"{module}: {'refused' if trials[-1].refused else 'grafts'}\n")
    (DOCS / "fightingcv.md").write_text(page(trials, "en"), encoding="utf-8")
    (DOCS / "fightingcv.zh.md").write_text(page(trials, "zh"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
