"""Detections on image files, through the very path evaluation takes; pictures with boxes and a JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from yolograft.data.eval_stream import batch_of_image
from yolograft.data.images import Image, decode_file
from yolograft.data.paths import IMAGE_SUFFIXES, images_in
from yolograft.engine.checkpoint import write_json
from yolograft.engine.evaluate import EvalSettings, detect
from yolograft.engine.lettering import Lettering
from yolograft.errors import DataError
from yolograft.models.detector import Detector
from yolograft.types import Detections

# Okabe-Ito, RGB: told apart by every kind of colour vision.
PALETTE = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (213, 94, 0), (0, 114, 178), (204, 121, 167))


def find_images(sources: Sequence[Path]) -> list[Path]:
    """Image files named directly or found in folders, in order.

    Raises:
        DataError: a source does not exist, or there is no image at all (YG340).
    """
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            found += images_in(source)
        elif source.is_file():
            found.append(source)
        else:
            raise DataError("YG340", "no such file or folder", where=str(source))
    if not found:
        raise DataError(
            "YG340", "no image to look at", fix=f"images end in {' '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return found


def predict_files(
    detector: Detector,
    images: Sequence[Path],
    *,
    names: Sequence[str],
    imgsz: tuple[int, int],
    confidence: float,
    folder: Path,
) -> list[dict[str, Any]]:
    """Detect on every image, write one PNG each and ``detections.json`` into ``folder``.

    Returns:
        per image: path, size and detections (name, label, score, box xyxy in original pixels).
    """
    answers, lettering = [], Lettering(names)
    for number, path in enumerate(images):
        try:
            pixels = decode_file(path)
        except DataError as error:
            answers.append({"image": str(path), "error": error.line(), "detections": []})
            continue
        batch = batch_of_image(pixels, imgsz=imgsz, stride=detector.stride)
        found = _finite(detect(detector, [batch], images=1, settings=EvalSettings(confidence=confidence))[0])
        picture = f"{number:04d}-{path.stem}.png"
        _write_png(folder / picture, _drawn(pixels, found, lettering))
        answers.append(
            {
                "image": str(path),
                "height": pixels.shape[0],
                "width": pixels.shape[1],
                "picture": picture,
                "detections": [
                    {
                        "name": names[int(k)],
                        "label": int(k),
                        "score": float(s),
                        "box": [float(v) for v in box],
                    }
                    for box, s, k in zip(found.boxes, found.scores, found.labels, strict=True)
                ],
            }
        )
    write_json(folder / "detections.json", answers)
    return answers


def _finite(found: Detections) -> Detections:
    """Without boxes that are nowhere, as a diverged model predicts them."""
    keep = found.boxes.isfinite().all(1)
    return Detections(found.boxes[keep], found.scores[keep], found.labels[keep])


def _drawn(pixels: Image, found: Detections, lettering: Lettering) -> Image:
    canvas = pixels.copy()
    thick = max(1, round(max(canvas.shape[:2]) / 400))
    for box, score, label in zip(found.boxes.numpy(), found.scores, found.labels, strict=True):
        x1, y1, x2, y2 = (round(float(v)) for v in box)
        colour = PALETTE[int(label) % len(PALETTE)]
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, thick, cv2.LINE_AA)
        lettering.draw(canvas, int(label), float(score), place=(x1 + 2, max(y1 - 4, 10)), colour=colour)
    return canvas


def _write_png(path: Path, pixels: Image) -> None:
    done, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    if not done:
        raise DataError("YG341", "cannot encode the picture", where=str(path))
    path.write_bytes(np.asarray(data).tobytes())
