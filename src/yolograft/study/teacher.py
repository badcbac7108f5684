"""The teacher of a study: named once, known by the hash of its weights, shared by all arms it teaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from yolograft.distill.distiller import Distiller
from yolograft.distill.methods import check_methods, find_method
from yolograft.distill.teacher import Teacher
from yolograft.engine.arm import Arm
from yolograft.engine.foreignfolder import has_numbers_for_names, lines_of_file, read_source, source_sha256
from yolograft.engine.modelfolder import StoredModel, best_warning
from yolograft.errors import CheckpointError, SpecError, StudyError
from yolograft.graph.expr import GraftSpec
from yolograft.graph.spec import ModuleRef, frozen_args
from yolograft.models.build import sketch
from yolograft.models.codebook import Codebook


def check_lessons(grafts: Sequence[GraftSpec], teacher: str) -> None:
    """See that there is a teacher where arms are to learn from one, and only there.

    Raises:
        SpecError: one without the other (YG446); no such method or option (YG447).
        ModuleError: an option out of range (YG210).
    """
    taught = [item for item in grafts if item.of_kind("distill")]
    for item in taught:
        check_methods(item.of_kind("distill"))
    if taught and not teacher:
        method = taught[0].of_kind("distill")[0].module
        raise SpecError("YG446", f"distill:{method} without a teacher", fix="add --teacher RUN")
    if teacher and not taught:
        cause = "--teacher, and no arm that learns from it"
        raise SpecError("YG446", cause, fix='add --graft "distill:cwd", or leave --teacher out')


def read_teacher(path: str) -> StoredModel:
    """The model that is to teach.

    Raises:
        CheckpointError: as `read_source`; weights that do not all fit teach nobody (YG441).
    """
    try:
        return read_source(Path(path))
    except CheckpointError as error:
        if error.code != "YG441":
            raise
        raise CheckpointError(error.code, error.cause, where=error.where, fix="another teacher") from error


def about_teacher(path: str, stored: StoredModel) -> dict[str, Any]:
    """What a manifest says of a teacher.

    names: its classes in label order, None where they are stand-ins. data: fingerprints of what it was
    trained and measured on. origin: of a file from elsewhere, what was written down when it was read. notes:
    what must be said whenever it teaches.
    """
    warning = best_warning(stored.about)
    return {
        "path": path,
        "sha256": source_sha256(Path(path)),
        "model": stored.spec.name,
        "names": None if has_numbers_for_names(stored) else list(stored.names),
        "data": stored.about.get("data"),
        "origin": stored.about.get("origin"),
        "notes": [*lines_of_file(Path(path), stored), *([warning] if warning else [])],
    }


def open_teacher(stored: StoredModel, about: Mapping[str, Any], code: Codebook) -> Teacher:
    """The teacher itself, on the CPU.

    Raises:
        ModuleError: a class of the user's own that it holds is not loaded (YG203).
        CheckpointError: its weights do not fit its spec (YG402).
    """
    return Teacher(stored.built(code), sha256=about["sha256"])


def teacher_of(manifest: Mapping[str, Any], code: Codebook) -> Teacher | None:
    """The teacher of a planned study; None without one.

    Raises:
        StudyError: its weights changed since the study was planned (YG449).
        CheckpointError: they are gone (YG401) or damaged (YG402).
    """
    about = manifest["teacher"]
    if about is None:
        return None
    path = Path(about["path"])
    if source_sha256(path) != about["sha256"]:
        cause = "the weights of the teacher have changed since the study was planned"
        fix = "start a new study, or put the old weights back"
        raise StudyError("YG449", cause, where=str(path), fix=fix)
    return open_teacher(read_source(path), about, code)


def with_lessons(
    arms: Sequence[Arm], rows: Sequence[Mapping[str, Any]], teacher: Teacher | None
) -> list[Arm]:
    """The arms, those that the rows of a manifest call taught with their methods and the one teacher."""
    lessons = {row["label"]: _methods(row) for row in rows}
    return [
        replace(arm, distill=lessons[arm.label], teacher=teacher) if lessons[arm.label] else arm
        for arm in arms
    ]


def _methods(row: Mapping[str, Any]) -> tuple[ModuleRef, ...]:
    return tuple(ModuleRef(item["method"], frozen_args(item["options"])) for item in row.get("distill", ()))


def check_teaching(arms: Sequence[Arm], about: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """See that the teacher can teach every arm that learns from it.

    Args:
        about: the teacher. data: the dataset; both as the manifest has them.

    Raises:
        CheckpointError: it cannot, by the method asked for, or it was trained on the images that the study is
            measured on (YG448).
    """
    names, measured = data["names"], data["eval"]
    if (about["data"] or {}).get("train") == measured["fingerprint"]:
        cause = f"the teacher was trained on '{measured['split']}', on which this study is measured"
        raise CheckpointError("YG448", cause, where=about["path"], fix="a teacher that has not seen it")
    for arm in arms:
        if arm.teacher is None:
            continue
        Distiller(arm.distill, sketch(arm.spec, code=arm.code), arm.teacher.detector, seed=0)
        by_class = [ref.module for ref in arm.distill if find_method(ref.module).compares != "maps"]
        if by_class and about["names"] is not None and about["names"] != names:
            wrong = next(pair for pair in zip(about["names"], names, strict=True) if pair[0] != pair[1])
            cause = f"distill:{by_class[0]}: the teacher's class '{wrong[0]}' is '{wrong[1]}' in the dataset"
            fix = "a teacher trained on these classes, or distill:cwd, distill:mgd"
            raise CheckpointError("YG448", cause, where=about["path"], fix=fix)
