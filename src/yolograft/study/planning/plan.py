"""What the user asks of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolograft.engine.recipe import Recipe
from yolograft.graph.expr import GraftSpec
from yolograft.graph.levels import STOCK


@dataclass(frozen=True)
class Plan:
    """What the user asked for.

    kind: ``compare`` or ``train``. data: folder or ``shapes``. grafts: one per arm. baseline: whether the
    ungrafted detector is an arm of its own. margin: smallest difference that matters, AP points. levels:
    where the head predicts. anchors: ``auto`` chooses them for the training images. auto_batch: the recipe's
    batch is a placeholder, to be measured. recipe_file: name and sha256 of the file the recipe began with.
    ablation: which parts the grafts are made of. more_models: beside the first, each with a baseline and all
    grafts. across: the other models are judged against the first. looks: seeds per arm at which it is judged;
    once, at the end, when empty. paired: seeds are pairs, declared beforehand. group: rule by which images
    belong together (see `grouping`). bank: folders with earlier runs of the same baseline. controls: arms
    that tell a gain from its other causes (see `controls`). follows: earlier studies of the same question.
    contrasts: arms judged against arms, as labels (new, base). branch: arms
    go on from one half-trained baseline a seed (see `branching`). teacher: model folder or file that arms
    with a distillation learn from.
    """

    kind: str
    model: str
    data: str
    grafts: tuple[GraftSpec, ...]
    seeds: tuple[int, ...]
    recipe: Recipe
    baseline: bool = True
    margin: float = 0.5
    device: str = "cpu"
    command: str = ""
    weights: str = ""
    force: bool = False
    levels: tuple[str, ...] = STOCK
    anchors: str = ""
    auto_batch: bool = False
    recipe_file: Mapping[str, str] | None = None
    ablation: Mapping[str, Any] | None = None
    more_models: tuple[str, ...] = ()
    across: bool = False
    looks: tuple[int, ...] = ()
    paired: bool = False
    group: str = ""
    bank: tuple[Path, ...] = ()
    controls: tuple[str, ...] = ()
    follows: tuple[Path, ...] = ()
    contrasts: tuple[tuple[str, str], ...] = ()
    branch: bool = False
    teacher: str = ""

    @property
    def looks_planned(self) -> tuple[int, ...]:
        """Seeds per arm at which the study is judged."""
        return self.looks or (len(self.seeds),)

    @property
    def models(self) -> tuple[str, ...]:
        """All models, the first one first."""
        return (self.model, *self.more_models)
