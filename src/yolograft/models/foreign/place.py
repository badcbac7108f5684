"""Somebody else's tensors as weights of ours: which detector a file holds, and where each tensor goes.

Family, scale, levels and number of classes are read off the tensors; what the file says about itself only
confirms them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

import torch
from torch import Tensor

from yolograft.errors import CheckpointError
from yolograft.graph.anchors import ANCHORS, anchors_of
from yolograft.graph.levels import LEVELS, STOCK
from yolograft.graph.spec import ModelSpec, frozen_args, model_name
from yolograft.models.build import build, model_spec, sketch
from yolograft.models.catalog import FAMILIES, Family, model_names
from yolograft.models.detector import key_of
from yolograft.models.foreign.align import Shape, align
from yolograft.models.foreign.names import DERIVED, family_of, groups_of, part_of, split_key, their_name
from yolograft.models.foreign.read import ForeignCheckpoint
from yolograft.models.foreign.wiring import differences
from yolograft.models.weights import LoadReport

COUNTER = "num_batches_tracked"
# What half precision does to an anchor.
ANCHOR_TOLERANCE = 1e-3
# A head for more is no head, and would be built to be compared.
MOST_CLASSES = 10_000
LEVEL_STRIDES = {level: 4 << index for index, level in enumerate(LEVELS)}


@dataclass(frozen=True)
class Placed:
    """A file's tensors as weights of ours.

    spec: the detector they are of. tensors: what fits by our keys, floats as float32. unfilled: our keys that
    are not among them, counters apart. report: its `missing` are keys of the file, all others ours. against:
    what the file says of its model that `spec` is not; any of it makes the weights those of another network.
    notes: what was worked out, for the user. origins: our key -> theirs of what is misplaced.
    """

    spec: ModelSpec
    tensors: dict[str, Tensor]
    unfilled: tuple[str, ...]
    report: LoadReport
    against: tuple[str, ...]
    notes: tuple[str, ...]
    origins: dict[str, str]

    @property
    def fits(self) -> bool:
        """True if the file is of this very network: nothing left over, elsewhere or unfilled."""
        report = self.report
        return not (report.missing or report.misplaced or self.unfilled or self.against)

    def whole(self) -> dict[str, Tensor]:
        """The tensors, with initial ones for what the file does not fill."""
        complete = not (self.report.new or self.report.misplaced)
        return self.tensors if complete else {**build(self.spec).state_dict(), **self.tensors}


def place(checkpoint: ForeignCheckpoint) -> Placed:
    """Find the detector of a file and the place of each of its tensors.

    Raises:
        CheckpointError: the file holds no detector of ours (YG440), or numbers that are not finite (YG445).
    """
    tensors = {key: value for key, value in checkpoint.tensors.items() if not DERIVED.search(key)}
    _check_finite(tensors, checkpoint.path.name)
    spec, notes = identify(tensors, where=checkpoint.path.name)
    shapes = {key: tuple(value.shape) for key, value in sketch(spec).state_dict().items()}
    homes, rows = _homes(tensors, spec, shapes)
    kept, misplaced, taken = {}, [], set()
    for key, theirs in homes.items():
        taken.add(theirs)
        if tuple(tensors[theirs].shape) == shapes[key]:
            kept[key] = _single(tensors[theirs])
        else:
            misplaced.append(key)
    report = LoadReport(
        kept=tuple(sorted(kept.keys() | _anchors_kept(tensors, spec, taken))),
        new=tuple(sorted(shapes.keys() - homes.keys())),
        missing=tuple(sorted(tensors.keys() - taken)),
        misplaced=tuple(sorted(misplaced)),
        remade=(),
    )
    against = tuple(differences(checkpoint.facts.get("yaml"), rows, spec))
    unfilled = tuple(sorted(key for key in shapes.keys() - kept.keys() if not key.endswith(COUNTER)))
    return Placed(spec, kept, unfilled, report, against, notes, {key: homes[key] for key in misplaced})


def _check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    for key, value in tensors.items():
        if value.is_floating_point() and not _single(value).isfinite().all():
            cause = f"'{key}' holds numbers that are not finite: the training it comes from diverged"
            raise CheckpointError("YG445", cause, where=where, fix="take an earlier checkpoint")


def identify(tensors: Mapping[str, Tensor], *, where: str) -> tuple[ModelSpec, tuple[str, ...]]:
    """The stock detector a file's tensors are of, for its number of classes, and how that was found.

    Raises:
        CheckpointError: none of ours (YG440).
    """
    name, cells = family_of(tensors), None
    if name not in FAMILIES:
        raise _unknown("no head of YOLOv5 v6, YOLOX or YOLOv8 in it", where)
    family = FAMILIES[name]
    last = _last_convolutions(tensors, name)
    odd = next((list(weight.shape) for weight in last if weight.ndim != 4 or not weight.numel()), None)
    if odd is not None:
        raise _unknown(f"a head of {name} with weights {odd} instead of [out, in, height, width]", where)
    classes = last[0].shape[0]
    if name == "yolov5":
        cells = _cells(tensors, where)
        classes = classes // (3 if cells is None else cells.shape[1]) - 5
    levels = LEVELS if len(last) == len(LEVELS) and family.p2_file is not None else STOCK
    if len(last) != len(levels) or not 1 <= classes <= MOST_CLASSES:
        raise _unknown(f"a head of {name} on {len(last)} levels for {classes} classes", where)
    scale, width = _scale(family, tensors, where)
    spec = model_spec(model_name(name, scale), num_classes=classes, levels=levels)
    notes = [f"{spec.name}: {width} channels in the first convolution, {classes} classes in the head"]
    if name == "yolov5":
        spec, said = _with_anchors(spec, cells)
        notes += said
    return spec, tuple(notes)


def _last_convolutions(tensors: Mapping[str, Tensor], family: str) -> list[Tensor]:
    """The weights of the head's last convolutions, those for classes, level by level."""
    ending = {"yolov5": ".m.{}.weight", "yolov8": ".cv3.{}.2.weight", "yolox": ".cls_preds.{}.weight"}[family]
    found = (_ending(tensors, ending.format(level)) for level in range(len(LEVELS) + 1))
    return [weight for weight in takewhile(lambda weight: weight is not None, found) if weight is not None]


