"""Who may import whom."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from house.source import PACKAGE, Breach, House, Import, Source

# Each row may import the rows above it; rooms in one row never import each other.
ORDER = (
    "errors",
    "types rng",
    "graph",
    "ops",
    "nn",
    "attention fusion",
    "families",
    "models",
    "doctor",
    "data",
    "metrics",
    "distill",
    "engine",
    "study",
    "export",
    "serve",
    "interop",
    "cli",
)
RANK = {room: rank for rank, row in enumerate(ORDER) for room in row.split()}
TORCH = frozenset({"torch", "torchvision", "timm", "lightning", "lightning_fabric", "safetensors.torch"})
PEERS = frozenset({"ultralytics", "yolov5", "yolox"})
MODULE_ROOMS = frozenset({"attention", "fusion"})
# Who may name a class of those rooms: themselves, a family's head, and the one table that lists them.
MAY_NAME_MODULES = MODULE_ROOMS | {"families", "catalog"}
# What stands in `families` without being a detector: shapes of what every family provides.
SHARED_BY_FAMILIES = frozenset({"criterion", "contract", "protocol"})


def own_imports(house: House, source: Source) -> Iterator[tuple[Import, str]]:
    """The imports of `source` that stay in the package, each with the module it reaches."""
    for found in source.imports:
        if found.top == PACKAGE:
            yield found, house.module_of(found)


def room_of(module: str) -> str:
    return Source(module, "").room


def one_way(house: House) -> Iterator[Breach]:
    """A room imports only rooms before it; nobody but the facade itself goes through the facade."""
    for source in house:
        if source.room and source.room not in RANK:
            yield Breach(source.name, 1, f"no such room: {source.room}")
        for found, module in own_imports(house, source):
            there = room_of(module)
            if source.name == PACKAGE or there == source.room:
                continue
            if not there:
                if found.name != "__version__":
                    yield Breach(source.name, found.line, "imports the facade; name the room")
            elif there not in RANK:
                yield Breach(source.name, found.line, f"no such room: {there}")
            elif RANK[there] >= RANK.get(source.room, -1):
                yield Breach(source.name, found.line, f"{source.room} imports {there}")


def no_circles(house: House) -> Iterator[Breach]:
    """No two files need each other, directly or round about, not even inside a function."""
    needs = {
        source.name: {module for _, module in own_imports(house, source)} - {PACKAGE, source.name}
        for source in house
        if source.name != PACKAGE
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        yield Breach(circle[0], 1, f"stands in a circle of imports: {' -> '.join(circle)}")


def loaded_with(house: House, start: str, *, lazy: bool) -> dict[str, tuple[str, int]]:
    """Every module that importing `start` imports, with the first place that asks for it.

    lazy: follow the imports inside the functions of `start` too.
    """
    seen: dict[str, tuple[str, int]] = {}
    queue = [(start, "", 0)]
    while queue:
        module, asker, line = queue.pop()
        if module in seen or not module:
            continue
        seen[module] = (asker, line)
        queue.append((module.rpartition(".")[0], asker, line))
        if source := house.sources.get(module):
            for found in source.imports:
                if found.on_import or (lazy and module == start):
                    queue.append((house.module_of(found), module, found.line))
    return seen


def graph_is_pure(house: House) -> Iterator[Breach]:
    """`graph` never loads torch, neither itself nor through another module of ours."""
    for source in house:
        if source.room == "graph":
            for module, (asker, line) in loaded_with(house, source.name, lazy=True).items():
                if module in TORCH:
                    yield Breach(source.name, line, f"loads {module}, asked for by {asker}")
            for found in source.imports:
                if found.typing_only and found.top in TORCH:
                    yield Breach(source.name, found.line, f"names {found.top}")


def facade_is_light(house: House) -> Iterator[Breach]:
    """Importing the package or its command line loads no torch."""
    for start in (PACKAGE, f"{PACKAGE}.__main__", f"{PACKAGE}.cli"):
        for module, (asker, line) in loaded_with(house, start, lazy=False).items():
            if start in house.sources and module in TORCH:
                yield Breach(start, line, f"loads {module}, asked for by {asker}")


def family_of(module: str) -> str:
    """`yolov8` of `yolograft.families.yolov8` and of `yolograft.families.yolov8_loss`; else empty."""
    parts = module.split(".")
    stem = parts[2].partition("_")[0] if len(parts) > 2 and parts[1] == "families" else ""
    return "" if stem in SHARED_BY_FAMILIES else stem


def families_apart(house: House) -> Iterator[Breach]:
    """A family never imports another family, nor does what they share."""
    for source in house:
        if source.room == "families" and not source.is_package:
            for found, module in own_imports(house, source):
                if family_of(module) not in {"", family_of(source.name)}:
                    yield Breach(source.name, found.line, f"imports the family {family_of(module)}")


def catalog_names_modules(house: House) -> Iterator[Breach]:
    """Outside the rooms that define modules, only the catalog names their classes."""
    for source in house:
        where = "catalog" if source.name == f"{PACKAGE}.models.catalog" else source.room
        if where in MAY_NAME_MODULES:
            continue
        for found, module in own_imports(house, source):
            if room_of(module) in MODULE_ROOMS:
                yield Breach(source.name, found.line, f"names {module}; the catalog does that")


def peers_outside(house: House) -> Iterator[Breach]:
    """The packages we measure ourselves against are never imported, the adapter for them apart."""
    for source in house:
        for found in source.imports:
            if found.top in PEERS and source.room != "interop":
                yield Breach(source.name, found.line, f"imports {found.top}")


def declared(core: frozenset[str], extras: frozenset[str], standard: frozenset[str]):
    """The rule that every import is declared: the core's anywhere, an extra's inside a function only."""

    def imports_declared(house: House) -> Iterator[Breach]:
        """Every import is the standard library, ours or declared; an extra is imported where it is used."""
        for source in house:
            for found in source.imports:
                if found.top in standard | core | {PACKAGE, "__future__"}:
                    continue
                if found.top not in extras:
                    yield Breach(source.name, found.line, f"imports {found.top}, which nothing declares")
                elif found.on_import:
                    yield Breach(source.name, found.line, f"imports the extra {found.top} at module level")

    return imports_declared


RULES = (
    one_way,
    no_circles,
    graph_is_pure,
    facade_is_light,
    families_apart,
    catalog_names_modules,
    peers_outside,
)
