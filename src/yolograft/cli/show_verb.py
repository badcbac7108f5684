"""``yolograft show MODEL``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from yolograft.cli.options import Output, Texts, read_imgsz, read_levels
from yolograft.cli.row_list import row_list, summary
from yolograft.cli.terminal import print_json, say

if TYPE_CHECKING:
    from yolograft.engine.modelfolder import StoredModel
    from yolograft.graph.expr import GraftSpec
    from yolograft.graph.spec import ModelSpec
    from yolograft.models.codebook import Codebook
    from yolograft.models.detector import Detector
    from yolograft.models.usercode import UserClass
    from yolograft.models.weights import IdentityProof


def show_(
    model: str = "yolov8n",
    /,
    *,
    classes: int | None = None,
    graft: Annotated[str | None, Parameter(help="Graft expression, e.g. coord_att@neck.p3.")] = None,
    imgsz: str = "640",
    levels: str | None = None,
    force: bool = False,
    code: Texts | None = None,
    svg: Path | None = None,
    output: Output | None = None,
) -> None:
    """Show a model, grafted or not: layers, parameters, FLOPs.

    Parameters
    ----------
    model
        Model name, a model file (my.yaml, my.yaml:s), or a trained model: .pt, .pth, a model folder.
    classes
        Number of classes of the head; 80, or those of the file, when left out.
    imgsz
        Image size the FLOPs are counted at: S or H,W.
    levels
        Levels the head predicts on, of p2,p3,p4,p5; p3,p4,p5 when left out.
    force
        Show it although not all weights fit: those of a .pt or .pth file, or a graft onto trained ones.
    code
        File with a class of your own that the model names.
    svg
        SVG file to draw into: every neck the model can have, side by side, the graft's own with its options.
    """
    from yolograft.cli.lessons import read_placed
    from yolograft.graph import graft as grafting
    from yolograft.models.build import build, sketch
    from yolograft.models.codebook import from_grafts

    size = read_imgsz(imgsz)
    stored, notes = _trained(model, force=force)
    own = _own_classes(model, stored, code or ())
    base = _spec(model, stored, classes=classes, levels=levels, code=own)
    # A graft onto trained weights starts as the identity unless the expression says otherwise.
    grafts, lessons = read_placed(graft, init="identity" if stored else "paper")
    notes += [f"{lesson} changes the loss in training, not the net" for lesson in lessons]
    book = own | from_grafts(grafts)
    spec = grafting.graft(base, *grafts)
    network = build(spec, code=book) if book else sketch(spec)  # own classes may compute with values
    flops = _flops(network, size)
    proof, start = _start(base, spec, stored, grafts, book, force=force)
    if svg:
        stock = _stock_of(base) if stored else base
        notes.append(_draw_necks(stock, spec, grafts, svg, output.lang if output else "en"))
    if output and output.json:
        about = {"origin": stored and stored.about.get("origin"), "notes": notes} if stored or notes else {}
        print_json(_facts(network, size, flops) | about | {"identity": asdict(proof) if proof else None})
        return
    _say_network(network, size, flops)
    for line in (*notes, *grafting.diff(base, spec), *_advice(network), *start):
        say(line)


def _facts(network: Detector, size: tuple[int, int], flops: int) -> dict[str, object]:
    params = sum(fact.params for fact in network.facts)
    counts = {"classes": network.spec.num_classes, "imgsz": list(size), "params": params, "flops": flops}
    return {"model": network.spec.name, **counts, "layers": _layers(network)}


def _stock_of(trained: ModelSpec) -> ModelSpec:
    """A stock detector of the family, for its wiring alone: a trained one may hold grafts in its neck."""
    from yolograft.graph.spec import model_name
    from yolograft.models.build import model_spec
    from yolograft.models.catalog import FAMILIES

    return model_spec(model_name(trained.family, FAMILIES[trained.family].scales[0]))


def _draw_necks(stock: ModelSpec, spec: ModelSpec, grafts: Sequence[GraftSpec], file: Path, lang: str) -> str:
    """Draw every neck on a detector, and the one asked for with its options; a line that says where."""
    from yolograft.graph.expr import NECK
    from yolograft.graph.necks.table import NECKS, with_neck
    from yolograft.graph.spec import ModuleRef
    from yolograft.study.paper.files import write_whole
    from yolograft.study.report.neck_figure import neck_figure

    necks = {neck.name: with_neck(stock, ModuleRef(neck.name)) for neck in NECKS}
    necks |= {ref.text(): spec for item in grafts for ref in item.of_kind(NECK)}
    write_whole(file, neck_figure(necks, lang=lang).encode("utf-8"))
    return f"necks of {stock.family} drawn: {file}"


def _flops(network: Detector, size: tuple[int, int]) -> int:
    from yolograft.metrics.cost import count_flops
    from yolograft.models.detector import check_input_size

    check_input_size(size, stride=network.stride, model=network.spec.name)
    return count_flops(network, size)


def _say_network(network: Detector, size: tuple[int, int], flops: int) -> None:
    from yolograft.metrics.cost import gflops_ultralytics_convention

    convention = gflops_ultralytics_convention(network, size)
    params = sum(fact.params for fact in network.facts)
    named = f"{network.spec.name}, {network.spec.num_classes} classes"
    for line in (*row_list(network), summary(network, convention)):
        say(line)
    say(f"{named}: {params:,} parameters; at {size[0]}x{size[1]} {flops / 1e9:.4f} GFLOPs")
    say(f"(convolution + matmul, 2 per MAC; {convention:.1f} in the ultralytics convention)")


def _own_classes(model: str, stored: StoredModel | None, files: Sequence[str]) -> dict[str, UserClass]:
    """The classes of the user's own that a trained model or a model file names."""
    from yolograft.models.codebook import from_files
    from yolograft.models.modelfile import from_model

    return from_files(stored.hashes, files) if stored else from_model(model, files)


