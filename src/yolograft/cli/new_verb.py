"""``yolograft new MyAtt``."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from pathlib import Path
from string import Template

from yolograft.cli.options import Output
from yolograft.cli.terminal import print_json, say
from yolograft.errors import ModuleError, SpecError
from yolograft.graph.expr import parse_graft

TEMPLATES = Path(__file__).parent / "templates"
NEXT = {
    "en": ("examine it", "see it in a detector", "compare it with the baseline", "test it"),
    "zh": ("体检", "看它在检测器里的样子", "与基线对比", "跑测试"),
}
INSTALLED = frozenset({"site-packages", "dist-packages"})
GO = {"en": "go there first", "zh": "先进入该目录"}
WRITTEN = {"en": "written: {files}", "zh": "已写入：{files}"}


def new_(name: str, /, *, folder: Path = Path(), output: Output | None = None) -> None:
    """Write a module file of your own, with its test.

    Parameters
    ----------
    name
        Name of the class, e.g. MyAtt; the files are my_att.py and test_my_att.py.
    folder
        Where the two files go; nothing there is ever overwritten.
    """
    stem = file_stem(name)
    paths = {"module": folder / f"{stem}.py", "test": folder / f"test_{stem}.py"}
    for path in paths.values():
        if path.exists():
            raise ModuleError(
                "YG197",
                "there already, and never overwritten",
                where=str(path),
                fix="another name or --folder",
            )
    refuse_shadow(stem)
    folder.mkdir(parents=True, exist_ok=True)
    words = {"Class": name, "file": paths["module"].name, "test": paths["test"].name}
    for kind, path in paths.items():
        text = Template((TEMPLATES / f"{kind}.txt").read_text(encoding="utf-8")).substitute(words)
        # Exclusive: a file that appeared in between is not overwritten either.
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    lang = output.lang if output else "en"
    commands = next_commands(name, paths["module"], paths["test"])
    if output and output.json:
        print_json({"files": [str(path) for path in paths.values()], "next": commands})
        return
    say(WRITTEN[lang].format(files=", ".join(str(path) for path in paths.values())))
    purposes = NEXT[lang] if len(commands) == len(NEXT[lang]) else (GO[lang], *NEXT[lang])
    for purpose, command in zip(purposes, commands, strict=True):
        say(f"{purpose}: {command}")


def file_stem(name: str) -> str:
    """``MyAtt`` -> ``my_att``, ``SEBlock2D`` -> ``se_block2d``.

    Raises:
        ModuleError: the name is no class name that a graft expression can hold (YG196).
    """
    if not re.fullmatch(r"[A-Z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        raise ModuleError(
            "YG196", f"'{name}' is no class name", fix="letters and digits, a capital first: MyAtt"
        )
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[0-9])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"_+", "_", words).strip("_").lower()


def refuse_shadow(stem: str) -> None:
    """A file ``torch.py`` would be imported instead of the package by whatever runs beside it.

    Raises:
        ModuleError: the standard library, an installed package or pytest owns that file name (YG196).
    """
    owned = stem in sys.stdlib_module_names or stem == "conftest"
    if not owned and (found := importlib.util.find_spec(stem)) is not None and found.origin:
        # A single file elsewhere on the path is somebody's own, and hides nothing.
        installed = INSTALLED & set(Path(found.origin).parts)
        owned = bool(installed) or found.submodule_search_locations is not None
    if owned:
        cause = f"{stem}.py would hide the module '{stem}' of the same name"
        raise ModuleError("YG196", cause, fix=f"another class name: My{stem.title().replace('_', '')}")


def next_commands(name: str, module: Path, test: Path) -> list[str]:
    """What to run next, as typed in the current folder; expressions in double quotes for every shell.

    A folder whose name an expression cannot hold (``+``, ``=``, ``@``, ``:``) is gone into first.
    """
    place, first = f"{module.as_posix()}::{name}", []
    if not _readable(place):
        first, place = [f'cd "{module.parent.as_posix()}"'], f"{module.name}::{name}"
        test = Path(test.name)
    return [
        *first,
        f'yolograft doctor "{place}"',
        f'yolograft show yolov8n --graft "{place}@neck.p3"',
        f'yolograft compare yolov8n --data shapes --graft "{place}@neck.p3"',
        f'python -m pytest "{test.as_posix()}"',
    ]


def _readable(place: str) -> bool:
    """Whether a graft expression with this reference means this reference."""
    try:
        (term,) = parse_graft(f"{place}@neck.p3").terms
    except (SpecError, ValueError):
        return False
    return term.ref.module == place
