"""Image files to RGB arrays at network scale: decode, resize, letterbox geometry."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolograft.data.rasters import carries_alpha
from yolograft.errors import DataError

Image = NDArray[np.uint8]
PAD_VALUE = 114
# The widest stride of the stock models: sides of their input are multiples of it.
STRIDE = 32
_PNG, _TIFF = b"\x89PNG\r\n\x1a\n", (b"II*\0", b"MM\0*")
# Raise it when `decode_file` or `resize` gives other pixels for a file: images kept on disk by another
# version are then left alone.
DECODER_VERSION = 1


def decode(data: bytes | NDArray[np.uint8], *, where: str = "") -> Image:
    """Decode image bytes to RGB uint8 [H, W, 3], EXIF orientation applied, grey repeated to three channels.

    CMYK is converted, alpha is dropped, 16 bits a channel become 8 by rounding v / 257 (65535 -> 255), and of
    several frames the first one counts. The kind of an image is read from its bytes, never from a suffix.

    Raises:
        DataError: YG330 when the bytes are no readable image.
    """
    buffer = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    start = buffer[:25].tobytes()
    try:
        if start.startswith(_TIFF):
            image = _decode_tiff(buffer)
        elif start.startswith(_PNG) and start[24:] == b"\x10":
            image = _decode_deep(buffer)
        else:
            image = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB) if buffer.size else None
    except cv2.error:
        image = None
    if image is None or image.dtype != np.uint8:
        fix = "replace or remove the file; `yolograft data check --decode` finds all such files"
        raise DataError("YG330", "the image cannot be decoded", where=where, fix=fix)
    return np.asarray(image, dtype=np.uint8)


def _decode_deep(buffer: NDArray[np.uint8]) -> NDArray[Any] | None:
    # Asked for 8 bits, OpenCV truncates v / 256 here and rounds there; asked for deep RGB it gives BGR for
    # some TIFF files. Deep BGR is the same everywhere.
    image = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image is None:
        return None
    image = np.ascontiguousarray(image[..., ::-1])
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8) if image.dtype == np.uint16 else image


def _decode_tiff(buffer: NDArray[np.uint8]) -> NDArray[Any] | None:
    if not carries_alpha(BytesIO(buffer.tobytes())):
        return _decode_deep(buffer)
    image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8 or image.shape[2:] != (4,):
        return _decode_deep(buffer)
    # The TIFF library multiplies colours by alpha; divided again, they are what other formats keep.
    alpha = np.maximum(image[..., 3:].astype(np.uint32), 1)
    colours = (image[..., 2::-1].astype(np.uint32) * 255 + alpha // 2) // alpha
    return np.minimum(colours, 255).astype(np.uint8)


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

    def to_original(self, boxes: Any, *, clip: bool = True) -> Any:
        """xyxy input pixels -> xyxy original pixels, clipped to the image or not, [N, 4] torch or numpy."""
        boxes = boxes + 0
        sy, sx = self.scale
        boxes[..., 0::2] = (boxes[..., 0::2] - self.left) / sx
        boxes[..., 1::2] = (boxes[..., 1::2] - self.top) / sy
        if clip:
            boxes[..., 0::2] = boxes[..., 0::2].clip(0, self.original[1])
            boxes[..., 1::2] = boxes[..., 1::2].clip(0, self.original[0])
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
