"""``yolograft import FILE``."""

from __future__ import annotations

from pathlib import Path

from yolograft.cli.options import Output
from yolograft.cli.terminal import print_json, say


def import_(
    file: Path,
    /,
    *,
    out: Path | None = None,
    model: str | None = None,
    names: str | None = None,
    force: bool = False,
    output: Output | None = None,
) -> None:
    """Keep a .pt or .pth file of YOLOv5, YOLOv8 or YOLOX as a model folder; nothing in the file runs.

    Parameters
    ----------
    file
        Checkpoint of ultralytics, yolov5 or YOLOX.
    out
        Folder to make, which must not exist; models/NAME when left out, after the file.
    model
        What the file must hold, e.g. yolov8n; read off its tensors when left out.
    names
        Class names in label order: A,B,C. Those of the file when left out.
    force
        Import although the weights do not all fit: what fits is kept, the rest starts anew.
    """
    from yolograft.engine.foreignfolder import import_file, store_import
    from yolograft.graph.expr import folder_name

    chosen = [name.strip() for name in names.split(",")] if names else []
    imported = import_file(file, names=chosen, model=model or "", force=force)
    folder = out if out is not None else Path("models") / folder_name(file.stem)
    store_import(folder, imported)
    report, stored = imported.placed.report, imported.stored
    if output and output.json:
        print_json(
            {
                "model": stored.spec.name,
                "folder": str(folder),
                "kept": len(report.kept),
                **{word: list(getattr(report, word)) for word in ("new", "missing", "misplaced")},
                "against": list(imported.placed.against),
                "imgsz": list(stored.imgsz),
                "names": list(stored.names),
                "origin": stored.about["origin"],
                "notes": list(imported.notes),
            }
        )
        return
    say(f"{stored.spec.name}: {report.line()}")
    for line in imported.notes:
        say(line)
    say(f'model folder {folder}: yolograft eval "{folder}" --data ..., yolograft train --weights "{folder}"')
