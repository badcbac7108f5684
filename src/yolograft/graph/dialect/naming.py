"""Names for the layers of a file, from where they stand, by the rules `graft` names them by.

Equal networks get equal names whatever they were made with. One thing is lost on the way: a graft in front of
a layer, or on a connection, where nobody else reads the map it takes, is the same network as a graft after
the layer that gives the map, and is named so; a site at that layer then means the map behind it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from yolograft.graph.dialect.indexfile import IMAGE_INDEX
from yolograft.graph.dialect.stock import Stock, StockLayer
from yolograft.graph.dialect.words import Words
from yolograft.graph.spec import IMAGE, ModelSpec, Value, frozen_args

FREE = ".out"  # what stands after a layer, but in nobody's place


@dataclass(frozen=True, slots=True)
class Piece:
    """A layer before it has a name.

    stock: the name of the stock layer it is, else empty. replaces: of the one whose place it takes.
    module: a module reference. inputs: piece numbers, `IMAGE_INDEX` for the image. keeps: it gives a map of
    the shape it gets.
    """

    stock: str
    replaces: str
    module: str
    inputs: tuple[int, ...]
    keeps: bool


def stem(module: str) -> str:
    """The part of a module reference that a layer name holds."""
    text = module.rsplit("::", 1)[-1].removeprefix("timm:").lower()
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text)


@dataclass(frozen=True, slots=True)
class Names:
    """Names of all pieces. tails: layer name -> the last of the grafts after it, or the layer itself."""

    names: tuple[str, ...]
    tails: dict[str, str]


def name_pieces(pieces: Sequence[Piece]) -> Names:
    """Give every piece its name: a stock layer its own, a graft that of its place and module."""
    readers = _readers([piece.inputs for piece in pieces])
    names = [
        piece.stock or (f"{p}+{stem(piece.module)}" if (p := piece.replaces) else "") for piece in pieces
    ]
    taken = {IMAGE, *names}
    fixed = list(names)
    root: list[str] = ["" for _ in pieces]  # what a graft hangs on: a layer's name, or <reader>.in
    tails: dict[str, str] = {}
    last = IMAGE
    for index, piece in enumerate(pieces):
        last = piece.stock or last
        if not names[index]:
            root[index] = _root(index, pieces, readers, root, fixed) or last + FREE
            names[index] = free_name(f"{root[index]}+{stem(piece.module)}", taken)
            taken.add(names[index])
        if not root[index] or root[index].endswith(FREE):
            root[index] = names[index]
        tails[root[index]] = names[index]
    return Names(tuple(names), tails)


def _root(
    index: int,
    pieces: Sequence[Piece],
    readers: Sequence[Sequence[int]],
    root: Sequence[str],
    fixed: Sequence[str],
) -> str:
    """What the graft hangs on; empty where it takes nobody's place."""
    piece = pieces[index]
    if not piece.keeps or len(piece.inputs) != 1 or not readers[index]:
        return ""
    source = piece.inputs[0]
    if source != IMAGE_INDEX and list(readers[source]) == [index]:
        return root[source]
    end = index
    while len(readers[end]) == 1:
        reader = readers[end][0]
        if fixed[reader]:
            return f"{fixed[reader]}.in"
        if not pieces[reader].keeps or len(pieces[reader].inputs) != 1:
            return ""
        end = reader
    return ""


def free_name(base: str, taken: Container[str]) -> str:
    """The name, with a number behind it where it is taken."""
    name, count = base, 2
    while name in taken:
        name, count = f"{base}.{count}", count + 1
    return name


