"""What no module does: run text, unpickle, start a shell, unpack blindly, guess an encoding."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from house.source import PACKAGE, Breach, House, Source

RUNS_TEXT = frozenset({"eval", "exec", "globals", "__import__"})
UNPICKLES = frozenset({"pickle", "cPickle", "_pickle", "marshal", "dill", "cloudpickle", "shelve", "joblib"})
CALLS = {
    "compile": "compiles text",
    "builtins.eval": "runs text",
    "builtins.exec": "runs text",
    "os.system": "starts a shell",
    "os.popen": "starts a shell",
    "subprocess.getoutput": "starts a shell",
    "subprocess.getstatusoutput": "starts a shell",
    "yaml.load": "builds whatever the file names",
    "yaml.unsafe_load": "builds whatever the file names",
    "torch.load": "unpickles",
    "torch.jit.load": "runs what the file holds",
    "torch.hub.load": "runs what the repository holds",
    "pandas.read_pickle": "unpickles",
}
FLAGS = {
    "allow_pickle": "unpickles",
    "shell": "starts a shell",
    "trust_remote_code": "runs what the file holds",
}
UNPACKS = frozenset({"extractall", "unpack_archive"})
# `open` of these opens no text file.
NOT_TEXT = frozenset({"Image", "os", "webbrowser", "zipfile", "tarfile", "archive", "opener"})


def _calls(source: Source) -> Iterator[tuple[ast.Call, str]]:
    for node in source.nodes:
        if isinstance(node, ast.Call):
            yield node, source.full_name(node.func)


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def no_text_is_run(house: House) -> Iterator[Breach]:
    """No eval, exec, compile, globals; `model.eval()` and `re.compile()` are other things."""
    for source in house:
        for node in source.nodes:
            if isinstance(node, ast.Name) and node.id in RUNS_TEXT:
                yield Breach(source.name, node.lineno, f"{node.id} runs or reaches whatever a text names")


def no_dangerous_call(house: House) -> Iterator[Breach]:
    """No call that unpickles, starts a shell, or builds what a file names, however it was imported."""
    for source in house:
        for call, name in _calls(source):
            if name in CALLS:
                yield Breach(source.name, call.lineno, f"{name} {CALLS[name]}")
            if name.rpartition(".")[2] in UNPACKS:
                yield Breach(source.name, call.lineno, f"{name} writes wherever the archive says")
            for keyword in call.keywords:
                if keyword.arg in FLAGS and not _is(keyword.value, False):
                    yield Breach(source.name, call.lineno, f"{keyword.arg}= {FLAGS[keyword.arg]}")


def no_pickle(house: House) -> Iterator[Breach]:
    """No module whose files run code when they are read."""
    for source in house:
        for found in source.imports:
            if found.top in UNPICKLES:
                yield Breach(source.name, found.line, f"imports {found.top}")


def no_star_import(house: House) -> Iterator[Breach]:
    """Every imported name is written out."""
    for source in house:
        for found in source.imports:
            if found.name == "*":
                yield Breach(source.name, found.line, f"imports everything from {found.module}")


def _mode(call: ast.Call, position: int) -> str:
    """The mode a file is opened with, `r` where none is given, empty where it is not written as text."""
    value = call.args[position] if len(call.args) > position else None
    for keyword in call.keywords:
        value = keyword.value if keyword.arg == "mode" else value
    if value is None:
        return "r"
    return str(value.value) if isinstance(value, ast.Constant) else ""


def _opens_text(call: ast.Call, name: str) -> bool:
    owner, _, last = name.rpartition(".")
    if last in {"read_text", "write_text"}:
        return bool(owner) and not owner.startswith(
            f"{PACKAGE}."
        )  # the method of a path, no function of ours
    if name in {"open", "io.open", "os.fdopen", "fdopen"}:
        return "b" not in _mode(call, 1)
    if last in {"NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"}:
        return "b" not in (
            _mode(call, 0) if call.args or any(k.arg == "mode" for k in call.keywords) else "b"
        )
    return last == "open" and owner.rpartition(".")[2] not in NOT_TEXT and "b" not in _mode(call, 0)


def encoding_is_named(house: House) -> Iterator[Breach]:
    """Text is read and written as UTF-8, whatever the machine's own encoding."""
    for source in house:
        for call, name in _calls(source):
            if not _opens_text(call, name):
                continue
            given = [keyword.value for keyword in call.keywords if keyword.arg == "encoding"]
            if not given:
                yield Breach(source.name, call.lineno, f"{name} without encoding=")
            elif isinstance(given[0], ast.Constant) and not str(given[0].value).startswith("utf-8"):
                yield Breach(source.name, call.lineno, f"{name} with encoding {given[0].value!r}")


RULES = (no_text_is_run, no_dangerous_call, no_pickle, no_star_import, encoding_is_named)
