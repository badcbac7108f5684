"""Image files to RGB arrays at network scale: decode, letterbox geometry, a cache in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolograft.data.memory import available_bytes
from yolograft.data.records import ImageRecord
from yolograft.errors import DataError

Image = NDArray[np.uint8]
PAD_VALUE = 114
# Share of the memory free at the start that cached images may fill.
CACHE_SHARE = 0.25


def decode(data: bytes | NDArray[np.uint8], *, where: str = "") -> Image:
    """Decode image bytes to RGB uint8 [H, W, 3], EXIF orientation applied, grey repeated to three channels.

    Raises:
        DataError: YG330 when the bytes are no readable image.
    """
    buffer = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB) if buffer.size else None
    except cv2.error:
        image = None
    if image is None:
        raise DataError("YG330", "the image cannot be decoded", where=where, fix="replace or remove the file")
    return np.asarray(image, dtype=np.uint8)


def decode_file(path: Path) -> Image:
    """Decode an image file, its path in any script, to RGB uint8 [H, W, 3].

    Raises:
        DataError: YG330 when the file is missing or no readable image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError("YG330", f"cannot read the image: {error.strerror}", where=str(path)) from None
    return decode(data, where=str(path))


def fitted_size(size: tuple[int, int], imgsz: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of an image of `size` scaled, ratio kept, to touch the inside of `imgsz` (H, W)."""
    ratio = min(imgsz[0] / size[0], imgsz[1] / size[1])
    return max(round(size[0] * ratio), 1), max(round(size[1] * ratio), 1)


def resize(image: Image, size: tuple[int, int]) -> Image:
    """Resize to (height, width): by area when shrinking, bilinear when growing."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] < image.shape[0] or size[1] < image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=method), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an original image lies inside a network input. All sizes are (height, width) in pixels.

    original: the decoded image. resized: the image at network scale. input: the padded network input.
    top, left: padding before the image, input pixels.
    """

    original: tuple[int, int]
    resized: tuple[int, int]
    input: tuple[int, int]
    top: int
    left: int

    @property
    def scale(self) -> tuple[float, float]:
        """(vertical, horizontal) input pixels per original pixel; they differ by rounding only."""
        return self.resized[0] / self.original[0], self.resized[1] / self.original[1]

    def to_input(self, boxes: Any) -> Any:
        """xyxy original pixels -> xyxy input pixels, [N, 4] torch or numpy, same dtype."""
        boxes = boxes + 0
        sy, sx = self.scale
        boxes[..., 0::2] = boxes[..., 0::2] * sx + self.left
        boxes[..., 1::2] = boxes[..., 1::2] * sy + self.top
        return boxes

    def to_original(self, boxes: Any) -> Any:
        """xyxy input pixels -> xyxy original pixels clipped to the image, [N, 4] torch or numpy."""
        boxes = boxes + 0
        sy, sx = self.scale
        boxes[..., 0::2] = ((boxes[..., 0::2] - self.left) / sx).clip(0, self.original[1])
        boxes[..., 1::2] = ((boxes[..., 1::2] - self.top) / sy).clip(0, self.original[0])
        return boxes


def centred(original: tuple[int, int], resized: tuple[int, int], into: tuple[int, int]) -> Letterbox:
    """The letterbox that puts a resized image in the middle of an input of size `into`."""
    top, left = (into[0] - resized[0]) // 2, (into[1] - resized[1]) // 2
    return Letterbox(original, resized, into, top, left)


def rectangle(original: tuple[int, int], *, imgsz: tuple[int, int], stride: int) -> Letterbox:
    """The letterbox in the smallest rectangle inside `imgsz` (H, W) whose sides are multiples of `stride`.

    Raises:
        DataError: YG331 when `imgsz` itself is not a multiple of `stride`.
    """
    if imgsz[0] % stride or imgsz[1] % stride or min(imgsz) <= 0:
        near = ",".join(str(max(round(side / stride), 1) * stride) for side in imgsz)
        cause = f"image size {imgsz[0]},{imgsz[1]} is not a multiple of stride {stride}"
        raise DataError("YG331", cause, fix=f"use --imgsz {near}")
    resized = fitted_size(original, imgsz)
    into = (-(-resized[0] // stride) * stride, -(-resized[1] // stride) * stride)
    return centred(original, resized, into)


def paste(image: Image, box: Letterbox, *, out: Image) -> None:
    """Write a resized image [h, w, 3] into `out` [H, W, 3] with grey padding, as `box` says."""
    bottom, right = box.top + box.resized[0], box.left + box.resized[1]
    out[: box.top], out[bottom:] = PAD_VALUE, PAD_VALUE
    out[box.top : bottom, : box.left], out[box.top : bottom, right:] = PAD_VALUE, PAD_VALUE
    out[box.top : bottom, box.left : right] = image


class Scaled(NamedTuple):
    """An image at network scale and how it got there: original pixels * scale = its pixels."""

    image: Image
    scale: tuple[float, float]


class ImageStore:
    """Images of records at network scale (long side fits `imgsz`, ratio kept), RGB uint8.

    Args:
        records: the images, asked for by position.
        imgsz: (H, W) the images fit into, pixels.
        cache: ``"ram"`` keeps resized images up to the limit, ``"none"`` decodes each time. Results are
            the same, bit for bit.
        limit_bytes: most bytes to keep; a quarter of the memory available now when None.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        *,
        imgsz: tuple[int, int],
        cache: str = "ram",
        limit_bytes: int | None = None,
    ) -> None:
        if cache not in ("ram", "none"):
            raise DataError("YG332", f"unknown cache '{cache}'", fix="use ram or none")
        self.records = tuple(records)
        self.imgsz = imgsz
        limit = int(available_bytes() * CACHE_SHARE) if limit_bytes is None else limit_bytes
        self._room = limit if cache == "ram" else 0
        self._kept: dict[int, Image] = {}
        self._targets: dict[int, tuple[NDArray[np.float64], NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        return len(self.records)

    def __getstate__(self) -> dict[str, Any]:
        # A worker started by spawn fills its own cache; sending pixels would cost more than decoding.
        kept = sum(image.nbytes for image in self._kept.values())
        return {**self.__dict__, "_kept": {}, "_room": self._room + kept}

    def __getitem__(self, index: int) -> Scaled:
        """The image of record `index`; treat it as read-only.

        Raises:
            DataError: YG330 when the file is damaged, YG333 when it is no longer the image that was read.
        """
        record = self.records[index]
        image = self._kept.get(index)
        if image is None:
            whole = decode_file(record.path)
            if whole.shape[:2] != (record.height, record.width):
                cause = (
                    f"image is {whole.shape[1]}x{whole.shape[0]}, was read as {record.width}x{record.height}"
                )
                raise DataError("YG333", cause, where=str(record.path), fix="open the dataset again")
            image = resize(whole, fitted_size(whole.shape[:2], self.imgsz))
            if image.nbytes <= self._room:
                image.flags.writeable = False
                self._kept[index] = image
                self._room -= image.nbytes
        return Scaled(image, (image.shape[0] / record.height, image.shape[1] / record.width))

    def targets(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(boxes [N, 4] xyxy in pixels of ``self[index].image``, labels [N]) to train on: no crowd."""
        found = self._targets.get(index)
        if found is None:
            record = self.records[index]
            size = (record.height, record.width)
            resized, real = fitted_size(size, self.imgsz), ~record.crowd
            sy, sx = resized[0] / size[0], resized[1] / size[1]
            found = self._targets[index] = (record.boxes[real] * (sx, sy, sx, sy), record.labels[real])
        return found
