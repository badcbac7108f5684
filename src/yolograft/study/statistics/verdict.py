"""The word of a verdict, the sentence around it, and what is known where there is none.

Sentences come in English, which `results.json` keeps, and Chinese; both say the same `Evidence`.
"""

from __future__ import annotations

from yolograft.study.statistics import verdict_en, verdict_zh
from yolograft.study.statistics.evidence import Evidence, Verdict, verdict_of

LANGUAGES = {"en": verdict_en, "zh": verdict_zh}


def judge(evidence: Evidence, *, lang: str = "en") -> tuple[Verdict, str, str]:
    """The verdict word, the full sentence, and what is known (empty for ``helps`` and ``hurts``).

    The word is one of `Verdict` whatever the language of the sentence: ``en`` or ``zh``.
    """
    said, language = verdict_of(evidence), LANGUAGES[lang]
    known = "" if said.word in ("helps", "hurts") else language.known(evidence)
    return said.word, language.sentence(evidence, said), known
