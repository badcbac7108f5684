"""Tables as LaTeX: booktabs, three rules, no vertical lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from yolograft.study.paper.table import Cell, Head, PaperTable

FIRST_CJK = "\u2e80"  # the first of the CJK blocks
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "&": r"\&",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # \textquotedbl is in some encodings only.
    '"': r"\char34{}",
    # Signs that not every font of every engine has.
    "−": r"$-$",
    "+": r"$+$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "Δ": r"$\Delta$",
    "–": "--",
    "\u00a0": "~",
}


def escaped(text: str) -> str:
    """`text` so that LaTeX prints it as it is."""
    return "".join(_SPECIAL.get(c, c) for c in " ".join(text.split(" ")))


def document(tables: Sequence[PaperTable], *, lang: str) -> str:
    """The tables as ``table*`` floats (both columns of a page) to ``\\input`` into a paper.

    Packages: booktabs, amssymb for the check mark, T1 fonts; ctex where Chinese is in it, whatever `lang`:
    the name of a dataset or class is enough to stop pdfLaTeX.
    """
    body = "\n".join(_table(table) for table in tables)
    chinese = lang == "zh" or any(c >= FIRST_CJK for c in body)
    fonts = r"\usepackage{ctex}, compile with XeLaTeX" if chinese else r"\usepackage[T1]{fontenc}"
    return rf"% needs \usepackage{{booktabs,amssymb}} {fonts}" + f"\n{body}"


def paragraph(text: str, *, lang: str) -> str:
    """Paragraphs of plain text to ``\\input``; ``[key]`` of a citation becomes ``\\cite{key}``."""
    said = re.sub(r"\[([a-z]+\d{4}[a-z0-9]*)\]", r"\\cite{\1}", escaped(text).replace("\n ", "\n"))
    chinese = lang == "zh" or any(c >= FIRST_CJK for c in text)
    return ("% Chinese: \\usepackage{ctex}, compile with XeLaTeX\n" if chinese else "") + said + "\n"


def _table(table: PaperTable) -> str:
    columns = "".join("r" if head.numeric else "l" for head in table.heads)
    lines = [
        r"\begin{table*}[t]",
        r"\centering",
        rf"\caption{{{escaped(table.caption)}}}",
        rf"\label{{tab:{table.label}}}",
        r"\small",
        r"\setlength{\tabcolsep}{4pt}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        _line([_head(head) for head in table.heads]),
        r"\midrule",
        *(_line([_cell(cell) for cell in row]) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        "",
        r"\vspace{2pt}",
        rf"\parbox{{\textwidth}}{{\footnotesize {escaped(table.note)}}}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _head(head: Head) -> str:
    return escaped(head.text) + (rf"$_{{\mathrm{{{escaped(head.below)}}}}}$" if head.below else "")


def _cell(cell: Cell) -> str:
    if cell.mark:
        return r"$\checkmark$"
    if not cell.best:
        return _bracketed(escaped(cell.text))
    value, plus, sd = cell.text.partition(" ± ")
    return rf"\textbf{{{escaped(value)}}}{escaped(plus + sd)}"


def _bracketed(text: str) -> str:
    # After `\\` LaTeX reads a bracket as the height of the row.
    return "{}" + text if text.startswith("[") else text
