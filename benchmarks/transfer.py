"""What trained weights are worth under a graft: kept by layer identity, or by row index as forks load them.

    python benchmarks/transfer.py --base RUN --data BCCD [--graft coord_att@backbone.p2] [--epochs 10]

A detector trained on one set is fine-tuned on another, with one module grafted in front of most layers. Arms,
in lockstep on the same batches: the base without the module; the module starting as the identity, in its
published form, and in its published form with the weights matched by row index; and the same net without
any weights. Matching by index means that every row after the inserted one is looked for under the number of
its predecessor: only tensors whose number and shape still agree are loaded, some of them into the wrong
layer. Prints one JSON document per seed; --out adds them to a file and leaves out the seeds it holds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from yolograft.data.eval_stream import EvalStream
from yolograft.data.records import Dataset
from yolograft.data.source import open_dataset
from yolograft.engine.arm import Arm, ArmRun
from yolograft.engine.batches import recipe_stream
from yolograft.engine.evaluate import evaluate
from yolograft.engine.modelfolder import StoredModel, read_model
from yolograft.engine.recipe import Recipe
from yolograft.engine.recipefile import read_recipe_file
from yolograft.engine.train import Settings, train
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build, model_spec
from yolograft.models.detector import key_of
from yolograft.models.weights import kept_weights
from yolograft.study.pick import model_folder
from yolograft.study.scores import score_table


class Quiet:
    """A progress that says nothing."""

    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        """A group of arms begins."""

    def step(self, runs: Sequence[ArmRun], batch: int) -> None:
        """All arms have taken a step."""

    def note(self, text: str) -> None:
        """Something worth a line."""


def by_index(base: ModelSpec, tensors: Mapping[str, Tensor], grafted: ModelSpec) -> dict[str, Tensor]:
    """What a loader gives that knows layers by their row number: equal number, equal rest, equal shape."""
    old = {key_of(layer.name): number for number, layer in enumerate(base.layers)}
    new = {number: key_of(layer.name) for number, layer in enumerate(grafted.layers)}
    mine, found = build(grafted).state_dict(), {}
    for key, value in tensors.items():
        _, layer, rest = key.split(".", 2)
        target = f"layers.{new[old[layer]]}.{rest}"
        if target in mine and mine[target].shape == value.shape:
            found[target] = value
    return found


def arms_of(stored: StoredModel, expression: str, num_classes: int) -> tuple[list[Arm], dict[str, str]]:
    """The five arms, and what each one kept."""
    stock = model_spec(stored.spec.name, num_classes=num_classes)
    identity = graft(stock, parse_graft(expression, init="identity"))
    paper = graft(stock, parse_graft(expression, init="paper"))
    shifted = by_index(stored.spec, stored.tensors, paper)
    right = sum(key in stored.tensors and shifted[key] is stored.tensors[key] for key in shifted)
    placed = f"{right} of {len(stored.tensors)} tensors in place"
    said = {"shifted": f"{placed}, {len(shifted) - right} in wrong layers"}
    arms = []
    for label, spec in (("base", stock), ("identity", identity), ("paper", paper)):
        weights, report = kept_weights(build(spec), stored.tensors, num_classes=stored.spec.num_classes)
        arms.append(Arm(label, spec, weights=weights))
        said[label] = report.line()
    return [*arms, Arm("shifted", paper, weights=shifted), Arm("fresh", paper)], said


def one_seed(arms: Sequence[Arm], dataset: Dataset, recipe: Recipe, seed: int) -> dict[str, Any]:
    """AP of every arm at the end of one seed, on the evaluation split, points."""
    stream = recipe_stream(dataset.split("train"), recipe, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / arm.label for arm in arms]
        settings = Settings(checkpoint_seconds=1e9)
        runs = train(arms, stream, recipe, seed=seed, folders=places, settings=settings, progress=Quiet())
    split = dataset.eval_split
    images = EvalStream(dataset.split(split), imgsz=recipe.imgsz, batch=16, stride=32)
    out: dict[str, Any] = {"seed": seed}
    for run in runs:
        table = evaluate(run.shadow, images, fingerprint=dataset.fingerprint(split))
        out[run.arm.label] = score_table(images.records, table, dataset.names)["ap"]
    return out


def main() -> None:
    """Run the seeds that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--graft", default="coord_att@backbone.p2")
    parser.add_argument("--recipe", default="finetune")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    stored = read_model(model_folder(options.base))
    dataset = open_dataset(options.data)
    size = (options.imgsz, options.imgsz)
    values = read_recipe_file(options.recipe).values | {"epochs": options.epochs, "imgsz": size}
    recipe = Recipe.model_validate(values)
    arms, said = arms_of(stored, options.graft, len(dataset.names))
    rows: list[Any] = []
    if options.out and options.out.is_file():
        rows = json.loads(options.out.read_text(encoding="utf-8"))["rows"]
    for seed in options.seeds:
        if any(row["seed"] == seed for row in rows):
            continue
        rows.append(one_seed(arms, dataset, recipe, seed))
        sys.stdout.write(json.dumps(rows[-1]) + "\n")
        sys.stdout.flush()
        if options.out:
            facts = {"graft": options.graft, "recipe": options.recipe, "epochs": options.epochs}
            text = json.dumps(facts | {"imgsz": options.imgsz, "kept": said, "rows": rows}, indent=1)
            options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
