"""BibTeX of what a study builds on: the papers of its grafted modules and of its detectors, from the catalog.

A row of the catalog names a paper as "Liu et al. 2021, NAM: Normalization-based Attention Module, arXiv
2111.12419"; what it does not say, such as first names, an entry here does not invent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from yolograft.distill.methods import METHODS
from yolograft.errors import YolograftError
from yolograft.graph.expr import DISTILL, MODULE, NECK, parse_graft
from yolograft.graph.necks.table import NECKS
from yolograft.models.catalog import BY_NAME, ENTRIES
from yolograft.study.holes import rows, table, words_of
from yolograft.study.paper.latex import escaped

# The measure every verdict is in.
COCO = "Lin et al. 2014, Microsoft COCO: Common Objects in Context, arXiv 1405.0312"
TIDE = "Bolya et al. 2020, TIDE: A General Toolbox for Identifying Object Detection Errors, arXiv 2008.08115"
# Between two papers of one line.
AND = "; "
_PAPER = re.compile(
    r"(?P<who>[^\d]+?) (?P<year>\d{4}), (?P<title>.+?)(?:, (?P<where>(?:arXiv|ICML|CVPR|PMLR).*))?$"
)
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")


def bibtex(results: Mapping[str, Any]) -> str:
    """The entries of a study's papers, one each, sorted by key; what has no paper is named in a comment."""
    papers = {paper for paper in (*_of_grafts(results), *_of_detectors(results)) if paper}
    if any(table(arm).get("control") == "placebo" for arm in rows(results.get("arms"))):
        papers.add(paper_of("placebo"))
    papers |= {COCO} | ({TIDE} if results.get("where") else set())
    entries = sorted({entry for paper in papers if (entry := bibtex_of(paper))})
    unknown = [f"% no paper is known for {name}" for name in sorted(_without_paper(results))]
    return "\n\n".join([*entries, *unknown]) + "\n"


def bibtex_of(paper: str) -> str:
    """One entry from a line of the catalog; empty where the line is of another form.

    >>> print(bibtex_of("Misra et al. 2020, Rotate to Attend, arXiv 2010.03045"))
    @misc{misra2020rotate,
      author = {Misra and others},
      title = {{Rotate to Attend}},
      year = {2020},
      eprint = {2010.03045},
      archivePrefix = {arXiv}
    }
    """
    found = _PAPER.match(paper)
    if found is None:
        return ""
    who = found["who"].removesuffix(" et al.")
    authors = " and ".join(part.strip() for part in who.split(","))
    authors += " and others" if who != found["who"] else ""
    word = next(iter(re.findall(r"[a-z0-9]+", found["title"].lower())), "")
    key = f"{re.sub(r'[^a-z]', '', who.split(',')[0].lower())}{found['year']}{word}"
    fields = {"author": escaped(authors), "title": f"{{{escaped(found['title'])}}}", "year": found["year"]}
    where = found["where"] or ""
    if number := _ARXIV.search(where):
        fields |= {"eprint": number[1], "archivePrefix": "arXiv"}
    elif where:
        fields["note"] = escaped(where)
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@misc{{{key},\n{lines}\n}}"


def key_of(paper: str) -> str:
    """The key of a paper's entry; empty where it has none."""
    return bibtex_of(paper).partition("{")[2].partition(",")[0]


def keys_of_graft(expression: str) -> tuple[str, ...]:
    """The keys of the papers of an expression's own modules, each once."""
    papers = (paper_of(name, kind) for kind, name in _terms_of(expression))
    keys = (key_of(paper) for line in papers for paper in line.split(AND))
    return tuple(dict.fromkeys(key for key in keys if key))


def _grafted(results: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Kind and name of what a study's grafts name, controls apart, each once."""
    found: dict[tuple[str, str], None] = {}
    for arm in map(table, rows(results.get("arms"))):
        if not arm.get("control"):
            found |= dict.fromkeys(_terms_of(words_of(arm.get("expression"))))
    return tuple(found)


def _terms_of(expression: str) -> list[tuple[str, str]]:
    try:
        return [(term.kind, term.ref.module) for term in parse_graft(expression).terms] if expression else []
    except YolograftError:
        return []


def paper_of(name: str, kind: str = MODULE) -> str:
    """The line on the paper of a module, a neck or a method of distillation; empty where there is none."""
    entry = BY_NAME.get(name) if kind == MODULE else None
    known = {NECK: NECKS, DISTILL: METHODS}.get(kind, ())
    found = entry or next((row for row in known if row.name == name.lower()), None)
    return found.paper if found else ""


def _of_grafts(results: Mapping[str, Any]) -> Iterable[str]:
    papers = (paper_of(name, kind) for kind, name in _grafted(results))
    return (paper for line in papers for paper in line.split(AND))


def _of_detectors(results: Mapping[str, Any]) -> Iterable[str]:
    families = {words_of(results.get("family"))}
    families |= {
        words_of(name).rpartition("-")[0] or words_of(name)[:-1] for name in rows(results.get("models"))
    }
    return (
        entry.paper
        for entry in ENTRIES
        if entry.kind == "head" and entry.name.removesuffix("_head") in families
    )


def _without_paper(results: Mapping[str, Any]) -> set[str]:
    papers = {(kind, name): paper_of(name, kind) for kind, name in _grafted(results)}
    return {
        name if kind == MODULE else f"{kind}:{name}" for (kind, name), paper in papers.items() if not paper
    }
