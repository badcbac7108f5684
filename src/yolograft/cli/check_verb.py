"""``yolograft check FILE.yaml``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from yolograft.cli.options import Output, Texts
from yolograft.cli.terminal import plain_table, print_json, say

if TYPE_CHECKING:
    from yolograft.doctor.index_check import IndexCheck

Lang = Literal["en", "zh"]
HEADS = {
    "en": ("row", "line", "module", "reads", "stands for", "findings"),
    "zh": ("行号", "文件行", "模块", "读取", "对应", "发现"),
}
OWN = {"en": "your own", "zh": "自己的"}
NOTE = {"en": "note ", "zh": "提示 "}
SUMS = {
    "en": "{name}, scale {scale}: {rows} rows beside {stock}, {own} of your own; "
    "{bad} to change, {notes} noted",
    "zh": "{name}，规模 {scale}：共 {rows} 行，与 {stock} 相比有 {own} 行是自己的；"
    "需修改 {bad} 处，提示 {notes} 处",
}
CLEAN = {"en": "nothing to change", "zh": "无需修改"}
SITES = {"en": "sites: {sites}", "zh": "嫁接位置：{sites}"}
WROTE = {"en": "wrote {file}: {left} to change", "zh": "已写入 {file}：仍需修改 {left} 处"}
# Why no fixed file was written, by reason.
NOTHING = {
    "clean": {
        "en": "nothing written: there is nothing to fix here",
        "zh": "未写文件：没有可以修复的内容",
    },
    "far": {
        "en": "nothing written: too little of a stock graph is there to say what was meant",
        "zh": "未写文件：与标准结构相差太远，无法判断原意",
    },
    "head": {
        "en": "nothing written: the file ends in a head of another task than detection",
        "zh": "未写文件：末尾是其他任务的头，不是检测头",
    },
    "style": {
        "en": "nothing written: backbone, head and the other keys have to start a line each, without braces",
        "zh": "未写文件：backbone、head 等键须各自单独起行，且不能用花括号",
    },
    "worse": {
        "en": "nothing written: the mended rows would have findings that yours have not",
        "zh": "未写文件：修复后的内容会出现原文件没有的问题",
    },
}


def check_(
    file: Annotated[Path, Parameter(help="Model file in the dialect of YOLOv5 or YOLOv8.")],
    /,
    *,
    code: Texts | None = None,
    scale: str = "",
    fix: Annotated[bool, Parameter(negative="")] = False,
    output: Output | None = None,
) -> int:
    """Find what is wrong in a model file: wiring, arguments, modules.

    Exit code 0 when nothing has to change, 2 otherwise. Nothing in the file is evaluated.

    Parameters
    ----------
    code
        File with a class of your own that the model file names; it runs because it is named here.
    scale
        Scale of the file to read it with.
    fix
        Write the nearest stock graph with your own rows beside the file, as NAME.fixed.yaml.
    """
    from yolograft.doctor.index_check import check_file
    from yolograft.models.modelfile import split_model

    output = output or Output()
    checked = check_file(file, code=code or [], scale=scale)
    written = _fix(checked, split_model(str(file))[0], code or []) if fix else None
    if output.json:
        print_json(_as_dict(checked, output.lang) | (written or {}))
    else:
        _print(checked, output.lang)
        if written is not None:
            _print_fix(written, output.lang)
    return 0 if checked.clean else 2


def _fix(checked: IndexCheck, file: Path, code: Sequence[str]) -> dict[str, Any]:
    """Write the fixed file beside the file and check it in turn; one with new findings is not written."""
    from yolograft.doctor.index_check import check_text, fixed_text, same_form, unfixable
    from yolograft.graph.lint.mend_text import fixed_path, unified

    text = fixed_text(checked)
    if not checked.clean and (reason := unfixable(checked)):
        return _not_fixed(reason)
    if checked.clean or text == same_form(checked):
        return _not_fixed("clean")
    target = fixed_path(file)
    after = check_text(text, name=target.name, code=code, scale=checked.scale)
    if _faults(after) - _faults(checked):
        return _not_fixed("worse")
    left = [finding.line_of(target.name) for finding in after.findings if not finding.note]
    with target.open("x", encoding="utf-8", newline="\n") as out:
        out.write(text)
    diff = unified(same_form(checked), text, old=file.name, new=target.name)
    return {"fixed": str(target), "diff": diff, "left": left}


def _not_fixed(reason: str) -> dict[str, Any]:
    return {"fixed": None, "reason": reason, "diff": [], "left": []}


def _faults(checked: IndexCheck) -> Counter[tuple[str, object]]:
    """What has to change, told by code and module: lines differ between a file and its fixed one."""
    faults = [finding for finding in checked.findings if not finding.note]
    return Counter((finding.code, finding.values.get("module")) for finding in faults)


def _as_dict(checked: IndexCheck, lang: Lang) -> dict[str, Any]:
    return {
        "file": checked.file.name,
        "scale": checked.scale,
        "family": checked.file.family,
        "stock": checked.nearest.stock.name,
        "clean": checked.clean,
        "findings": [finding.as_dict(lang) for finding in checked.findings],
        "rows": [_row(checked, index) for index in range(len(checked.file.rows))],
        "sites": checked.sites,
    }


def _row(checked: IndexCheck, index: int) -> dict[str, Any]:
    row, place = checked.file.rows[index], checked.lint.line.places[index]
    stands_for = None if place is None else checked.nearest.stock.layers[place].name
    return {
        **{"row": index, "line": row.line, "module": row.module, "reads": list(row.inputs)},
        **{"stands_for": stands_for, "stock_row": place},
    }


def _print(checked: IndexCheck, lang: Lang) -> None:
    codes: dict[int, list[str]] = {}
    for finding in checked.findings:
        codes.setdefault(finding.line, []).append(finding.code)
    rows = []
    for index in range(len(checked.file.rows)):
        row = _row(checked, index)
        reads = ", ".join("image" if i < 0 else str(i) for i in row["reads"])
        found = " ".join(codes.get(row["line"], []))
        rows.append((index, row["line"], row["module"], reads, row["stands_for"] or f"+ {OWN[lang]}", found))
    plain_table(HEADS[lang], rows)
    for finding in checked.findings:
        say((NOTE[lang] if finding.note else "") + finding.line_of(checked.file.name, lang))
    bad = sum(not finding.note for finding in checked.findings)
    words = {
        **{"name": checked.file.name, "scale": checked.scale or "-", "rows": len(rows), "bad": bad},
        **{"stock": checked.nearest.stock.name, "notes": len(checked.findings) - bad},
        "own": sum(place is None for place in checked.lint.line.places),
    }
    say(SUMS[lang].format(**words))
    if checked.clean:
        say(CLEAN[lang])
        say(SITES[lang].format(sites=", ".join(f"{site} {row}" for site, row in checked.sites.items())))


def _print_fix(written: dict[str, Any], lang: Lang) -> None:
    if written["fixed"] is None:
        say(NOTHING[written["reason"]][lang])
        return
    for line in written["diff"]:
        say(line)
    say(WROTE[lang].format(file=written["fixed"], left=len(written["left"])))
    for line in written["left"]:
        say(line)
