"""Lays a detector out on a grid, from its named layers alone: rows are strides, columns follow the flow.

Plumbing (strided convolutions, upsampling, concatenation) is folded into the edges. A graft that all of a
layer's consumers read is stacked under that layer, so that a grafted and a plain network keep one shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from yolograft.study.report.reading import Layer

PLUMBING_NAMES = frozenset({"up", "down", "cat"})
PLUMBING_MODULES = frozenset({"upsample", "concat"})
GROUPS = ("backbone", "neck", "head")


@dataclass(frozen=True, slots=True)
class Cell:
    """One place on the grid: a layer and the grafts stacked under it.

    row, last: first and last row it covers; they differ only for a head that reads several levels.
    group: index into `GROUPS`.
    """

    layer: Layer
    grafts: tuple[Layer, ...]
    row: int
    last: int
    column: int
    group: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Cells in flow order, edges as (source cell, target cell), and the stride of every row."""

    cells: tuple[Cell, ...]
    edges: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]

    def at(self, row: int, column: int) -> int | None:
        """Index of the cell that covers (row, column), else None."""
        for index, cell in enumerate(self.cells):
            if cell.column == column and cell.row <= row <= cell.last:
                return index
        return None


def is_plumbing(layer: Layer) -> bool:
    """Whether a layer only resizes or joins maps; one that brings new weights never counts as such."""
    if layer.module.lower() in PLUMBING_MODULES:
        return True
    return not layer.new and layer.name.rsplit(".", 1)[-1] in PLUMBING_NAMES


def lay_out(layers: Sequence[Layer]) -> Layout:
    """The grid of a network whose layers come in an order in which inputs precede their readers."""
    layers = list({layer.name: layer for layer in reversed(layers)}.values())[::-1]  # names are unique
    folded = _visible_inputs(layers)
    shown = [layer for layer in layers if layer.name in folded]
    owner = _owners(shown, folded)
    hosts = [layer for layer in shown if owner[layer.name] == layer.name]
    sources = {
        host.name: list(dict.fromkeys(owner[s] for s in folded[host.name] if owner[s] != host.name))
        for host in hosts
    }
    strides = _strides(hosts, sources)
    levels = tuple(sorted(set(strides.values())))
    grid = _place(hosts, sources, {name: levels.index(stride) for name, stride in strides.items()})
    index = {host.name: i for i, host in enumerate(hosts)}
    grafts: dict[str, list[Layer]] = {host.name: [] for host in hosts}
    for layer in shown:
        if owner[layer.name] != layer.name:
            grafts[owner[layer.name]].append(layer)
    cells = tuple(Cell(host, tuple(grafts[host.name]), *grid[host.name]) for host in hosts)
    edges = tuple((index[source], index[host.name]) for host in hosts for source in sources[host.name])
    return Layout(cells, edges, levels)


def _visible_inputs(layers: Sequence[Layer]) -> dict[str, list[str]]:
    reach: dict[str, list[str]] = {}
    visible: dict[str, list[str]] = {}
    for layer in layers:
        # Inputs that no earlier layer names, such as the image, end here.
        found = list(dict.fromkeys(s for i in layer.inputs for s in reach.get(i, [])))
        if is_plumbing(layer):
            reach[layer.name] = found
        else:
            visible[layer.name] = found
            reach[layer.name] = [layer.name]
    return visible


def _owners(shown: Sequence[Layer], folded: dict[str, list[str]]) -> dict[str, str]:
    readers: dict[str, set[str]] = {}
    for layer in shown:
        for source in folded[layer.name]:
            readers.setdefault(source, set()).add(layer.name)
    stride = {layer.name: layer.stride for layer in shown}
    owner: dict[str, str] = {}
    for layer in shown:
        host = layer.inputs[0] if len(layer.inputs) == 1 else ""
        stacked = layer.new and host in owner and stride[host] == layer.stride
        owner[layer.name] = owner[host] if stacked and readers[host] == {layer.name} else layer.name
    return owner


def _strides(hosts: Sequence[Layer], sources: dict[str, list[str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for host in hosts:
        inherited = [found[source] for source in sources[host.name]]
        found[host.name] = host.stride or (inherited[0] if inherited else 1)
    return found


def _group(name: str) -> int | None:
    first = name.split(".", 1)[0].split("+", 1)[0]
    return {"stem": 0, "backbone": 0, "neck": 1, "head": 2}.get(first)


def _groups(hosts: Sequence[Layer], sources: dict[str, list[str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for host in hosts:
        own = _group(host.name)
        found[host.name] = max([own or 0, *(found[s] for s in sources[host.name])])
    return found


def _place(
    hosts: Sequence[Layer], sources: dict[str, list[str]], level: dict[str, int]
) -> dict[str, tuple[int, int, int, int]]:
    """(row, last row, column, group) of every host."""
    group = _groups(hosts, sources)
    grid: dict[str, tuple[int, int, int, int]] = {}
    taken: set[tuple[int, int]] = set()
    first_column = 0
    for number in range(len(GROUPS)):
        members = [host for host in hosts if group[host.name] == number]
        for host in members:
            before = [grid[s] for s in sources[host.name]]
            rows = sorted({b[0] for b in before})
            spans = number == 2 and len(rows) > 1
            row, last = (rows[0], rows[-1]) if spans else (level[host.name], level[host.name])
            nearest = [b[2] + (1 if spans or b[0] <= row <= b[1] else 0) for b in before]
            column = max([first_column, *nearest])
            while any((r, column) in taken for r in range(row, last + 1)):
                column += 1
            taken |= {(r, column) for r in range(row, last + 1)}
            grid[host.name] = (row, last, column, number)
        first_column = max([first_column, *(grid[m.name][2] + 1 for m in members)])
    return grid
