"""The figures of the report: the placement grid, sample pictures, scales and notation."""

from __future__ import annotations

import base64
import itertools
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import cv2
import numpy as np
import pytest
from report_inputs import grafted, synthetic, yolov8_layers
from report_page import checked

from yolograft.study.report.charts import class_chart, cost_chart, seed_chart
from yolograft.study.report.curves import curve_chart
from yolograft.study.report.gallery import Sample, judge_boxes
from yolograft.study.report.notation import decimal, duration, interval, signed
from yolograft.study.report.page import render_report
from yolograft.study.report.placement import lay_out
from yolograft.study.report.placement_figure import placement_figure
from yolograft.study.report.reading import read_arms
from yolograft.study.report.svg import Scale, fit, spread, text_width
from yolograft.study.report.wording import Wording, split_verdict

# --- placement ---------------------------------------------------------------------------------------------


def _layout(layers: list[dict[str, Any]]):
    return lay_out(read_arms({"arms": [{"label": "a", "layers": layers}]})[0].layers)


def test_yolov8_is_laid_out_as_in_its_papers():
    layout = _layout(yolov8_layers())
    place = {c.layer.name: (c.row, c.last, c.column, c.group) for c in layout.cells}
    assert layout.strides == (2, 4, 8, 16, 32)
    assert place == {
        "stem": (0, 0, 0, 0),
        "backbone.p2": (1, 1, 0, 0),
        "backbone.p3": (2, 2, 0, 0),
        "backbone.p4": (3, 3, 0, 0),
        "backbone.p5": (4, 4, 0, 0),
        "backbone.sppf": (4, 4, 1, 0),
        "neck.td4": (3, 3, 2, 1),
        "neck.p3": (2, 2, 2, 1),
        "neck.p4": (3, 3, 3, 1),
        "neck.p5": (4, 4, 3, 1),
        "head": (2, 4, 4, 2),
    }
    names = [c.layer.name for c in layout.cells]
    drawn = {(names[a], names[b]) for a, b in layout.edges}
    assert {("backbone.sppf", "neck.td4"), ("neck.td4", "neck.p4"), ("backbone.sppf", "neck.p5")} <= drawn
    assert len(drawn) == 16


def test_grafts_stack_under_their_hosts_and_move_nothing():
    layers = yolov8_layers()
    plain, grown = _layout(layers), _layout(grafted(layers, "coord_att", "neck.p3", "backbone.p4"))
    assert [(c.layer.name, c.row, c.column) for c in plain.cells] == [
        (c.layer.name, c.row, c.column) for c in grown.cells
    ]
    assert plain.edges == grown.edges
    stacked = {c.layer.name: [g.name for g in c.grafts] for c in grown.cells if c.grafts}
    assert stacked == {"neck.p3": ["neck.p3+coord_att"], "backbone.p4": ["backbone.p4+coord_att"]}


def test_a_graft_on_one_edge_gets_its_own_place():
    layers = yolov8_layers()
    position = next(i for i, layer in enumerate(layers) if layer["name"] == "neck.td4.up")
    added = {"name": "backbone.p4..neck.td4+se", "module": "se", "inputs": ["backbone.p4"], "stride": 16}
    layers.insert(position, {**added, "out_channels": 128, "params": 1, "new": True})
    joined = next(layer for layer in layers if layer["name"] == "neck.td4.cat")
    joined["inputs"] = ["neck.td4.up", "backbone.p4..neck.td4+se"]
    layout = _layout(layers)
    cell = next(c for c in layout.cells if c.layer.new)
    assert (cell.row, cell.column, cell.grafts) == (3, 1, ())
    places = [(r, c.column) for c in layout.cells for r in range(c.row, c.last + 1)]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("drop", range(0, 24, 3))
def test_broken_graphs_still_draw(drop):
    layers = yolov8_layers()
    del layers[drop % len(layers)]
    layers[0]["stride"], layers[-1]["inputs"] = None, None
    arm = read_arms({"arms": [{"label": "a", "layers": layers}]})[0]
    ElementTree.fromstring(placement_figure(arm.layers, colour="#0072B2", words=Wording("zh")))


