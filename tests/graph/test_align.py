"""Which rows are the stock's: found by alignment, wherever rows are inserted, whatever the indices say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_files import STOCKS, V5, V8, read, stock_spec, with_rows

from yolograft.graph.dialect.align import align, nearest
from yolograft.graph.dialect.indexfile import Row
from yolograft.graph.dialect.read import parse_index_file
from yolograft.graph.dialect.stock import index_rows
from yolograft.models.dialect_words import WORDS

BY_NAME = {stock.name: stock for stock in STOCKS}
STOCK_ROWS = {name: index_rows(stock, WORDS) for name, stock in BY_NAME.items()}


def row(module: str, *args: object, repeats: int = 1, sources: tuple[int, ...] = (-1,)) -> Row:
    return Row(0, sources, (0,), repeats, module, args, 0)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_stock_is_itself(name: str) -> None:
    rows = STOCK_ROWS[name]
    assert align(rows, rows) == tuple(range(len(rows)))
    found = nearest(rows, STOCKS, words=WORDS)
    assert (found.stock.name, found.scale, found.places) == (name, "", tuple(range(len(rows))))


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("scale", ["n", "x"])
def test_written_out_numbers_are_recognised(name: str, scale: str) -> None:
    rows = index_rows(BY_NAME[name], WORDS, scale=BY_NAME[name].scales[scale])
    found = nearest(rows, STOCKS, words=WORDS)
    assert (found.stock.name, found.scale) == (name, scale)
    assert found.places == tuple(range(len(rows)))


def test_stock_rows_are_the_published_table() -> None:
    for name, text in (("yolov8", V8), ("yolov5", V5)):
        for ours, theirs in zip(STOCK_ROWS[name][:-1], parse_index_file(text).rows, strict=False):
            same = (ours.module, ours.args, ours.repeats, ours.inputs)
            assert same == (theirs.module, theirs.args, theirs.repeats, theirs.inputs)


inserted = st.sampled_from(
    [row("SE", 64), row("CBAM"), row("CoordAtt", 256, repeats=3), row("MyAtt", 7), row("DWConv", 64, 3, 1)]
)


@given(name=st.sampled_from(sorted(BY_NAME)), data=st.data())
def test_inserted_rows_are_found_wherever_they_stand(name: str, data: st.DataObject) -> None:
    rows = list(STOCK_ROWS[name])
    expected: list[int | None] = list(range(len(rows)))
    for _ in range(data.draw(st.integers(0, 5))):
        place = data.draw(st.integers(0, len(rows) - 1))
        rows.insert(place, data.draw(inserted))
        expected.insert(place, None)
    assert align(rows, STOCK_ROWS[name], words=WORDS) == tuple(expected)
    found = nearest(rows, STOCKS, words=WORDS)
    assert found.stock.name == name and found.places == tuple(expected)


@given(name=st.sampled_from(sorted(BY_NAME)), data=st.data())
def test_places_rise_and_never_name_another_module(name: str, data: st.DataObject) -> None:
    stock = STOCK_ROWS[name]
    rows = data.draw(st.lists(st.sampled_from(stock) | inserted, max_size=40))
    places = align(rows, stock, words=WORDS)
    taken = [place for place in places if place is not None]
    assert len(places) == len(rows) and taken == sorted(set(taken))
    for item, place in zip(rows, places, strict=True):
        assert place is None or item.module == stock[place].module


def test_a_row_left_out_shifts_nothing() -> None:
    rows = [item for item in STOCK_ROWS["yolov8"] if item.index not in (9, 19)]
    expected = tuple(index for index in range(23) if index not in (9, 19))
    assert align(rows, STOCK_ROWS["yolov8"]) == expected


def test_equal_rows_beside_each_other_keep_the_first() -> None:
    rows = list(STOCK_ROWS["yolov8"])
    rows.insert(6, rows[5])
    assert align(rows, STOCK_ROWS["yolov8"]) == (*range(6), None, *range(6, 23))


def test_an_alias_is_the_same_module() -> None:
    rows = [row("Upsample", None, 2, "nearest")]
    stock = [row("nn.Upsample", None, 2, "nearest")]
    assert align(rows, stock) == (None,) and align(rows, stock, words=WORDS) == (0,)


def test_stale_indices_do_not_matter() -> None:
    text = with_rows(V8, "[128, True]", "- [-1, 1, SE, [128]]")
    found = read(text)
    assert found.nearest.places == (0, 1, 2, None, *range(3, 23))
    names = [layer.name for layer in found.spec.layers]
    assert [name for name in names if "+" not in name] == [layer.name for layer in stock_spec("yolov8", "n")]
    assert names[3] == "backbone.p2+se" and dict(found.spec.sites)["backbone.p2"] == "backbone.p2+se"
    # Wired as written: the Concat reads what stands at 6 now.
    assert found.spec.layer("neck.td4.cat").inputs == ("neck.td4.up", "backbone.p4.down")


def test_a_head_on_p2_is_told_from_its_layers() -> None:
    spec = stock_spec("yolov8-p2", "s")
    found = nearest(index_rows(BY_NAME["yolov8-p2"], WORDS), STOCKS, words=WORDS)
    assert len(found.places) == len(spec.layers) and found.stock.name == "yolov8-p2"