def _ending(tensors: Mapping[str, Tensor], ending: str) -> Tensor | None:
    """The last tensor whose key ends so: the head is the last layer."""
    return next((value for key, value in reversed([*tensors.items()]) if key.endswith(ending)), None)


def _scale(family: Family, tensors: Mapping[str, Tensor], where: str) -> tuple[str, int]:
    """The scale whose stem is as wide as the first convolution of the file, and that width."""
    splits = ((split_key(key), value) for key, value in tensors.items() if value.ndim == 4)
    rows = [
        (split[1], value) for split, value in splits if split and split[0] in ("", "backbone.backbone.stem")
    ]
    first = min(rows, key=lambda row: row[0], default=(0, torch.empty(0, 0)))[1]
    widths = {}
    for scale in family.scales:
        widths[scale] = dict(model_spec(model_name(family.name, scale)).layers[0].args)["out_channels"]
        if widths[scale] == first.shape[0]:
            return scale, first.shape[0]
    listed = ", ".join(f"{width} {scale}" for scale, width in widths.items())
    cause = (
        f"a head of {family.name} behind a first convolution of {first.shape[0]} channels (known: {listed})"
    )
    raise _unknown(cause, where)


def _unknown(cause: str, where: str) -> CheckpointError:
    return CheckpointError(
        "YG440",
        f"no detector of ours: {cause}",
        where=where,
        fix=f"models: {', '.join(model_names()[::5])} ...",
    )


def _cells(tensors: Mapping[str, Tensor], where: str) -> Tensor | None:
    """The anchors of a file, [levels, anchors, 2] in cells of their level; None where it has none."""
    cells = _ending(tensors, f".{ANCHORS}")
    if cells is None:
        return None
    if cells.ndim != 3 or cells.shape[1] == 0 or (cells.shape[0], cells.shape[2]) != (len(STOCK), 2):
        raise _unknown(f"anchors {list(cells.shape)} instead of [{len(STOCK)}, anchors, 2]", where)
    return cells


def _with_anchors(spec: ModelSpec, cells: Tensor | None) -> tuple[ModelSpec, list[str]]:
    """The spec with the anchors of the file."""
    if cells is None:
        return spec, ["no anchors in the file: the published ones are taken"]
    strides = torch.tensor([LEVEL_STRIDES[level] for level in STOCK], dtype=torch.float32)
    pixels = cells.float() * strides[:, None, None]
    stock, flat = torch.tensor(anchors_of(spec)), pixels.flatten()
    if flat.shape == stock.shape and torch.allclose(flat, stock, rtol=ANCHOR_TOLERANCE):
        return spec, []
    own = tuple(round(float(side), 3) for side in flat)
    head = replace(spec.head, args=frozen_args({**dict(spec.head.args), ANCHORS: own}))
    pairs = ", ".join(f"{w:.0f}x{h:.0f}" for w, h in flat.view(-1, 2).tolist())
    return replace(spec, layers=(*spec.layers[:-1], head)), [f"anchors of its own: {pairs}"]


def _homes(
    tensors: Mapping[str, Tensor], spec: ModelSpec, shapes: Mapping[str, Shape]
) -> tuple[dict[str, str], dict[int, str]]:
    """Our key -> theirs for every tensor that lands, and row number -> layer of ours."""
    groups, _ = groups_of(tensors)
    ours = _our_layers(spec, shapes)
    homes: dict[str, str] = {}
    rows: dict[int, str] = {}
    for part in dict.fromkeys(part_of(spec.family, name) for name in ours):
        here = [group for group in groups if group.part == part]
        mine = [name for name in ours if part_of(spec.family, name) == part]
        theirs = [{k: tuple(tensors[key].shape) for k, key in group.held.items()} for group in here]
        found = align(theirs, [{k: shape for k, (_, shape) in ours[name].items()} for name in mine])
        for name, index in zip(mine, found, strict=True):
            if index is None:
                continue
            rows[here[index].position] = name
            held = here[index].held
            homes |= {key: held[inside] for inside, (key, _) in ours[name].items() if inside in held}
    return homes, rows if not part_of(spec.family, spec.head.name) else {}


def _our_layers(spec: ModelSpec, shapes: Mapping[str, Shape]) -> dict[str, dict[str, tuple[str, Shape]]]:
    """Layer of ours -> the family's name of each of its tensors -> (our key, shape); in order."""
    out: dict[str, dict[str, tuple[str, Shape]]] = {}
    for layer in spec.layers:
        prefix = f"layers.{key_of(layer.name)}."
        held = {
            their_name(spec.family, layer.module, key[len(prefix) :]): (key, shape)
            for key, shape in shapes.items()
            if key.startswith(prefix)
        }
        if held:
            out[layer.name] = held
    return out


def _anchors_kept(tensors: Mapping[str, Tensor], spec: ModelSpec, taken: set[str]) -> set[str]:
    """The anchors of a file count as kept: the spec holds them."""
    if ANCHORS not in dict(spec.head.args):
        return set()
    keys = {key for key in tensors if key.endswith(f".{ANCHORS}")}
    taken |= keys
    return {f"layers.{key_of(spec.head.name)}.{ANCHORS}"} if keys else set()


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