def replacements(
    inputs: Sequence[Sequence[int]],
    keeps: Sequence[bool],
    places: Sequence[int | None],
    layers: Sequence[StockLayer],
) -> dict[int, str]:
    """Which inserted piece takes the place of a stock layer that is gone: piece -> that layer's name.

    It reads what the layer read, and what read the layer reads it, grafts after it in between.

    Args:
        inputs, keeps: as of `Piece`. places: the stock layer each piece is, None where inserted.
    """
    readers = _readers(inputs)
    here = {place for place in places if place is not None}
    gone = [layer for index, layer in enumerate(layers) if index not in here and len(layer.inputs) == 1]
    out: dict[int, str] = {}
    for index, place in enumerate(places):
        if place is not None or len(inputs[index]) != 1 or not gone:
            continue
        source = inputs[index][0]
        stands = IMAGE if source == IMAGE_INDEX else _stock_name(places[source], layers)
        read_by = {
            _stock_name(places[r], layers) for r in _final_readers(index, inputs, keeps, places, readers)
        }
        for layer in gone:
            then = {known.name for known in layers if layer.name in known.inputs}
            if layer.inputs == (stands,) and then & read_by:
                out[index] = layer.name
                gone.remove(layer)
                break
    return out


def _stock_name(place: int | None, layers: Sequence[StockLayer]) -> str:
    return "" if place is None else layers[place].name


def _readers(inputs: Sequence[Sequence[int]]) -> list[list[int]]:
    readers: list[list[int]] = [[] for _ in inputs]
    for index, sources in enumerate(inputs):
        for source in dict.fromkeys(sources):
            if source != IMAGE_INDEX:
                readers[source].append(index)
    return readers


def _final_readers(
    index: int,
    inputs: Sequence[Sequence[int]],
    keeps: Sequence[bool],
    places: Sequence[int | None],
    readers: Sequence[Sequence[int]],
) -> Sequence[int]:
    """Who reads a piece, past the grafts after it."""
    found = readers[index]
    while len(found) == 1:
        only = found[0]
        if places[only] is not None or not keeps[only] or len(inputs[only]) != 1:
            break
        found = readers[only]
    return found


def normalised(spec: ModelSpec, words: Words, *, stock: Stock) -> ModelSpec:
    """The same network under the names a file of it would be read with.

    Modules stand under their catalog names, and grafts leave out options at their defaults.

    Args:
        stock: the stock graph it was grafted on.
    """
    place = {IMAGE: IMAGE_INDEX} | {layer.name: index for index, layer in enumerate(spec.layers)}
    numbers = {layer.name: index for index, layer in enumerate(stock.layers)}
    inputs = [tuple(place[name] for name in layer.inputs) for layer in spec.layers]
    known = [words.get(layer.module) for layer in spec.layers]
    keeps = [word.keeps if word else True for word in known]
    places = [numbers.get(layer.name) for layer in spec.layers]
    taken = replacements(inputs, keeps, places, stock.layers)
    pieces = [
        Piece(
            stock="" if places[index] is None else layer.name,
            replaces=taken.get(index, ""),
            module=word.module if word else layer.module,
            inputs=inputs[index],
            keeps=keeps[index],
        )
        for index, (layer, word) in enumerate(zip(spec.layers, known, strict=True))
    ]
    named = name_pieces(pieces)
    new = dict(zip((layer.name for layer in spec.layers), named.names, strict=True)) | {IMAGE: IMAGE}
    layers = []
    for layer, piece, word in zip(spec.layers, pieces, known, strict=True):
        args = dict(layer.args)
        if word and not piece.stock:
            args = without_defaults(args, word.defaults())
        reads = tuple(new[name] for name in layer.inputs)
        changed = replace(layer, name=new[layer.name], module=piece.module, inputs=reads)
        layers.append(replace(changed, args=frozen_args(args)))
    roles = tuple((role, _tail(new[name], named.tails)) for role, name in spec.sites)
    return replace(spec, layers=tuple(layers), sites=roles)


def _tail(name: str, tails: dict[str, str]) -> str:
    """The last graft after the layer that plays a role, given that layer or a graft after it."""
    base = name
    while base not in tails and "+" in base:
        base = base.rpartition("+")[0]
    return tails.get(base, name)


def without_defaults(options: dict[str, Value], defaults: dict[str, Value]) -> dict[str, Value]:
    """The options that say something."""
    return {key: value for key, value in options.items() if key not in defaults or value != defaults[key]}
