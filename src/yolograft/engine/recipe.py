"""A training recipe: every number that shapes a run, validated, printable and hashed into the manifest."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator

from yolograft.data.augment import AugmentConfig


class Recipe(BaseModel):
    """Defaults train a nano or small detector from scratch on a few hundred to a few thousand images.

    imgsz is (height, width) of the network input in pixels. lr is the peak rate; ``auto`` takes
    0.002 * 5 / (4 + classes) for AdamW. lr_final is the fraction of it left at the end. warmup_epochs is
    stretched to at least 100 steps but never beyond a tenth of the run. The EMA decay at step t is
    ema_decay * (1 - exp(-t / ema_tau)). clip is the largest gradient norm. precision ``auto`` is bf16
    autocast where the device computes in it, fp16 with loss scaling on other GPUs, fp32 elsewhere.
    close_mosaic turns mosaic and mixup off for the last epochs, at most a quarter of the run. box_loss is the
    IoU term of the box loss. multi_scale draws the side of every batch from 1 - m .. 1 + m times imgsz.
    class_balance 0 shows every image once an epoch, 1 draws images with weight 1 / sqrt(share of the rarest
    class in them).
    eval_points is how often the curve is measured.
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
    ema_decay: float = Field(0.9999, ge=0, lt=1)
    ema_tau: float = Field(2000.0, gt=0)
    clip: float = Field(10.0, gt=0)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    box_gain: float = Field(7.5, ge=0)
    cls_gain: float = Field(0.5, ge=0)
    dfl_gain: float = Field(1.5, ge=0)
    box_loss: Literal["ciou", "giou", "diou", "siou", "wiou"] = "ciou"
    small_boxes: Literal["paper", "widened"] = "widened"
    multi_scale: float = Field(0.0, ge=0, le=0.5)
    class_balance: float = Field(0.0, ge=0, le=1)
    close_mosaic: int = Field(10, ge=0)
    eval_points: int = Field(8, ge=1)
    augment: AugmentConfig = AugmentConfig()

    @field_validator("imgsz")
    @classmethod
    def _multiples_of_stride(cls, value: tuple[int, int]) -> tuple[int, int]:
        if any(side <= 0 or side % 32 for side in value):
            raise ValueError(f"{value[0]}x{value[1]}: both sides must be positive multiples of 32")
        return value

    def plain_epochs(self) -> int:
        """Last epochs without mosaic."""
        return min(self.close_mosaic, self.epochs // 4)

    def largest_size(self) -> tuple[int, int]:
        """(height, width) of the largest image a batch can have, pixels."""
        height, width = (math.ceil(side * (1 + self.multi_scale) / 32) * 32 for side in self.imgsz)
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
