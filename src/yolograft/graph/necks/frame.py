"""What a neck is built on: the maps of the backbone, and how this detector makes its layers.

Block, width, depth and strided convolution are read off the neck the spec has, so that every family, every
scale and a user's own file keep theirs. Layers that play one part bear one name in every neck:

    neck.lat5   1x1 convolution of the map on its way from level 5 down to 4, in a family that has it in PAN
    neck.td4    block of the top-down path at level 4
    neck.p4     block whose output the head reads at level 4; p4.down, p4.cat stand in front of it
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from yolograft.errors import SpecError
from yolograft.graph.sites import origin
from yolograft.graph.spec import Args, LayerSpec, ModelSpec, Value, frozen_args

# What the name of a join ends in; a name of its own where it holds weights that a plain one has not.
SUFFIX = {"concat": "cat", "bifpn_add": "fuse", "gated_concat": "gate"}
WIDTH = "out_channels"
_P = re.compile(r"neck\.p(\d)")


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of a neck.

    maps: level -> layer of the backbone whose map enters there; levels count halvings, 3 is stride 8.
    blocks: level -> the block at its width, without inputs. down, up: strided convolution and upsampling.
    lateral: whether 1x1 convolutions narrow the maps on their way down (YOLOv5, YOLOX).
    """

    maps: Mapping[int, str]
    blocks: Mapping[int, LayerSpec]
    down: LayerSpec
    up: LayerSpec
    lateral: bool

    @property
    def low(self) -> int:
        """The level of the largest map."""
        return min(self.maps)

    @property
    def top(self) -> int:
        """The level of the smallest map."""
        return max(self.maps)

    def width(self, level: int) -> Value:
        """Channels of the neck's map at a level."""
        return dict(self.blocks[level].args)[WIDTH]

    def block(self, name: str, level: int, source: str) -> LayerSpec:
        """The family's block."""
        return replace(self.blocks[level], name=name, inputs=(source,))

    def narrow(self, name: str, level: int, source: str) -> LayerSpec:
        """A 1x1 convolution to the width of a level."""
        return LayerSpec(name, "conv", (source,), ((WIDTH, self.width(level)),))

    def shrink(self, name: str, level: int, source: str) -> LayerSpec:
        """A convolution of stride 2 at the width of a level."""
        return replace(self.down, name=f"{name}.down", inputs=(source,), args=self._wide(self.down, level))

    def grow(self, name: str, source: str) -> LayerSpec:
        """Upsampling to the next larger map."""
        return replace(self.up, name=f"{name}.up", inputs=(source,))

    def join(self, name: str, module: str, inputs: Sequence[str], args: Args = ()) -> LayerSpec:
        """What makes one map of several."""
        return LayerSpec(f"{name}.{SUFFIX[module]}", module, tuple(inputs), args)

    def _wide(self, layer: LayerSpec, level: int) -> Args:
        return frozen_args({**dict(layer.args), WIDTH: self.width(level)})


def read_frame(spec: ModelSpec, levels: Sequence[int]) -> tuple[Frame, list[LayerSpec]]:
    """The frame a spec gives at these levels of its head, and what a level beyond its backbone begins with.

    Raises:
        SpecError: a role that a neck is built on is missing, or its layer states no width (YG181).
    """
    roles = dict(spec.sites)
    stages = [level for level in range(2, 8) if f"backbone.p{level}" in roles]
    had = [int(found[1]) for role in roles if (found := _P.fullmatch(role))]
    if not stages or not had:
        missing = "neck.p3" if stages else "backbone.p3"
        raise _missing(spec, missing)
    top, low = _pooled(spec, stages), min(levels)
    maps = {level: roles.get(f"backbone.p{level}", "") for level in range(low, top)}
    for level, name in maps.items():
        if not name:
            raise _missing(spec, f"backbone.p{level}")
    maps[top] = roles.get("backbone.sppf", roles[f"backbone.p{top}"])
    blocks = {level: _block(spec, level, top, had) for level in range(low, max(top, *levels) + 1)}
    frame = Frame(
        maps, blocks, _strided(spec), _upsampling(spec), any(r.startswith("neck.lat") for r in roles)
    )
    beyond = []
    for level in range(top + 1, max(levels) + 1):
        if level in stages:
            maps[level] = roles[f"backbone.p{level}"]
            continue
        beyond.append(frame.shrink(f"backbone.p{level}", level, maps[level - 1]))
        maps[level] = beyond[-1].name
    return frame, beyond


def _pooled(spec: ModelSpec, stages: Sequence[int]) -> int:
    """The level of the pooling pyramid, where the backbone ends; what an earlier neck added lies beyond."""
    roles, order = dict(spec.sites), [layer.name for layer in spec.layers]
    end = order.index(roles.get("backbone.sppf", roles[f"backbone.p{stages[-1]}"]))
    return max(level for level in stages if order.index(roles[f"backbone.p{level}"]) <= end)


def _block(spec: ModelSpec, level: int, top: int, had: Sequence[int]) -> LayerSpec:
    """The block of a level: its own, or that of the nearest level at the width of the backbone there."""
    nearest = min(had, key=lambda known: abs(known - level))
    block = origin(spec, f"neck.p{nearest}")
    options = dict(block.args)
    if nearest != level:
        options[WIDTH] = dict(origin(spec, f"backbone.p{min(level, top)}").args).get(WIDTH, 0)
    if not options.get(WIDTH) or len(block.inputs) != 1:
        cause = f"a neck needs a block of a stated width at neck.p{level}: '{block.name}' is a {block.module}"
        raise SpecError("YG181", cause, fix="out_channels belongs among its arguments")
    return replace(block, args=frozen_args(options), inside=())


def _strided(spec: ModelSpec) -> LayerSpec:
    for layer in reversed(spec.layers):
        if layer.name.endswith(".down") and dict(layer.args).get("stride") == 2:
            return layer
    raise _missing(spec, "neck.p4.down")


def _upsampling(spec: ModelSpec) -> LayerSpec:
    found = [layer for layer in spec.layers if layer.module == "upsample"]
    return found[0] if found else LayerSpec("up", "upsample", (), (("scale", 2),))


def _missing(spec: ModelSpec, role: str) -> SpecError:
    roles = ", ".join(role for role, _ in spec.sites) or "none"
    return SpecError("YG181", f"a neck is built on {role}, which {spec.name} lacks", fix=f"it has: {roles}")
