"""A file from elsewhere as a trained model of ours: in memory, or kept as a model folder."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from yolograft.engine.arm import Arm
from yolograft.engine.modelfolder import StoredModel, read_model, store_model, tensors_sha256
from yolograft.errors import CheckpointError
from yolograft.models.foreign.place import Placed, place
from yolograft.models.foreign.read import ForeignCheckpoint, read_foreign

SUFFIXES = (".pt", ".pth", ".safetensors")
# Side a model is used at where its file does not say; sides are multiples of the widest stride.
IMGSZ, STRIDE, MOST = 640, 32, 1 << 13
NUMBERED = "numbers"


@dataclass(frozen=True)
class Imported:
    """A file read and placed. stored: as if it had been trained here. notes: what the user should know."""

    stored: StoredModel
    placed: Placed
    notes: tuple[str, ...]


def import_file(path: Path, *, names: Sequence[str] = (), model: str = "", force: bool = False) -> Imported:
    """Read somebody else's checkpoint into a model of ours.

    Args:
        names: class names; those of the file, else "0", "1" ... when left out. model: what it must be.
        force: take what fits though the rest does not.

    Raises:
        CheckpointError: no weights that can be read (YG430-YG439), no detector of ours (YG440), tensors
            that do not fit (YG441), another model than `model` (YG442), another number of names (YG443),
            numbers that are not finite (YG445).
    """
    checkpoint = read_foreign(path)
    placed = place(checkpoint)
    spec = placed.spec
    if model and model != spec.name:
        cause = f"the file holds {spec.name}, not {model}"
        raise CheckpointError("YG442", cause, where=path.name, fix="leave out --model")
    if not (force or placed.fits):
        raise _does_not_fit(checkpoint, placed)
    if names and len(names) != spec.num_classes:
        cause = f"{len(names)} names for {spec.num_classes} classes"
        raise CheckpointError("YG443", cause, where=path.name, fix="name each class once, in label order")
    named, named_by, said = _names(checkpoint, tuple(names), spec.num_classes)
    side, notes = _imgsz(checkpoint.facts), (*placed.notes, *(f"forced: {a}" for a in placed.against), *said)
    origin = _origin(checkpoint) | {
        "names_from": named_by,
        "forced": not placed.fits,
        "report": placed.report.line(),
        "notes": list(notes),
        "new": list(placed.unfilled),
    }
    about = {"imgsz": list(side), "names": list(named), "origin": origin}
    return Imported(StoredModel(spec, placed.whole(), {}, about), placed, notes)


def store_import(folder: Path, imported: Imported) -> None:
    """Keep an imported model as a model folder; an existing one is never touched.

    Raises:
        CheckpointError: something of that name exists (YG444).
        MachineError: it cannot be written (YG702).
    """
    if folder.exists():
        raise CheckpointError(
            "YG444", "this exists, and nothing is overwritten", where=str(folder), fix="--out FOLDER"
        )
    stored = imported.stored
    store_model(folder, Arm("imported", stored.spec), stored.tensors, stored.about)


def read_source(path: Path, *, force: bool = False) -> StoredModel:
    """The model in a model folder of ours or in a file from elsewhere.

    Raises:
        CheckpointError: as `read_model` and `import_file`.
    """
    return import_file(path, force=force).stored if is_file_from_elsewhere(path) else read_model(path)


def is_file_from_elsewhere(path: Path) -> bool:
    """Whether a path names a file, there or not, rather than a folder of ours."""
    return path.is_file() or (path.suffix.lower() in SUFFIXES and not path.is_dir())


def source_sha256(path: Path) -> str:
    """SHA-256 by which the weights of a model folder or of a file are known.

    Raises:
        CheckpointError: it is missing (YG401) or no checkpoint (YG403).
    """
    if not is_file_from_elsewhere(path):
        return tensors_sha256(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        fix = "put it back: what was planned with it starts from it"
        raise CheckpointError(
            "YG401", f"no such file ({error.strerror})", where=str(path), fix=fix
        ) from error


def lines_of_file(path: Path, stored: StoredModel) -> list[str]:
    """What is to be said of a file from elsewhere that is used as it is: its report, and what was worked out.

    Nothing for a model folder, of which it was said when it was made.
    """
    if not is_file_from_elsewhere(path):
        return []
    origin = stored.about["origin"]
    return [f"{path.name}: {origin['report']}", *origin["notes"]]


def own_tensors(stored: StoredModel) -> dict[str, Tensor]:
    """The trained tensors of a model: without those a forced import began anew."""
    new = frozenset((stored.about.get("origin") or {}).get("new", ()))
    return {key: value for key, value in stored.tensors.items() if key not in new}


def has_numbers_for_names(stored: StoredModel) -> bool:
    """Whether the class names of an imported model are stand-ins that any dataset of as many may replace."""
    return (stored.about.get("origin") or {}).get("names_from") == NUMBERED


def _does_not_fit(checkpoint: ForeignCheckpoint, placed: Placed) -> CheckpointError:
    """The refusal, with the first thing that does not fit."""
    report = placed.report
    cause = f"the weights do not fit {placed.spec.name}: {report.line()}"
    if report.misplaced:
        key = report.misplaced[0]
        found = list(checkpoint.tensors[placed.origins[key]].shape)
        cause += f"; {placed.origins[key]} is {found} there, for {key}"
    elif placed.against:
        cause += f"; {placed.against[0]}"
    elif report.missing:
        cause += f"; no place for {report.missing[0]}"
    elif report.new:
        cause += f"; nothing for {report.new[0]}"
    fix = "--force takes what fits, the rest starts anew"
    return CheckpointError("YG441", cause, where=checkpoint.path.name, fix=fix)


def _names(
    checkpoint: ForeignCheckpoint, given: tuple[str, ...], count: int
) -> tuple[tuple[str, ...], str, list[str]]:
    """Class names, where they are from, and what must be said about that."""
    if given:
        return given, "user", []
    if len(checkpoint.names) == count:
        return checkpoint.names, "file", []
    why = f"{len(checkpoint.names)} class names" if checkpoint.names else "no class names"
    said = (
        f"{why} in the file for {count} classes: they are called 0 to {count - 1} (--names A,B,... at import)"
    )
    return tuple(map(str, range(count))), NUMBERED, [said]


def _origin(checkpoint: ForeignCheckpoint) -> dict[str, Any]:
    """What is written down about where the weights are from."""
    facts = checkpoint.facts
    # YOLOX counts the epochs done; -1 is what ultralytics writes into a file it has finished with.
    epoch, tool = facts.get("epoch", facts.get("start_epoch")), checkpoint.layout
    if isinstance(facts.get("version"), str):
        tool = f"{tool} {facts['version']}"
    return {
        "file": checkpoint.path.name,
        "sha256": checkpoint.sha256,
        "layout": checkpoint.layout,
        "licence": facts["license"] if isinstance(facts.get("license"), str) else "",
        "epoch": epoch if type(epoch) is int and epoch >= 0 else None,
        "tool": tool,
    }


def _imgsz(facts: Mapping[str, Any]) -> tuple[int, int]:
    """(height, width) the model was trained at, as its file says."""
    # ultralytics writes train_args, YOLOv5 opt.
    trained = (facts.get(key) for key in ("train_args", "opt"))
    said = next((args["imgsz"] for args in trained if isinstance(args, Mapping) and "imgsz" in args), None)
    listed = said if isinstance(said, list | tuple) else [said]
    sides = [math.ceil(side / STRIDE) * STRIDE for side in listed if type(side) is int and 0 < side <= MOST]
    if len(sides) != len(listed) or len(sides) not in (1, 2):
        return IMGSZ, IMGSZ
    return sides[0], sides[-1]
