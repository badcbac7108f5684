"""Layers of a file and layers of ours: what was put in between belongs to nothing and shifts nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from yolograft.models.foreign.align import Layer, align


def conv(wide: int, narrow: int = 8) -> Layer:
    return {"conv.weight": (wide, narrow, 3, 3), "bn.weight": (wide,), "bn.bias": (wide,), "bn.count": ()}


def gate(wide: int) -> Layer:
    return {"fc1.weight": (wide // 4, wide), "fc2.weight": (wide, wide // 4)}


STOCK = [conv(16, 3), conv(32, 16), conv(32, 32), conv(64, 32), conv(64, 64), conv(64, 64)]


def test_equal_sequences_are_paired_in_order() -> None:
    assert align(STOCK, STOCK) == list(range(len(STOCK)))


def test_nothing_pairs_with_nothing() -> None:
    assert align([], STOCK) == [None] * len(STOCK)
    assert align(STOCK, []) == []


@given(st.lists(st.tuples(st.integers(0, len(STOCK)), st.sampled_from([8, 16, 32, 64, 99])), max_size=6))
def test_rows_put_in_between_shift_nothing(added: list[tuple[int, int]]) -> None:
    theirs: list[tuple[Layer, int | None]] = [(layer, i) for i, layer in enumerate(STOCK)]
    for place, wide in sorted(added, reverse=True):
        theirs.insert(place, (gate(wide), None))
    found = align([layer for layer, _ in theirs], STOCK)
    assert [theirs[i][1] for i in found if i is not None] == list(range(len(STOCK)))


def test_a_row_of_the_same_kind_but_another_width_is_left_out() -> None:
    theirs = [*STOCK[:2], conv(48, 32), *STOCK[2:]]
    assert align(theirs, STOCK) == [0, 1, 3, 4, 5, 6]


def test_of_two_alike_the_first_is_ours() -> None:
    assert align([*STOCK[:3], STOCK[2], *STOCK[3:]], STOCK) == [0, 1, 2, 4, 5, 6]


def test_a_layer_that_lost_its_width_still_lands_on_its_own() -> None:
    theirs = [*STOCK[:3], conv(64, 48), *STOCK[4:]]
    assert align(theirs, STOCK) == [0, 1, 2, 3, 4, 5]


def test_a_missing_layer_leaves_a_gap() -> None:
    assert align([*STOCK[:3], *STOCK[4:]], STOCK) == [0, 1, 2, None, 3, 4]


def test_counters_without_a_shape_prove_nothing() -> None:
    ours = [{"bn.count": (), "conv.weight": (8, 8, 1, 1)}]
    theirs = [{"bn.count": (), "conv.weight": (4, 4, 1, 1)}, {"bn.count": (), "conv.weight": (8, 8, 1, 1)}]
    assert align(theirs, ours) == [1]


def test_more_inside_a_layer_does_not_hide_it() -> None:
    grown = {**STOCK[2], **{f"inner.{k}": v for k, v in gate(32).items()}}
    assert align([*STOCK[:2], grown, *STOCK[3:]], STOCK) == [0, 1, 2, 3, 4, 5]
