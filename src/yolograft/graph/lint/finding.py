"""One finding in an index file: a code, a line, and a sentence in two languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from yolograft.errors import MAX_LINE
from yolograft.graph.lint.words import SENTENCES, WHY

Language = Literal["en", "zh"]
_SHORTEST = 40


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong in one place.

    code: of the message. key: names the sentence, ``values`` fill it. line: in the file, from 1; 0 for the
    file as a whole. note: worth knowing, nothing has to change.
    """

    code: str
    key: str
    line: int
    values: Mapping[str, object] = field(default_factory=dict)
    note: bool = False

    def what(self, lang: Language = "en") -> str:
        """What was found."""
        return _filled(SENTENCES[self.key].what[lang == "zh"], self.values)

    def why(self, lang: Language = "en") -> str:
        """Why it matters."""
        own = SENTENCES[self.key].why
        return _filled((own or WHY[self.code])[lang == "zh"], self.values)

    def fix(self, lang: Language = "en") -> str:
        """What to do about it."""
        return _filled(SENTENCES[self.key].fix[lang == "zh"], self.values)

    def line_of(self, file: str, lang: Language = "en") -> str:
        """The whole finding as one line of at most 240 characters; what was found is shortened first."""
        place = f"{file}:{self.line}" if self.line else file
        what, why, fix = self.what(lang), self.why(lang), self.fix(lang)
        stop = "：" if lang == "zh" else ": "
        room = MAX_LINE - len(f"{self.code} {place}: {stop}{why} -> {fix}")
        if len(what) > room:
            what = what[: max(room, _SHORTEST) - 3] + "..."
        return f"{self.code} {place}: {what}{stop}{why} -> {fix}"[:MAX_LINE]

    def as_dict(self, lang: Language = "en") -> dict[str, object]:
        """The finding as plain data for JSON."""
        texts = {"what": self.what(lang), "why": self.why(lang), "fix": self.fix(lang)}
        return {"code": self.code, "key": self.key, "line": self.line, "note": self.note, **texts}


def _filled(sentence: str, values: Mapping[str, object]) -> str:
    return " ".join(sentence.format_map(values).split())


def listed(items: Sequence[object]) -> str:
    """``16, 19, 22``."""
    return ", ".join(str(item) for item in items)
