"""Sample detections side by side: one figure a sample, boxes drawn as SVG over one embedded JPEG."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from yolograft.study.report.notation import signed
from yolograft.study.report.reading import Arm
from yolograft.study.report.svg import CLASS_COLOURS, esc, figure, fit, rect, tag, text, text_width
from yolograft.study.report.wording import Wording

Predictions = tuple[NDArray[np.floating], NDArray[np.integer], NDArray[np.floating]]

SCORE = 0.25  # the confidence at which an arm without a best F1 is drawn
MATCH_IOU = 0.5
PANELS_PER_ROW = 4
PANEL, GAP, TITLE = 262.0, 12.0, 56.0
MAX_PANEL_HEIGHT = 340.0
JPEG_SIDES = (360, 720)  # shortest and longest the embedded picture's longer side may be
CROWDED = 10  # panels with more boxes carry no text: colours and the key tell the classes


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Why an image was picked by results.

    saved: errors that the first seed of ``arm`` saves against the baseline; below 0, adds. Where all seeds
    were asked instead: against which arm, its gain in AP points, and the share of pairs of runs that agree
    with its sign, 0..1.
    """

    arm: str
    saved: int = 0
    against: str = ""
    gain: float | None = None
    agree: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One evaluation image with its ground truth and what each arm detects.

    image: uint8 [H, W, 3] RGB. names: class names. boxes: [M, 4] xyxy and labels: [M], original pixels.
    predictions: arm label -> (boxes [N, 4] xyxy in original pixels, labels [N], scores [N] in 0..1).
    thresholds: arm label -> least score drawn, `SCORE` where unknown. chosen: None for an image that was
    picked without looking at results.
    """

    image: NDArray[np.uint8]
    image_id: str
    names: Sequence[str]
    boxes: NDArray[np.floating]
    labels: NDArray[np.integer]
    predictions: Mapping[str, Predictions]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    chosen: Disagreement | None = None

    def threshold(self, arm: str) -> float:
        """The least score at which detections of `arm` are drawn."""
        return self.thresholds.get(arm, SCORE)


@dataclass(frozen=True, slots=True)
class _Mark:
    """One box to draw. style: ``truth``, ``match``, ``false`` or ``missed``."""

    box: NDArray[np.floating]
    label: int
    score: float | None
    style: str


def sample_figure(sample: Sample, arms: Sequence[Arm], *, number: int, words: Wording) -> str:
    """Ground truth, baseline and every arm that has detections for this sample, four panels a row.

    number: unique within a page; it names the embedded picture.
    """
    truth_boxes, truth_labels = _boxes(sample.boxes), _flat(sample.labels).astype(np.int64)
    truth = [_Mark(b, int(k), None, "truth") for b, k in zip(truth_boxes, truth_labels, strict=True)]
    panels: list[tuple[str, str, tuple[str, ...], list[_Mark]]] = [
        (words("truth"), "currentColor", (words("boxes_count", count=len(truth)),), truth)
    ]
    for arm in sorted(arms, key=lambda a: not a.baseline):
        if arm.label in sample.predictions:
            score = sample.threshold(arm.label)
            marks = judge_boxes(truth_boxes, truth_labels, sample.predictions[arm.label], score=score)
            counts = {s: sum(m.style == s for m in marks) for s in ("match", "missed", "false")}
            shown = words("found", found=counts["match"], missed=counts["missed"], false=counts["false"])
            drawn_from = words("at_confidence", score=shown_score(score))
            panels.append((arm.label, arm.colour, (shown, drawn_from), marks))
    height, width = sample.image.shape[:2]
    scale = min(PANEL / width, MAX_PANEL_HEIGHT / height)
    size = (width * scale, height * scale)
    picture = f"sample-{number}"
    parts = [tag("defs", _picture(sample.image, picture, size))]
    columns = min(len(panels), PANELS_PER_ROW)
    # One crowded panel silences all, so that panels differ by what was found and not by how it is drawn.
    lettered = max(sum(mark.style != "missed" for mark in marks) for *_, marks in panels) <= CROWDED
    for i, (title, colour, notes, marks) in enumerate(panels):
        x = (i % PANELS_PER_ROW) * (PANEL + GAP)
        y = (i // PANELS_PER_ROW) * (size[1] + TITLE + GAP)
        parts.append(text(x, y + 14, fit(title, PANEL, 13), size=13, font_weight=600, fill=colour))
        for j, note in enumerate(notes):
            parts.append(text(x, y + 31 + 15 * j, fit(note, PANEL, 11), size=11, fill_opacity=0.68))
        names = sample.names if lettered else None
        parts.append(_panel(x, y + TITLE, size, picture, marks, scale, names))
    deep = -(-len(panels) // PANELS_PER_ROW)
    total = deep * (size[1] + TITLE) + (deep - 1) * GAP
    return figure(columns * (PANEL + GAP) - GAP, total, *parts, label=sample.image_id)


def shown_score(score: float) -> str:
    """A confidence with two decimals; rounded down, so that what is drawn is never below what is said."""
    return f"{math.floor(score * 100) / 100:.2f}" if score >= 0.01 else f"{score:.3f}"


def sample_caption(sample: Sample, *, words: Wording) -> str:
    """The image's name, and for one chosen by results what it was chosen for."""
    chosen = sample.chosen
    if chosen is None:
        return sample.image_id
    if chosen.gain is not None:
        return words(
            "sample_gain" if chosen.gain > 0 else "sample_lost",
            image=sample.image_id,
            arm=chosen.arm,
            against=chosen.against,
            gain=signed(chosen.gain, 2),
            agree="–" if chosen.agree is None else f"{100 * chosen.agree:.0f} %",
        )
    key = "sample_win" if chosen.saved > 0 else "sample_loss"
    return words(key, image=sample.image_id, arm=chosen.arm, count=abs(chosen.saved))


