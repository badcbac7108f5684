"""Anchors of an anchor-based detector, chosen for the images a study trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolograft.data.anchors import AnchorFit, anchor_fit, cluster_anchors, input_sizes
from yolograft.data.records import ImageRecord
from yolograft.graph.anchors import anchors_of, with_anchors, with_anchors_of
from yolograft.graph.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class AnchorChoice:
    """What became of a detector's anchors.

    spec: the detector with the chosen ones. before, after: flat (width, height) pairs in input pixels, with
    their fit to the boxes.
    """

    spec: ModelSpec
    before: tuple[float, ...]
    after: tuple[float, ...]
    fit_before: AnchorFit
    fit_after: AnchorFit

    def line(self) -> str:
        """What people read before training starts."""
        old, new = self.fit_before, self.fit_after
        if self.after == self.before:
            kept = f"anchors auto: those of {self.spec.name} stay"
            return f"{kept}, best possible recall {old.recall:.4f}, fitness {old.fitness:.3f}"
        gain = f"best possible recall {old.recall:.4f} -> {new.recall:.4f}"
        gain += f", fitness {old.fitness:.3f} -> {new.fitness:.3f}"
        return f"anchors auto: {gain}: {_pairs(self.after)}"

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "how": "auto",
            "before": list(self.before),
            "after": list(self.after),
            "recall": [self.fit_before.recall, self.fit_after.recall],
            "fitness": [self.fit_before.fitness, self.fit_after.fitness],
            "line": self.line(),
        }


def anchors_of_weights(
    spec: ModelSpec, source: ModelSpec, *, own: bool
) -> tuple[ModelSpec, dict[str, Any] | None]:
    """The detector as it starts from weights that were trained with anchors, which no tensor holds.

    Args:
        own: whether the model is a file that says its anchors; those stay.

    Returns:
        the detector and what became of its anchors, for the manifest; None where there was nothing to choose.
    """
    taken = with_anchors_of(spec, source)
    if taken is spec:
        return spec, None
    before, trained = anchors_of(spec), anchors_of(taken)
    if own:
        line = f"anchors of {spec.name} stay as its file says, the weights were trained with others"
    else:
        line = f"anchors of the weights, not the published ones: {_pairs(trained)}"
    after = before if own else trained
    row = {"how": "file" if own else "weights", "before": list(before), "after": list(after), "line": line}
    return (spec if own else taken), row


def anchor_rows(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What became of the anchors of every model of a study, in order; one alone once stood without a list."""
    found = manifest.get("anchors") or []
    return [dict(found)] if isinstance(found, Mapping) else [dict(row) for row in found]


def _pairs(anchors: Sequence[float]) -> str:
    return " ".join(f"{w:g},{h:g}" for w, h in zip(anchors[::2], anchors[1::2], strict=True))


def choose_anchors(
    spec: ModelSpec, train: Sequence[ImageRecord], *, imgsz: tuple[int, int], seed: int = 0
) -> AnchorChoice:
    """The detector with anchors clustered for these images at a size (H, W).

    Its own stay where they suit the boxes as well.

    Raises:
        SpecError: the detector predicts without anchors (YG133).
        DataError: fewer boxes than anchors (YG357).
    """
    before = anchors_of(spec)
    sizes = input_sizes(train, imgsz=imgsz)
    levels = len(spec.head.inputs)
    per_level = len(before) // (2 * levels)
    after = cluster_anchors(sizes, levels=levels, per_level=per_level, start=before, seed=seed)
    fits = anchor_fit(sizes, before), anchor_fit(sizes, after)
    return AnchorChoice(with_anchors(spec, after), before, after, *fits)
