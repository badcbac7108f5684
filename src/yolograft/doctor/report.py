"""What an examination found: one row a check, in two languages.

A check answers with a `Finding`, a status and the key of a sentence; the sentence itself stands in a
wording table, so that English and Chinese say the same and a program can rely on the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from yolograft.doctor.wording import FIXES, NAMES, REASONS, STATUSES

Status = Literal["pass", "warn", "fail", "skipped"]
Language = Literal["en", "zh"]
LONGEST = 240


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one check: ``key`` names the sentence, ``values`` fill it."""

    status: Status
    key: str
    values: Mapping[str, object] = field(default_factory=dict)


def passed(key: str = "fine", **values: object) -> Finding:
    """The property holds."""
    return Finding("pass", key, values)


def warned(key: str, **values: object) -> Finding:
    """Worth knowing; nothing stops because of it."""
    return Finding("warn", key, values)


def failed(key: str, **values: object) -> Finding:
    """The property does not hold."""
    return Finding("fail", key, values)


def skipped(key: str, **values: object) -> Finding:
    """The property could not be looked at here."""
    return Finding("skipped", key, values)


@dataclass(frozen=True, slots=True)
class Row:
    """One check and what it found. name: stable, for programs; ``title`` is for people."""

    name: str
    finding: Finding

    @property
    def status(self) -> Status:
        """``pass``, ``warn``, ``fail`` or ``skipped``."""
        return self.finding.status

    @property
    def key(self) -> str:
        """The stable key of the reason."""
        return self.finding.key

    def title(self, lang: Language = "en") -> str:
        """The check in words."""
        return NAMES[self.name][lang == "zh"]

    def verdict(self, lang: Language = "en") -> str:
        """The status in words."""
        return STATUSES[self.status][lang == "zh"]

    def reason(self, lang: Language = "en") -> str:
        """What was found, in one line."""
        return _fill(REASONS[self.key][lang == "zh"], self.finding.values)

    def fix(self, lang: Language = "en") -> str:
        """What to do about it, in one line; empty where nothing is to be done."""
        if self.status == "pass":
            return ""
        return _fill(FIXES.get(self.key, ("", ""))[lang == "zh"], self.finding.values)


def _fill(sentence: str, values: Mapping[str, object]) -> str:
    line = " ".join(sentence.format_map(values).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


@dataclass(frozen=True, slots=True)
class Report:
    """All rows of one examination. subject: the module as it was named, or the machine."""

    subject: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """No check failed. Checks that could not be made here do not count against it."""
        return not self.failures

    @property
    def failures(self) -> tuple[Row, ...]:
        """The rows that failed."""
        return tuple(row for row in self.rows if row.status == "fail")

    def row(self, name: str) -> Row:
        """The row of one check.

        Raises:
            KeyError: the check was not made.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def text(self, lang: Language = "en") -> str:
        """One line a row: check, result, reason and, where something is to be done, the fix."""
        lines = [self.subject]
        for row in self.rows:
            fix = row.fix(lang)
            line = f"{row.verdict(lang):8}{row.title(lang)}: {row.reason(lang)}"
            lines.append(f"{line} -> {fix}" if fix else line)
        return "\n".join(lines)

    def as_dict(self, lang: Language = "en") -> dict[str, object]:
        """The report as plain data for JSON."""
        rows = [
            {
                "check": row.name,
                "status": row.status,
                "key": row.key,
                "reason": row.reason(lang),
                "fix": row.fix(lang),
            }
            for row in self.rows
        ]
        return {"subject": self.subject, "passed": self.passed, "checks": rows}
