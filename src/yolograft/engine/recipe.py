"""A training recipe: every number that shapes a run, validated, printable and hashed into the manifest."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator

from yolograft.data.augment import AugmentConfig
from yolograft.data.images import STRIDE

Gain = Annotated[float, Field(ge=0)] | Literal["auto"]
# Settings that speak of parameters kept from loaded weights, beside those that are new.
FINE_TUNING = ("kept_lr", "new_lr", "new_warmup_epochs", "freeze_epochs")
# Settings of the loss: what a family's criterion may be told.
LOSS_SETTINGS = ("box_gain", "obj_gain", "cls_gain", "dfl_gain", "l1_gain", "box_loss", "small_boxes")


class Recipe(BaseModel):
    """Defaults train a nano or small detector from scratch on a few hundred to a few thousand images.

    imgsz is (height, width) of the network input in pixels. lr is the peak rate; ``auto`` takes
    0.002 * 5 / (4 + classes) for AdamW. lr_final is the fraction of it left at the end. warmup_epochs is
    stretched to at least 100 steps but never beyond a tenth of the run. The EMA decay at step t is
    ema_decay * (1 - exp(-t / ema_tau)). clip is the largest gradient norm. precision ``auto`` is bf16
    autocast where the device computes in it, fp16 with loss scaling on other GPUs, fp32 elsewhere.
    close_mosaic turns mosaic and mixup off for the last epochs, at most a quarter of the run. The gains weigh
    the terms of the loss, box_loss is its IoU term; ``auto`` is what the family was published with.
    multi_scale draws the side of every batch from 1 - m .. 1 + m times imgsz. class_balance 0 shows every
    image once an epoch, 1 draws images with weight 1 / sqrt(share of the rarest class in them).
    eval_points is how often the curve is measured.

    The rest holds where training starts from loaded weights. kept_lr and new_lr are factors on the rate, for
    the parameters that came with the weights and for all others: grafts, and head tensors re-made for another
    number of classes. new_warmup_epochs is the warm-up of the new ones, taken as it is; ``auto`` is that of
    the rest. In the first freeze_epochs the kept tensors stand still, batch-norm statistics included: all of
    them, or with freeze ``backbone`` those of the backbone; then they warm up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(100, ge=1, le=100_000)
    batch: int = Field(16, ge=1, le=65_536)
    imgsz: tuple[int, int] = (640, 640)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: PositiveFloat | Literal["auto"] = "auto"
    lr_final: float = Field(0.01, gt=0, le=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(0.0005, ge=0)
    warmup_epochs: float = Field(3.0, ge=0)
    kept_lr: float = Field(1.0, gt=0, le=100)
    new_lr: float = Field(1.0, gt=0, le=100)
    new_warmup_epochs: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    freeze_epochs: int = Field(0, ge=0)
    freeze: Literal["kept", "backbone"] = "kept"
    ema_decay: float = Field(0.9999, ge=0, lt=1)
    ema_tau: float = Field(2000.0, gt=0)
    clip: float = Field(10.0, gt=0)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    box_gain: Gain = "auto"
    obj_gain: Gain = "auto"
    cls_gain: Gain = "auto"
    dfl_gain: Gain = "auto"
    l1_gain: Gain = "auto"
    box_loss: Literal["auto", "ciou", "giou", "diou", "siou", "wiou"] = "auto"
    small_boxes: Literal["auto", "paper", "widened"] = "auto"
    multi_scale: float = Field(0.0, ge=0, le=0.5)
    class_balance: float = Field(0.0, ge=0, le=1)
    close_mosaic: int = Field(10, ge=0)
    eval_points: int = Field(8, ge=1)
    augment: AugmentConfig = AugmentConfig()

    @field_validator("imgsz")
    @classmethod
    def _multiples_of_stride(cls, value: tuple[int, int]) -> tuple[int, int]:
        if any(side <= 0 or side % STRIDE for side in value):
            raise ValueError(f"{value[0]}x{value[1]}: both sides must be positive multiples of {STRIDE}")
        return value

    def plain_epochs(self) -> int:
        """Last epochs without mosaic."""
        return min(self.close_mosaic, self.epochs // 4)

    def fine_tuning(self) -> tuple[str, ...]:
        """The settings that tell kept parameters from new ones, in order; none treats all alike."""
        fields = type(self).model_fields
        return tuple(key for key in FINE_TUNING if getattr(self, key) != fields[key].default)

    def loss_settings(self) -> dict[str, float | str]:
        """What the recipe asks of the loss; nothing for ``auto``."""
        asked = {key: getattr(self, key) for key in LOSS_SETTINGS}
        return {key: value for key, value in asked.items() if value != "auto"}

    def largest_size(self) -> tuple[int, int]:
        """(height, width) of the largest image a batch can have, pixels."""
        height, width = (math.ceil(side * (1 + self.multi_scale) / STRIDE) * STRIDE for side in self.imgsz)
        return height, width

    def peak_lr(self, num_classes: int) -> float:
        """The peak learning rate, ``auto`` resolved."""
        if self.lr != "auto":
            return float(self.lr)
        return round(0.002 * 5 / (4 + num_classes), 6) if self.optimizer == "adamw" else 0.01

    def eval_epochs(self) -> tuple[int, ...]:
        """Epochs after which the learning curve is measured, the last one included."""
        points = min(self.eval_points, self.epochs)
        return tuple(sorted({round(self.epochs * (i + 1) / points) - 1 for i in range(points)}))

    def to_json(self) -> dict[str, Any]:
        """A plain structure for JSON."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """SHA-256 of the recipe: equal digests mean equal recipes."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()
