"""Write docs/errors.md and docs/errors.zh.md: every message code, what it means and what to do.

    python tools/message_pages.py            both pages
    python tools/message_pages.py --check    say which of them is out of date; 1 if any

The source is docs/messages/*.yaml, one file a group, English and Chinese side by side. What is done about a
finding in a dataset is not written there: it comes from ``yolograft.data.findings``, which readers act on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from generated import ROOT, command_line, differing
from ruamel.yaml import YAML

from yolograft.data.findings import FINDINGS

Lang = Literal["en", "zh"]
SOURCE = ROOT / "docs" / "messages"
PAGES: dict[Lang, Path] = {"en": Path("docs/errors.md"), "zh": Path("docs/errors.zh.md")}
# The order on the page; also the order in which a first-time user meets them.
GROUPS = (
    "commands",
    "expressions",
    "index-files",
    "index-findings",
    "modules",
    "data",
    "findings",
    "runs",
    "weights",
    "studies",
    "machine",
)
# Faults that give no error elsewhere, or one that names no cause. Each has an example.
FIRST = ("YG205", "YG420", "YG241", "YG706", "YG309")
PARTS = {"title", "why", "fix"}
_BETWEEN_CJK = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])")

ACTIONS: dict[str, dict[Lang, str]] = {
    "kept": {"en": "kept", "zh": "保留"},
    "corrected": {"en": "corrected", "zh": "修正"},
    "dropped": {"en": "dropped", "zh": "丢弃"},
}
WORDS: dict[str, dict[Lang, str]] = {
    "title": {"en": "Messages", "zh": "错误信息"},
    "other": {"en": "[简体中文](errors.zh.md)", "zh": "[English](errors.md)"},
    "intro": {
        "en": "Whatever yolograft refuses or finds, it says in one line: a stable code, the place (a file "
        "and line, a layer, a device), the cause, and after the arrow what to do. The exit code is 2 when "
        "the input has to change, 3 when the machine is in the way, 130 or 143 after a signal. `--debug` "
        "shows the whole traceback.",
        "zh": "yolograft 拒绝或发现的问题都用一行说清：固定的代码、位置（文件和行号、层名或设备）、原因，"
        "箭头之后是处理办法。退出码 2 表示需要修改输入，3 表示机器环境有问题，130 或 143 表示收到信号而中断。"
        "加 `--debug` 可看到完整的调用栈。",
    },
    "first": {"en": "Five that cost people days", "zh": "最耗时间的五个问题"},
    "first note": {
        "en": "Elsewhere these give no message at all, or one that names no cause.",
        "zh": "在别处，它们要么毫无提示，要么报错不说原因。",
    },
    "code": {"en": "code", "zh": "代码"},
    "message": {"en": "message", "zh": "含义"},
    "done": {"en": "what is done", "zh": "处理"},
    "fix": {"en": "**What to do:** ", "zh": "**怎么办**："},
    "written": {
        "en": "Written by `tools/message_pages.py` from `docs/messages/`; do not edit.",
        "zh": "本页由 `tools/message_pages.py` 根据 `docs/messages/` 生成，请勿手改。",
    },
}


@dataclass(frozen=True, slots=True)
class Words:
    """One message in one language."""

    title: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Message:
    """One code. example: a line as it was printed, empty where none is shown."""

    code: str
    words: Mapping[Lang, Words]
    example: str = ""

    def action(self, lang: Lang) -> str:
        """What is done about a finding; empty for an error."""
        return ACTIONS[FINDINGS[self.code][0]][lang] if self.code in FINDINGS else ""


@dataclass(frozen=True, slots=True)
class Group:
    """The messages of one file."""

    title: Mapping[Lang, str]
    messages: tuple[Message, ...]


def read_groups(source: Path = SOURCE) -> tuple[Group, ...]:
    """Every group in the order of the page.

    Raises:
        ValueError: a file without a place in the order, a language or part missing, or a code twice.
    """
    if {path.stem for path in source.glob("*.yaml")} != set(GROUPS):
        raise ValueError(f"{source} must hold exactly {', '.join(GROUPS)}")
    groups = tuple(_group(source / f"{name}.yaml") for name in GROUPS)
    codes = [message.code for group in groups for message in group.messages]
    if len(set(codes)) != len(codes):
        raise ValueError(f"a code stands twice: {', '.join(c for c in codes if codes.count(c) > 1)}")
    return groups


def _group(path: Path) -> Group:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    messages = tuple(_message(code, entry) for code, entry in document["messages"].items())
    return Group({"en": document["title"]["en"], "zh": document["title"]["zh"]}, messages)


def _message(code: str, entry: dict[str, Any]) -> Message:
    if entry.keys() - {"example"} != PAGES.keys() or any(entry[lang].keys() != PARTS for lang in PAGES):
        raise ValueError(f"{code} needs en and zh, each with {', '.join(sorted(PARTS))}")
    words: dict[Lang, Words] = {
        lang: Words(**{part: _text(entry[lang][part]) for part in PARTS}) for lang in PAGES
    }
    if any(not text for item in words.values() for text in (item.title, item.why, item.fix)):
        raise ValueError(f"{code} has an empty text")
    return Message(code, words, _text(entry.get("example", "")))


def _text(text: str) -> str:
    """One line; YAML joins lines by a space, which Chinese does not use."""
    return _BETWEEN_CJK.sub("", " ".join(str(text).split()))


def _entry(message: Message, lang: Lang) -> Iterator[str]:
    words, action = message.words[lang], message.action(lang)
    yield f"### {message.code}"
    yield f"**{words.title}**" + (f" · {WORDS['done'][lang]}: {action}" if action else "")
    yield words.why
    if message.example:
        yield f"```\n{message.example}\n```"
    yield WORDS["fix"][lang] + words.fix


def _contents(messages: Sequence[Message], lang: Lang) -> str:
    """A table of a group's codes; findings have a column for what is done."""
    heads = [WORDS["code"][lang], WORDS["message"][lang]]
    rows = [[f"[{m.code}](#{m.code.lower()})", m.words[lang].title, m.action(lang)] for m in messages]
    if any(row[2] for row in rows):
        heads.append(WORDS["done"][lang])
    marks = ["---"] * len(heads)
    return "\n".join(f"| {' | '.join(row[: len(heads)])} |" for row in (heads, marks, *rows))


