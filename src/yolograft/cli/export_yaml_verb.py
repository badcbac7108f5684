"""``yolograft export-yaml MODEL``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from yolograft.cli.options import Output, Texts, read_levels
from yolograft.cli.terminal import print_json, say

if TYPE_CHECKING:
    from yolograft.graph.spec import ModelSpec
    from yolograft.models.codebook import Codebook


def export_yaml_(
    model: str,
    /,
    *,
    graft: Annotated[str | None, Parameter(help="Graft expression, e.g. coord_att@neck.p3.")] = None,
    out: Path | None = None,
    classes: int | None = None,
    levels: str | None = None,
    code: Texts | None = None,
    force: bool = False,
    output: Output | None = None,
) -> None:
    """Write a model, grafted or not, as a model file in the dialect of YOLOv5 and YOLOv8.

    Parameters
    ----------
    model
        Model name, a model file (my.yaml, my.yaml:s), or a run or model folder.
    out
        File to write; named after the model when left out.
    classes
        Number of classes; 80, or those of the file, when left out.
    levels
        Levels the head predicts on, of p2,p3,p4,p5; p3,p4,p5 when left out.
    code
        File with a class of your own that the model file or folder names.
    force
        Write over a file that exists.
    """
    from yolograft.cli.lessons import read_placed
    from yolograft.errors import SpecError
    from yolograft.graph.dialect.write import write_index_file
    from yolograft.graph.graft import graft as place
    from yolograft.models.build import inspect_spec
    from yolograft.models.codebook import from_grafts
    from yolograft.models.modelfile import stocks, words_with

    grafts, lessons = read_placed(graft)
    base, book = _spec(model, classes=classes, levels=levels, code=code or ())
    book = {**book, **from_grafts(grafts)}
    spec = place(base, *grafts)
    facts = inspect_spec(spec, code=book)
    title = f"{base.name}{''.join(f' with {item.text()}' for item in grafts)}, written by yolograft"
    channels = {fact.name: fact.out_channels for fact in facts}
    words = words_with(book.values())
    written = write_index_file(spec, words=words, stocks=stocks(), channels=channels, title=title)
    label = f"-{grafts[0].label}" if grafts else ""
    path = out or Path(f"{base.name}{label}.yaml")
    if path.exists() and not force:
        fix = "another --out, or --force"
        raise SpecError("YG149", "there is such a file already", where=str(path), fix=fix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written.text, encoding="utf-8", newline="\n")
    lost = [*written.lost, *(f"{lesson}, which changes the loss in training" for lesson in lessons)]
    if output and output.json:
        print_json({"file": str(path), "rows": len(spec.layers), "lost": lost})
        return
    for line in (f"{path}: {len(spec.layers)} rows", *(f"not in it: {line}" for line in lost)):
        say(line)


def _spec(
    model: str, *, classes: int | None, levels: str | None, code: Sequence[str]
) -> tuple[ModelSpec, Codebook]:
    """The detector that is meant, and the classes of the user's own in it."""
    from yolograft.engine.modelfolder import read_model
    from yolograft.models.build import model_spec
    from yolograft.models.codebook import from_files
    from yolograft.models.modelfile import from_model
    from yolograft.study.pick import model_folder

    if Path(model).is_dir():
        stored = read_model(model_folder(Path(model)))
        return stored.spec, from_files(stored.hashes, code)
    own = from_model(model, code)
    return model_spec(model, num_classes=classes, levels=read_levels(levels), code=own), own
