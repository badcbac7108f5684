"""What `judge` leaves behind: one document, and the match tables from which all its numbers recompute."""

from __future__ import annotations

import json
import re
from pathlib import Path

from yolograft.errors import StudyError
from yolograft.study.judge.from_predictions import Judged

DOCUMENT, TABLES = "judge.json", "matches"


def check_new(folder: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        StudyError: it does (YG665).
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError("YG665", "something is there already", where=str(folder), fix="name a new folder")


def save_judged(judged: Judged, folder: Path) -> None:
    """Write ``judge.json``, and ``matches/ARM-RUN.npz`` where predictions were judged, into a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {**judged.document, "arms": [dict(arm) for arm in judged.document["arms"]]}
    for place, (label, runs) in enumerate(judged.runs.items()):
        safe = re.sub(r"[^a-z0-9._-]+", "-", label.lower()).strip(".-") or "arm"
        files = [f"{TABLES}/{place}-{safe}-{number}.npz" for number in range(len(runs))]
        for run, name in zip(runs, files, strict=True):
            run.matches.save(folder / name)
        document["arms"][place]["tables"] = files
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    (folder / DOCUMENT).write_text(text + "\n", encoding="utf-8")