def _first(groups: Sequence[Group], lang: Lang) -> Iterator[str]:
    by_code = {message.code: message for group in groups for message in group.messages}
    yield f"## {WORDS['first'][lang]}"
    yield WORDS["first note"][lang]
    for code in FIRST:
        words = by_code[code].words[lang]
        yield f"[{code}](#{code.lower()}) **{words.title}**"
        yield words.why
        yield f"```\n{by_code[code].example}\n```"


def page(groups: Sequence[Group], lang: Lang) -> str:
    """The page in one language."""
    parts = [f"# {WORDS['title'][lang]}", WORDS["other"][lang], WORDS["intro"][lang], *_first(groups, lang)]
    for group in groups:
        parts += [f"## {group.title[lang]}", _contents(group.messages, lang)]
        parts += [part for message in group.messages for part in _entry(message, lang)]
    return "\n\n".join([*parts, WORDS["written"][lang]]) + "\n"


def documents() -> dict[Path, str]:
    """Every file this tool writes, relative to the root, with its text."""
    groups = read_groups()
    return {file: page(groups, lang) for lang, file in PAGES.items()}


def out_of_date(root: Path) -> list[str]:
    """The pages below ``root`` that are missing or differ from their source."""
    return differing(root, documents())


def main() -> int:
    """Reads the command line; 1 when ``--check`` finds a difference."""
    return command_line("message pages", documents, out_of_date=out_of_date)


if __name__ == "__main__":
    raise SystemExit(main())