def judge_boxes(
    truth_boxes: NDArray[np.floating],
    truth_labels: NDArray[np.integer],
    predictions: Predictions,
    *,
    score: float = SCORE,
) -> list[_Mark]:
    """Missed truths, then detections at `score` and above, each matched to the free truth it covers best."""
    boxes, labels, scores = _boxes(predictions[0]), _flat(predictions[1]), _flat(predictions[2])
    free = np.ones(len(truth_boxes), dtype=bool)
    marks = []
    for i in np.argsort(-scores, kind="stable"):
        if not scores[i] >= score:
            continue
        overlap = _iou(boxes[i], truth_boxes) * (free & (truth_labels == labels[i]))
        best = int(np.argmax(overlap)) if len(overlap) else -1
        hit = best >= 0 and overlap[best] >= MATCH_IOU
        if hit:
            free[best] = False
        marks.append(_Mark(boxes[i], int(labels[i]), float(scores[i]), "match" if hit else "false"))
    missed = [_Mark(truth_boxes[j], int(truth_labels[j]), None, "missed") for j in np.flatnonzero(free)]
    return missed + marks


def class_key(samples: Sequence[Sample]) -> str:
    """Colours of the classes met in `samples` as HTML."""
    used: dict[int, str] = {}
    for sample in samples:
        found = sample.predictions.items()
        shown = [np.asarray(p[1])[np.asarray(p[2]) >= sample.threshold(arm)] for arm, p in found]
        for k in np.concatenate([_flat(sample.labels), *(_flat(s) for s in shown)]):
            used[int(k)] = _name(sample.names, int(k))
    swatch = '<span class="key"><i style="background:{}"></i>{}</span>'
    return "".join(swatch.format(_class_colour(k), esc(used[k])) for k in sorted(used))


def _flat(values: object) -> NDArray:
    return np.asarray(values).reshape(-1)


def _boxes(values: object) -> NDArray[np.floating]:
    return np.asarray(values, dtype=np.float64).reshape(-1, 4)


def _iou(box: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.floating]:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return shared / np.maximum(areas - shared, 1e-9)


def _class_colour(label: int) -> str:
    return CLASS_COLOURS[label % len(CLASS_COLOURS)]


def _name(names: Sequence[str], label: int) -> str:
    return str(names[label]) if 0 <= label < len(names) else str(label)


def _picture(image: NDArray[np.uint8], name: str, size: tuple[float, float]) -> str:
    href = embedded(image)
    return tag("image", id=name, href=href, width=size[0], height=size[1], preserveAspectRatio="none")


def embedded(image: NDArray[np.uint8]) -> str:
    """uint8 [H, W, 3] RGB as the data address of a JPEG of a size worth showing."""
    height, width = image.shape[:2]
    longer = max(height, width)
    target = min(max(longer, JPEG_SIDES[0]), JPEG_SIDES[1])
    bgr = np.ascontiguousarray(image[:, :, ::-1])
    if target != longer:
        shape = (max(round(width * target / longer), 1), max(round(height * target / longer), 1))
        bgr = cv2.resize(bgr, shape, interpolation=cv2.INTER_AREA if target < longer else cv2.INTER_CUBIC)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 86])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _panel(
    x: float,
    y: float,
    size: tuple[float, float],
    picture: str,
    marks: Sequence[_Mark],
    scale: float,
    names: Sequence[str] | None,
) -> str:
    parts = [tag("use", href=f"#{picture}")]
    parts += [_box(mark, scale) for mark in marks]
    if names is not None:
        parts += [_caption(mark, scale, size, names) for mark in marks if mark.style != "missed"]
    return tag("svg", *parts, x=x, y=y, width=size[0], height=size[1], overflow="hidden")


def _box(mark: _Mark, scale: float) -> str:
    x1, y1, x2, y2 = (float(v) * scale for v in mark.box)
    dash = {"false": "5 3", "missed": "1.5 3"}.get(mark.style)
    colour = "#FFFFFF" if mark.style == "missed" else _class_colour(mark.label)
    # The dark line underneath keeps a bright box visible on a bright picture.
    under = rect(
        x1, y1, x2 - x1, y2 - y1, fill="none", stroke="#000000", stroke_opacity=0.4, stroke_width=2.6
    )
    over = {"fill": "none", "stroke": colour, "stroke_width": 1.3, "stroke_dasharray": dash}
    return under + rect(x1, y1, x2 - x1, y2 - y1, **over)


def _caption(mark: _Mark, scale: float, size: tuple[float, float], names: Sequence[str]) -> str:
    x1, y1 = float(mark.box[0]) * scale, float(mark.box[1]) * scale
    shown = _name(names, mark.label) + ("" if mark.score is None else f" {mark.score:.2f}")
    x = min(max(x1, 2.0), max(size[0] - 1.15 * text_width(shown, 10) - 2, 2.0))
    y = y1 - 4 if y1 >= 14 else y1 + 12
    halo = {"stroke": "#000000", "stroke_width": 2.6, "stroke_opacity": 0.75, "paint_order": "stroke"}
    colour = _class_colour(mark.label)
    return text(x, y, shown, size=10, fill=colour, font_weight=600, stroke_linejoin="round", **halo)
