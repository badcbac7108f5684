"""A judgement of other tools' runs in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yolograft.cli.terminal import plain_table, say

HEADS = {
    "en": {"arm": "arm", "runs": "runs", "each": "AP of each run", "difference": "difference",
           "known": "known", "warning": "warning", "saved": "saved"},
    "zh": {"arm": "组", "runs": "次数", "each": "各次 AP", "difference": "差值", "known": "已知",
           "warning": "注意", "saved": "已保存"},
}  # fmt: skip


def judged_lines(document: Mapping[str, Any], lang: str) -> None:
    """A judgement in the terminal."""
    words = HEADS[lang]
    arms: Sequence[Mapping[str, Any]] = document["arms"]
    if truth := document.get("gt"):
        say(f"{truth['file']}: {truth['images']} images, {truth['boxes']} boxes, {truth['classes']} classes")
    heads = (words["arm"], words["runs"], "AP", "sd", words["difference"], words["each"])
    plain_table(heads, [_row(arm) for arm in arms])
    for note in document["notes"]:
        say(f"  {words['warning']}: {note['text']}" if note["warns"] else f"  {note['text']}")
    for arm in arms:
        if found := arm["comparison"]:
            say(f"\n{found['sentence']}")
            if found["known"]:
                say(f"  {words['known']}: {found['known']}")


def _row(arm: Mapping[str, Any]) -> tuple[object, ...]:
    found = arm["comparison"]
    shown = "-"
    if found and found["delta"] is not None:
        shown = f"{found['delta']:+.2f}"
        if found["low"] is not None:
            shown += f" [{found['low']:+.2f}, {found['high']:+.2f}]"
    each = " ".join("-" if run["ap"] is None else f"{run['ap']:.2f}" for run in arm["runs"])
    return (arm["label"], len(arm["runs"]), arm["mean"], arm["sd"], shown, each)
