"""``yolograft doctor [MODULE]``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from yolograft.cli.options import Output
from yolograft.cli.terminal import plain_table, print_json, say

if TYPE_CHECKING:
    from yolograft.doctor.report import Language, Report

HEADS = {"en": ("check", "result", "reason"), "zh": ("检查项", "结果", "说明")}
SUMS = {
    "en": "{good} passed, {care} with a warning, {bad} failed, {open} not looked at",
    "zh": "通过 {good} 项，注意 {care} 项，失败 {bad} 项，未检查 {open} 项",
}
FIXES = {"en": "what to do", "zh": "怎么改"}


def doctor_(
    module: Annotated[str | None, Parameter(help="my_att.py::MyAtt, a module name, or nothing.")] = None,
    /,
    *,
    channels: Annotated[int, Parameter(validator=Number(gte=1))] = 64,
    deep: bool = False,
    output: Output | None = None,
) -> int:
    """Examine a module of your own, or, without one, this machine.

    Exit code 0 when nothing failed, 2 when the module did, 3 when the machine did.

    Parameters
    ----------
    channels
        Channels of the map the module is examined at.
    deep
        Let torch.compile generate code too; takes minutes on few cores.
    """
    lang = output.lang if output else "en"
    if module is None:
        from yolograft.doctor.environment import check_environment

        report = check_environment()
    else:
        from yolograft.doctor.examine import check_module

        report = check_module(module, channels=channels, deep=deep)
    if output and output.json:
        print_json(report.as_dict(lang))
    else:
        _print(report, lang)
    if report.passed:
        return 0
    return 3 if module is None else 2


def _print(report: Report, lang: Language) -> None:
    plain_table(HEADS[lang], [(row.title(lang), row.verdict(lang), row.reason(lang)) for row in report.rows])
    count = Counter(row.status for row in report.rows)
    words = {"good": count["pass"], "care": count["warn"], "bad": count["fail"], "open": count["skipped"]}
    say(f"{report.subject}: " + SUMS[lang].format(**words))
    for row in report.rows:
        if fix := row.fix(lang):
            say(f"{FIXES[lang]} ({row.title(lang)}): {fix}")
