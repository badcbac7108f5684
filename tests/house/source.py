"""The source of a package as data: parsed, named, never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "yolograft"


@dataclass(frozen=True)
class Import:
    """One imported name: the module it stands in, what it is called here, and whether it runs on import."""

    module: str
    name: str
    bound: str
    line: int
    on_import: bool
    typing_only: bool

    @property
    def top(self) -> str:
        """The top-level package: `numpy` of `numpy.typing`."""
        return self.module.partition(".")[0]


class _Imports(ast.NodeVisitor):
    """Collects imports and knows whether it stands in a function or below `if TYPE_CHECKING`."""

    def __init__(self, package: str) -> None:
        self.package, self.found = package, list[Import]()
        self.depth, self.typing = 0, False

    def _add(self, module: str, name: str, bound: str, line: int) -> None:
        self.found.append(Import(module, name, bound, line, self.depth == 0 and not self.typing, self.typing))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, "", alias.asname or "", node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            parts = self.package.split(".")
            module = ".".join(part for part in [*parts[: len(parts) + 1 - node.level], module] if part)
        for alias in node.names:
            self._add(module, alias.name, alias.asname or alias.name, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in {"import_module", "__import__"} and node.args and isinstance(node.args[0], ast.Constant):
            self._add(str(node.args[0].value), "", "", node.lineno)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        outer = self.typing
        self.typing = outer or ast.unparse(node.test).endswith("TYPE_CHECKING")
        for child in node.body:
            self.visit(child)
        self.typing = outer
        for child in node.orelse:
            self.visit(child)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = visit_FunctionDef


@dataclass(frozen=True)
class Source:
    """One module: its dotted name, its text, and what can be read off both."""

    name: str
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        visitor = _Imports(self.name if self.is_package else self.name.rpartition(".")[0])
        visitor.visit(self.tree)
        return tuple(visitor.found)

    @cached_property
    def bound(self) -> dict[str, str]:
        """The full name behind every imported name: `np` is `numpy`, `Path` is `pathlib.Path`."""
        return {
            found.bound: f"{found.module}.{found.name}".rstrip(".") for found in self.imports if found.bound
        }

    def full_name(self, node: ast.expr) -> str:
        """The dotted name an expression stands for, read through the imports."""
        first, dot, rest = ast.unparse(node).partition(".")
        return self.bound.get(first, first) + dot + rest

    @property
    def room(self) -> str:
        """The room a module stands in; the facade (`yolograft` itself) has none."""
        parts = self.name.split(".")
        if self.name == f"{PACKAGE}.__main__":
            return "cli"
        return parts[1] if len(parts) > 1 else ""


@dataclass(frozen=True)
class Breach:
    """One place where a rule does not hold."""

    source: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.reason}"


class House:
    """All modules of a package by dotted name."""

    def __init__(self, sources: Iterator[Source]) -> None:
        self.sources = {source.name: source for source in sources}

    def __iter__(self) -> Iterator[Source]:
        return iter(self.sources.values())

    @classmethod
    def read(cls, root: Path) -> House:
        """The package that lies in the folder `root`."""
        return cls(cls._files(root))

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> House:
        """A house made of texts: what a planted breach is written in."""
        packages = {name.rpartition(".")[0] for name in texts}
        return cls(Source(name, text, name in packages) for name, text in texts.items())

    @staticmethod
    def _files(root: Path) -> Iterator[Source]:
        for path in sorted(root.rglob("*.py")):
            parts = [root.name, *path.relative_to(root).with_suffix("").parts]
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            yield Source(name, path.read_text(encoding="utf-8"), is_package)

    def module_of(self, found: Import) -> str:
        """The module that an import reaches: `from yolograft import errors` reaches `yolograft.errors`."""
        inner = f"{found.module}.{found.name}"
        return inner if inner in self.sources else found.module