def _advice(network: Detector) -> list[str]:
    """What the layers say of themselves; an advice begins with its code and holds the place."""
    noted = [fact for fact in network.facts if fact.note]
    return [fact.note if fact.note.startswith("YG") else f"{fact.name}: {fact.note}" for fact in noted]


def _trained(model: str, *, force: bool) -> tuple[StoredModel | None, list[str]]:
    """The trained model a path names, and what there is to say of it; nothing for a model's name."""
    from yolograft.engine.foreignfolder import SUFFIXES, lines_of_file, read_source
    from yolograft.engine.modelfolder import read_model
    from yolograft.study.pick import model_folder

    path = Path(model)
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        stored = read_source(path, force=force)
        return stored, lines_of_file(path, stored)
    return (read_model(model_folder(path)), []) if path.is_dir() else (None, [])


def _spec(
    model: str,
    stored: StoredModel | None,
    *,
    classes: int | None,
    levels: str | None,
    code: Codebook,
) -> ModelSpec:
    """The detector a name or a trained model means.

    Raises:
        SpecError: a trained model with classes or levels of the user's (YG193).
    """
    from yolograft.errors import SpecError
    from yolograft.models.build import model_spec

    if stored is None:
        return model_spec(model, num_classes=classes, levels=read_levels(levels), code=code)
    if classes is not None or levels is not None:
        asked = "--classes" if classes is not None else "--levels"
        raise SpecError(
            "YG193", f"{asked} beside a trained model, which has its own", fix=f"leave out {asked}"
        )
    return stored.spec


def _start(
    base: ModelSpec,
    spec: ModelSpec,
    stored: StoredModel | None,
    grafts: Sequence[GraftSpec],
    code: Codebook,
    *,
    force: bool,
) -> tuple[IdentityProof | None, list[str]]:
    """The proof that a graft starts as the identity, and the line on it; neither where that is not asked."""
    from yolograft.graph.necks.table import NO_IDENTITY, no_identity

    identity = any(term.ref.init == "identity" for item in grafts for term in item.terms)
    if (identity or stored is not None) and no_identity(spec, base):
        return None, [f"identity start: none. {NO_IDENTITY}"]
    if not identity:
        return None, []
    proof = _proof(base, spec, stored, code, force=force)
    return proof, [f"identity start: {proof.line()}"]


def _proof(
    base: ModelSpec, spec: ModelSpec, stored: StoredModel | None, code: Codebook, *, force: bool
) -> IdentityProof:
    """The grafted detector against the one below it, both on trained weights where there are some."""
    from yolograft.models.build import build
    from yolograft.models.weights import kept_weights, prove_identity

    grafted, below = build(spec, code=code), build(base, code=code)
    if stored is not None:
        below.load_state_dict(stored.tensors)
        kept, _ = kept_weights(grafted, stored.tensors, num_classes=base.num_classes, force=force)
        grafted.load_state_dict({**grafted.state_dict(), **kept})
    return prove_identity(below, grafted, imgsz=(2 * grafted.stride, 3 * grafted.stride))


def _layers(network: Detector) -> list[dict[str, object]]:
    keys = ("name", "module", "params", "out_channels", "stride")
    return [{key: getattr(fact, key) for key in keys} for fact in network.facts]
