"""Findings as the data verbs print them."""

from __future__ import annotations

from collections.abc import Sequence

from yolograft.cli.terminal import say
from yolograft.data.records import Finding


def say_findings(findings: Sequence[Finding]) -> None:
    """One line a finding: code, place, message, action."""
    for item in findings:
        place = f"{item.file}:{item.line}" if item.line else item.file
        say(f"{item.code} {place}: {item.message} ({item.action})")
