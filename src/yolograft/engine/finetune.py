"""Going on from loaded weights: which parameters are kept and which are new, and how each part moves.

A graft onto trained weights puts two kinds of parameters into one net: those that know something, which a
rate fit for a fresh start would drive away from it, and those that know nothing and need that rate. Rates by
part: Howard, Ruder 2018, arXiv 1801.06146; first the new part alone, then all: Kumar et al. 2022,
arXiv 2202.10054.

Everything here is a function of the kept keys, the recipe and the step: a resumed run needs nothing stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import nn

from yolograft.engine.optim import WHOLE, cosine, lr_factor, warmup, warmup_steps
from yolograft.engine.recipe import Recipe
from yolograft.errors import SpecError
from yolograft.graph.sites import backbone_layers
from yolograft.models.detector import Detector, key_of

# new: not in the loaded weights. kept: loaded. held: loaded, and standing still for the first epochs.
NEW, KEPT, HELD = "new", "kept", "held"


def check_fine_tuning(recipe: Recipe, *, weights: bool) -> None:
    """See that a recipe which tells kept parameters from new ones has weights, and freezes for some epochs.

    Raises:
        SpecError: there are no weights (YG170); the backbone is to be frozen for no epoch (YG192).
    """
    if recipe.freeze == "backbone" and not recipe.freeze_epochs:
        cause = "freeze: backbone with freeze_epochs: 0 does nothing"
        raise SpecError("YG192", cause, fix="--set freeze_epochs=3, or leave freeze out")
    asked = recipe.fine_tuning()
    if asked and not weights:
        cause = f"{asked[0]}: {getattr(recipe, asked[0])} speaks of trained weights, and there are none"
        fix = "add --weights RUN, or leave it out; --recipe default starts fresh"
        raise SpecError("YG170", cause, fix=fix)


def part_rates(step: int, *, total_steps: int, steps_per_epoch: int, recipe: Recipe) -> dict[str, float]:
    """Learning rate of every part in a step, as a fraction of the peak.

    All parts share the cosine; the held part warms up from the step in which it first moves.
    """
    fall = cosine(step, total_steps=total_steps, recipe=recipe)
    ramp = warmup_steps(recipe, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    of_new = ramp
    if recipe.new_warmup_epochs != "auto":
        of_new = min(recipe.new_warmup_epochs * steps_per_epoch, total_steps / 10)
    moved = step - recipe.freeze_epochs * steps_per_epoch
    return {
        WHOLE: lr_factor(step, total_steps=total_steps, steps_per_epoch=steps_per_epoch, recipe=recipe),
        NEW: recipe.new_lr * fall * warmup(step, of_new),
        KEPT: recipe.kept_lr * fall * warmup(step, ramp),
        HELD: recipe.kept_lr * fall * warmup(moved, ramp) if moved >= 0 else 0.0,
    }


class FineTuning:
    """The parts of one detector.

    parts: name of every parameter -> its part; empty where nothing was kept, and all parameters are one.
    """

    def __init__(self, detector: Detector, recipe: Recipe, kept: Collection[str]) -> None:
        """Sort the parameters; ``kept`` holds the state-dict keys that were loaded.

        Raises:
            SpecError: the backbone is to be frozen, and none of its tensors were loaded (YG171).
        """
        self._epochs = recipe.freeze_epochs
        held = frozenset(_held(detector, recipe, kept)) if self._epochs else frozenset()
        self.parts = {
            name: HELD if name in held else KEPT if name in kept else NEW
            for name, _ in (detector.named_parameters() if kept else ())
        }
        # Fixed tensors, such as those of a distribution, stay fixed after the freeze as well.
        self._parameters = [p for name, p in detector.named_parameters() if name in held and p.requires_grad]
        self._modules = list(_within(detector, held))

    def hold_still(self, epoch: int) -> None:
        """Freeze the held part in its epochs, thaw it afterwards; called on a model in training mode."""
        still = epoch < self._epochs
        for parameter in self._parameters:
            parameter.requires_grad_(not still)
        for module in self._modules if still else ():
            # Batch-norm statistics are part of what the weights know.
            module.eval()


def _held(detector: Detector, recipe: Recipe, kept: Collection[str]) -> Iterator[str]:
    """The kept keys that a recipe freezes.

    Raises:
        SpecError: none of them is in the backbone, which is to be frozen (YG171).
    """
    if recipe.freeze == "kept":
        yield from kept
        return
    places = {f"layers.{key_of(name)}" for name in backbone_layers(detector.spec)}
    found = [key for key in kept if ".".join(key.split(".")[:2]) in places]
    if kept and not found:
        raise SpecError("YG171", f"nothing kept in a backbone of {detector.spec.name}", fix="freeze: kept")
    yield from found


def _within(module: nn.Module, keys: Collection[str], prefix: str = "") -> Iterator[nn.Module]:
    """The largest modules all of whose tensors are among ``keys``; counters do not count."""
    own = {prefix + name for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    if own and own <= set(keys):
        yield module
    elif own:
        for name, child in module.named_children():
            yield from _within(child, keys, f"{prefix}{name}.")
