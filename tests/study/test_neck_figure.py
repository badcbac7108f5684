"""The figure of necks shows the connections the specs have."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import model_spec
from yolograft.study.report.fusion_figure import fusion_chart
from yolograft.study.report.neck_figure import neck_figure, read_neck
from yolograft.study.report.reading import read_arms
from yolograft.study.report.wording import Wording

NECKS = ("fpn", "pan", "bifpn", "dualpath")


@pytest.mark.parametrize("model", ["yolov8n", "yolov5n", "yolox-nano"])
@pytest.mark.parametrize(
    ("neck", "kinds", "gated"),
    [
        ("fpn", {"down": 2, "lateral": 3}, 0),
        ("pan", {"down": 2, "up": 2, "lateral": 4}, 0),
        ("dualpath", {"down": 2, "up": 2, "lateral": 4}, 4),
        ("bifpn", {"down": 2, "up": 2, "lateral": 4, "skip": 1}, 0),
        ("bifpn:repeats=2", {"down": 4, "up": 4, "lateral": 8, "skip": 2}, 0),
    ],
)
def test_connections_are_those_of_the_spec(model: str, neck: str, kinds: dict[str, int], gated: int) -> None:
    nodes, edges = read_neck(graft(model_spec(model), parse_graft(f"neck:{neck}+se@neck.p3")))
    assert Counter(edge.kind for edge in edges) == kinds
    assert sum(edge.gated for edge in edges) == gated
    assert all(node.weighted == neck.startswith("bifpn") for node in nodes.values() if node.column)
    places = [(node.level, node.column) for node in nodes.values()]
    assert len(set(places)) == len(places)


def test_the_figure_is_drawn_whole_in_both_languages() -> None:
    stock = model_spec("yolov5n")
    specs = {name: graft(stock, parse_graft(f"neck:{name}:levels=p2-p6")) for name in NECKS}
    for lang, word in (("en", "top-down"), ("zh", "自顶向下")):
        root = ET.fromstring(neck_figure(specs, lang=lang))
        shown = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
        assert {*NECKS, "P2", "P6", word} <= shown


def test_weights_that_moved_are_drawn_and_others_are_not() -> None:
    epochs = [{"epoch": k, "loss": 1.0, "fusion/neck.p4.fuse/neck.td4": 0.5 + k / 10} for k in range(3)]
    runs = [{"seed": seed, "ap": 0.3, "history": epochs} for seed in (0, 1)]
    results = {"arms": [{"label": "baseline", "baseline": True}, {"label": "bifpn", "runs": runs}]}
    baseline, arm = read_arms(results)
    for lang in ("en", "zh"):
        words = Wording(lang)
        assert fusion_chart(baseline, words=words) == ""
        root = ET.fromstring(fusion_chart(arm, words=words))
        (drawn,) = root.iter("{http://www.w3.org/2000/svg}polyline")
        heights = [float(point.split(",")[1]) for point in drawn.attrib["points"].split()]
        assert len(heights) == 3 and heights == sorted(heights, reverse=True)
        assert "neck.td4" in {e.text for e in root.iter("{http://www.w3.org/2000/svg}text")}
