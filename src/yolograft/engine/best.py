"""The best point of a learning curve, kept beside the end of the run.

It is chosen on the very images it is then measured on, so its AP flatters: verdicts never read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

NOTE = "chosen on the evaluation split, flatters"


class Best:
    """The EMA weights at the highest AP so far; of equals the earliest.

    facts: epoch (from 0), step and ap (points) of that moment; empty before the first measurement.
    tensors: the weights, copied to the CPU.
    """

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}

    def offer(self, row: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Take the weights if the row of the history has a higher ``ap`` than all before it."""
        if "ap" not in row or (self.facts and row["ap"] <= self.facts["ap"]):
            return
        self.facts = {key: row[key] for key in ("epoch", "step", "ap")}
        with torch.no_grad():
            self.tensors = {key: value.detach().cpu().clone() for key, value in weights.items()}

    def restore(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Take up what a checkpoint held."""
        self.facts, self.tensors = dict(facts), dict(tensors)

    def to_json(self) -> dict[str, Any] | None:
        """What results show, with the warning; None where nothing was measured."""
        return {**self.facts, "note": NOTE} if self.facts else None
