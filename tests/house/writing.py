"""How a module is written: sizes, names, what runs on import, what inherits."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from house.source import PACKAGE, Breach, House, Source

FILE_LINES, FUNCTION_LINES, PAPER_LINES = 400, 60, 150
PAPER_ROOMS = frozenset({"attention", "fusion"})
DRAWERS = re.compile(r"^(misc|common|utils?|helpers?)$")
DRAWER_CLASS = re.compile(r"(Manager|Helpers?|Utils?|Misc|Common)$")
SHUNNED_NAMES = frozenset({"c1", "c2", "misc", "utils", "helpers"})
PICTOGRAM = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f]")

# Calls that make a value and touch nothing else; classes (CapWords) may be instantiated as well.
MAKES_A_VALUE = frozenset({
    "frozenset", "tuple", "set", "dict", "list", "range", "len", "sorted", "sum", "min", "max", "int",
    "float", "str", "bytes", "bool", "type", "zip", "enumerate", "re.compile", "logging.getLogger",
    "numpy.array", "numpy.arange", "numpy.linspace", "math.log", "math.sqrt",
})  # fmt: skip
VALUE_METHODS = frozenset({
    "split", "join", "format", "strip", "replace", "lower", "upper", "encode", "items", "keys", "values",
    "with_name",
})  # fmt: skip
CAP_WORDS = re.compile(r"^_?[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*$")
# Classes whose making is an act: they open, start or listen.
ACTS = frozenset(
    {"Popen", "Thread", "Process", "Pool", "Console", "ThreadPoolExecutor", "ProcessPoolExecutor"}
)


def file_sizes(house: House) -> Iterator[Breach]:
    """A file stays under 400 lines, a paper's file under 150."""
    for source in house:
        limit = PAPER_LINES if source.room in PAPER_ROOMS else FILE_LINES
        lines = len(source.text.splitlines())
        if lines >= limit:
            yield Breach(source.name, lines, f"{lines} lines (under {limit})")


def function_sizes(house: House) -> Iterator[Breach]:
    """A function stays under 60 lines."""
    for source in house:
        for node in source.nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines >= FUNCTION_LINES:
                    yield Breach(
                        source.name, node.lineno, f"{node.name}: {lines} lines (under {FUNCTION_LINES})"
                    )


def plain_names(house: House) -> Iterator[Breach]:
    """No drawer, no manager, no c1 and c2."""
    for source in house:
        if any(DRAWERS.match(part.strip("_")) for part in source.name.split(".")):
            yield Breach(source.name, 1, "a drawer, not a room: name what it is")
        for node in source.nodes:
            if isinstance(node, ast.ClassDef) and DRAWER_CLASS.search(node.name):
                yield Breach(source.name, node.lineno, f"class {node.name}: name what it does")
            name = node.arg if isinstance(node, ast.arg) else ""
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            if name in SHUNNED_NAMES:
                yield Breach(source.name, getattr(node, "lineno", 1), f"the name {name}")


def calm_text(house: House) -> Iterator[Breach]:
    """No pictograms in code, comments or messages."""
    for source in house:
        for number, line in enumerate(source.text.splitlines(), 1):
            if found := PICTOGRAM.search(line):
                yield Breach(source.name, number, f"a pictogram (U+{ord(found[0]):04X})")


def _acts(source: Source, value: ast.expr) -> Iterator[ast.Call]:
    """The calls in an expression that may do more than make a value; what a lambda holds runs later."""
    if isinstance(value, ast.Lambda):
        return
    if isinstance(value, ast.Call):
        name = source.full_name(value.func)
        last = name.rpartition(".")[2]
        harmless = name in MAKES_A_VALUE or last in VALUE_METHODS or CAP_WORDS.match(last)
        if last in ACTS or not harmless:
            yield value
    for child in ast.iter_child_nodes(value):
        if isinstance(child, ast.expr):
            yield from _acts(source, child)
        elif isinstance(child, (ast.keyword, ast.comprehension)):
            for part in ast.iter_child_nodes(child):
                if isinstance(part, ast.expr):
                    yield from _acts(source, part)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _effects(source: Source, body: Iterable[ast.stmt], *, in_class: bool = False) -> Iterator[Breach]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom, ast.Pass)):
            continue
        if _is_docstring(node):
            continue
        if isinstance(node, ast.ClassDef):
            yield from _effects(source, node.body, in_class=True)
        elif isinstance(node, ast.If):
            if "__main__" not in ast.unparse(node.test):
                yield from _effects(source, [*node.body, *node.orelse], in_class=in_class)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if not all(isinstance(target, (ast.Name, ast.Tuple)) for target in targets):
                yield Breach(source.name, node.lineno, "changes something else on import")
            # A class body may call `field(default_factory=...)` and its like: they describe the class.
            if node.value is not None and not in_class:
                for call in _acts(source, node.value):
                    yield Breach(source.name, call.lineno, f"calls {ast.unparse(call.func)} on import")
        else:
            yield Breach(source.name, node.lineno, f"a {type(node).__name__} that runs on import")


def quiet_import(house: House) -> Iterator[Breach]:
    """Importing a module defines names and does nothing else."""
    for source in house:
        yield from _effects(source, source.tree.body)


def _bases(source: Source, house: House) -> Iterator[tuple[ast.ClassDef, str, str]]:
    """(class, module, name) of every base that a class of `source` names."""
    for node in source.nodes:
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                plain = base.value if isinstance(base, ast.Subscript) else base
                module, _, name = source.full_name(plain).rpartition(".")
                yield node, module or source.name, name


def flat_classes(house: House) -> Iterator[Breach]:
    """No class of ours inherits from a class of ours; errors do."""
    defined = {
        (source.name, node.name)
        for source in house
        for node in source.nodes
        if isinstance(node, ast.ClassDef)
    }
    for source in house:
        if source.room == "errors":
            continue
        for node, module, name in _bases(source, house):
            ours = (module, name) in defined or (module.startswith(f"{PACKAGE}.") and module != source.name)
            if ours and module != f"{PACKAGE}.errors":
                yield Breach(source.name, node.lineno, f"{node.name} inherits from {name} of ours")


RULES = (file_sizes, function_sizes, plain_names, calm_text, quiet_import, flat_classes)
