"""``yolograft show MODEL``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from yolograft.cli.options import Output, read_imgsz, read_levels
from yolograft.cli.terminal import layer_table, print_json, say

if TYPE_CHECKING:
    from yolograft.models.detector import Detector


def show_(
    model: str = "yolov8n",
    /,
    *,
    classes: int = 80,
    graft: Annotated[str | None, Parameter(help="Graft expression, e.g. coord_att@neck.p3.")] = None,
    imgsz: str = "640",
    levels: str = "p3,p4,p5",
    output: Output | None = None,
) -> None:
    """Show a model, grafted or not: layers, parameters, FLOPs.

    Parameters
    ----------
    model
        Model name, e.g. yolov8n.
    classes
        Number of classes of the head.
    imgsz
        Image size the FLOPs are counted at: S or H,W.
    levels
        Levels the head predicts on, of p2,p3,p4,p5.
    """
    from yolograft.graph.expr import parse_graft
    from yolograft.graph.graft import diff
    from yolograft.graph.graft import graft as place
    from yolograft.metrics.cost import count_flops, gflops_ultralytics_convention
    from yolograft.models.build import build, model_spec, sketch
    from yolograft.models.codebook import from_grafts
    from yolograft.models.weights import prove_identity

    size = read_imgsz(imgsz)
    base = model_spec(model, num_classes=classes, levels=read_levels(levels))
    grafts = [parse_graft(graft)] if graft else []
    code = from_grafts(grafts)
    spec = place(base, *grafts)
    # A class of the user's own may compute with values: count it on a real network.
    network = build(spec, code=code) if code else sketch(spec)
    params = sum(fact.params for fact in network.facts)
    flops = count_flops(network, size)
    proof = None
    if any(term.ref.init == "identity" for item in grafts for term in item.terms):
        proof = prove_identity(build(base), build(spec, code=code), imgsz=(64, 96))
    answer = {"model": model, "classes": classes, "imgsz": list(size), "params": params, "flops": flops}
    if output and output.json:
        print_json(answer | {"layers": _layers(network), "identity": asdict(proof) if proof else None})
        return
    layer_table(network.facts)
    convention = gflops_ultralytics_convention(network, size)
    say(f"{model}, {classes} classes: {params:,} parameters; at {size[0]}x{size[1]} {flops / 1e9:.4f} GFLOPs")
    say(f"(convolution + matmul, 2 per MAC; {convention:.1f} in the ultralytics convention)")
    for line in diff(base, spec):
        say(line)
    for fact in network.facts:
        if fact.note:
            # An advice begins with its code and holds the place.
            say(fact.note if fact.note.startswith("YG") else f"{fact.name}: {fact.note}")
    if proof:
        say(f"identity start: {proof.line()}")


def _layers(network: Detector) -> list[dict[str, object]]:
    keys = ("name", "module", "params", "out_channels", "stride")
    return [{key: getattr(fact, key) for key in keys} for fact in network.facts]
