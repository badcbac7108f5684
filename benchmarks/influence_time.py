"""Time of the influence of every image on AP, against the replicates of an image bootstrap it stands for.

    python benchmarks/influence_time.py [--images 2000] [--classes 20] [--detections 40000] [--rounds 15]

One synthetic detector, all ten IoUs, one thread. Prints one JSON document: medians in processor ms of the
closed form and of one weighted-cumsum bootstrap replicate of the same AP, and the ratio of the closed form
to a bootstrap of 1,000 replicates.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from yolograft.metrics.influence import area_ap, influence
from yolograft.metrics.matches import AREAS, IOUS, MatchTable
from yolograft.rng import stream


def detector(images: int, classes: int, detections: int) -> MatchTable:
    """A match table of boxes found or not at random: about a fifth of the detections are right at IoU .5."""
    draws = stream(0, "influence time")
    label = np.sort(draws.integers(0, classes, detections)).astype(np.int32)
    score = draws.random(detections).astype(np.float32)
    order = np.lexsort((-score, label))
    quality = draws.random(detections) * (draws.random(detections) < 0.2 + 0.3 * score)
    tp = quality[:, None] > np.linspace(0.05, 0.8, len(IOUS))
    ignored = ~tp & (draws.random(detections) < 0.02)[:, None]
    pairs = np.unique(draws.integers(0, images * classes, detections // 5))
    counts = np.repeat(draws.integers(1, 4, (len(pairs), 1)), len(AREAS), axis=1)
    return MatchTable(
        image=draws.integers(0, images, detections).astype(np.int32),
        label=label,
        score=score[order],
        tp=np.repeat(tp[None, order], len(AREAS), axis=0),
        ignored=np.repeat(ignored[None, order], len(AREAS), axis=0),
        gt_image=(pairs // classes).astype(np.int32),
        gt_label=(pairs % classes).astype(np.int32),
        gt_count=counts.astype(np.int32),
        images=images,
        num_classes=classes,
    )


def replicate(matches: MatchTable, draw: np.random.Generator) -> float:
    """Area AP of one bootstrap draw of images, by weighted cumulative sums."""
    weight = draw.multinomial(matches.images, np.full(matches.images, 1 / matches.images)).astype(float)
    values = []
    positives = np.zeros(matches.num_classes)
    np.add.at(positives, matches.gt_label, matches.gt_count[:, 0] * weight[matches.gt_image])
    for label in np.flatnonzero(positives):
        rows = matches.rows(int(label))
        by_row = weight[matches.image[rows]][:, None]
        hit = matches.tp[0, rows] * by_row
        found = np.cumsum((matches.tp[0, rows] | ~matches.ignored[0, rows]) * by_row, axis=0)
        precision = np.cumsum(hit, axis=0) / np.maximum(found, 1e-12)
        envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        values.append((hit * envelope).sum(axis=0) / positives[label])
    return float(np.mean(values))


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """Median processor time of ``work`` after one untimed run, in milliseconds."""
    times = []
    for _ in range(rounds + 1):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) * 1e3)
    return statistics.median(times[1:])


def main() -> None:
    """Read the options, time both, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, value in (("images", 2000), ("classes", 20), ("detections", 40_000), ("rounds", 15)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    matches = detector(options.images, options.classes, options.detections)
    draw = stream(1, "influence time")
    closed = median_ms(lambda: influence(matches), options.rounds)
    one = median_ms(lambda: replicate(matches, draw), options.rounds)
    report = {
        **{key: getattr(options, key) for key in ("images", "classes", "detections")},
        "ap": round(100 * area_ap(matches), 2),
        "influence_ms": round(closed, 1),
        "bootstrap_replicate_ms": round(one, 1),
        "share_of_1000_replicates": round(closed / (1000 * one), 5),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