# --- samples -----------------------------------------------------------------------------------------------


def test_detections_are_matched_best_first_within_their_class():
    truth = np.array([[0, 0, 10, 10], [20, 20, 30, 30.0]])
    found = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60.0]])
    marks = judge_boxes(
        truth, np.array([0, 1]), (found, np.array([0, 0, 0, 1]), np.array([0.6, 0.9, 0.8, 0.1]))
    )
    assert [(m.style, m.score) for m in marks] == [
        ("missed", None),
        ("match", 0.9),
        ("false", 0.8),
        ("false", 0.6),
    ]


def test_empty_images_and_empty_predictions_render():
    none = (np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    blank = np.zeros((7, 5, 3), np.uint8)
    empty = Sample(blank, "空.png", (), np.zeros((0, 4)), np.zeros(0, int), {"baseline": none})
    text = checked(render_report(synthetic(epochs=2), samples=[empty])).text
    assert "0 found, 0 missed, 0 false" in text and "空.png" in text


def test_pictures_are_rgb_jpegs_scaled_to_be_seen():
    red = np.zeros((20, 40, 3), np.uint8)
    red[..., 0] = 255
    page = render_report(
        synthetic(epochs=2), samples=[Sample(red, "r", (), np.zeros((0, 4)), np.zeros(0), {})]
    )
    data = re.search(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)
    assert data
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data[1]), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[:2] == (180, 360)
    assert image[..., 2].mean() > 250 and image[..., :2].mean() < 5


# --- small parts -------------------------------------------------------------------------------------------


def test_notation():
    assert (decimal(-0.04), decimal(None), decimal(-20.06), decimal(1234.5)) == (
        "0.0",
        "–",
        "−20.1",
        "1,234.5",
    )
    assert (signed(0.04), signed(0.06), signed(-3), signed(None)) == ("0.0", "+0.1", "−3.0", "–")
    assert (interval(-1, 2), interval(None, 2)) == ("[−1.0, +2.0]", "")
    assert (duration(3.25), duration(150), duration(3900), duration(None)) == (
        "3.2 s",
        "2 min 30 s",
        "1 h 05 min",
        "–",
    )
    assert (duration(59.7), duration(3599.8)) == ("1 min 00 s", "1 h 00 min")


def test_verdicts_split_into_word_and_qualifier():
    assert split_verdict("hurts") == ("hurts", "")
    assert split_verdict("helps, smaller than your margin") == ("helps", "smaller than your margin")
    assert split_verdict("not enough seeds (needs >= 12)") == ("not enough seeds", "needs >= 12")
    assert Wording("zh").verdict("needs >= 12 images") == "至少需要 12 张图"


def test_scales_map_ends_and_tick_inside():
    for low, high in ((-25.0, 1.0), (44.9, 45.1), (0.0, 1e-3), (3.0, 9e5)):
        scale = Scale(low, high, 10, 110)
        assert (scale.at(low), scale.at(high)) == pytest.approx((10, 110))
        ticks = scale.ticks()
        assert 3 <= len(ticks) <= 11 and all(low - 1e-9 <= t <= high + 1e-9 for t in ticks)
    assert Scale(1, 100, 0, 2, log=True).at(10) == pytest.approx(1)


def test_spread_keeps_order_distance_and_range():
    placed = spread([50, 50, 51, 10, 98, 99], 15, low=0, high=100)
    ordered = sorted(placed)
    assert all(b - a >= 15 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert ordered[0] >= 0 and ordered[-1] <= 100 and placed[3] == ordered[0]


def test_fitted_text_is_never_wider_than_its_room():
    for content in ("coord_att", "红细胞与白细胞", "x" * 200):
        assert text_width(fit(content, 60, 12), 12) <= 60


def test_no_finished_run_draws_no_result_figure():
    results = synthetic()
    for arm in results["arms"]:
        arm.update(runs=[], mean=None, sd=None, comparison=None)
    arms, words = read_arms(results), Wording("en")
    assert not any([seed_chart(arms, words=words), class_chart(arms, words=words)])
    assert curve_chart(arms, "loss", words=words) == "" and cost_chart(arms, words=words)
