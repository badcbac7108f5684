"""The checks of module options: what passes comes back, what does not is one line with the value in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from yolograft.errors import MAX_LINE, ModuleError
from yolograft.nn import options

ACCEPTED: list[tuple[Callable[..., Any], Any, Any]] = [
    (options.whole_number, 1, 1),
    (options.odd_number, 7, 7),
    (options.whole_numbers, 5, (5,)),
    (options.whole_numbers, "3-5", (3, 5)),
    (options.whole_numbers, "4", (4,)),
    (options.whole_numbers, [4, 0], (4, 0)),
    (options.number, 0, 0.0),
    (options.number, 1e-3, 1e-3),
    (options.share, 0, 0.0),
    (options.share, 0.999, 0.999),
    (options.switch, False, False),
    (options.batch_norm, "batch", True),
    (options.batch_norm, False, False),
    (options.batch_norm, "none", False),
]
REFUSED: list[tuple[Callable[..., Any], str, list[Any]]] = [
    (options.whole_number, "YG210", [0, -1, 2.0, True, "3", None]),
    (options.odd_number, "YG210", [0, 2, -1, True, 3.0]),
    (options.whole_numbers, "YG210", ["", "-3", "3-", "3.5", "²", [], (), [1.0], [True], -1, None, {3}]),
    (options.number, "YG210", [-1, float("inf"), float("nan"), True, "1"]),
    (options.share, "YG210", [1, 1.0, -0.1, float("nan"), True, "0.5"]),
    (options.switch, "YG211", [0, 1, "on", None]),
    (options.batch_norm, "YG211", ["layer", 1, 0, None, [], "x" * 10]),
]


@pytest.mark.parametrize(("check", "value", "expected"), ACCEPTED)
def test_what_fits_comes_back(check: Callable[..., Any], value: Any, expected: Any) -> None:
    found = check("m", "option", value)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(("check", "code", "values"), REFUSED)
def test_what_does_not_fit_is_named(check: Callable[..., Any], code: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ModuleError) as caught:
            check("m", "option", value)
        assert caught.value.code == code
        assert caught.value.cause.startswith("m: option must be")
        assert caught.value.cause.endswith(f"got {value!r}")


def test_bounds_choices_and_odd_lists() -> None:
    assert options.whole_number("m", "n", 0, least=0) == 0
    assert options.choice("m", "n", "b", {"a": 1, "b": 2}) == "b"
    assert options.whole_numbers("m", "n", "1-3", odd=True) == (1, 3)
    for value in ("c", [], None, True):
        with pytest.raises(ModuleError, match="n must be one of a, b, got"):
            options.choice("m", "n", value, {"a": 1, "b": 2})
    for value in (0, float("inf")):
        with pytest.raises(ModuleError, match="n must be a finite number > 0, got"):
            options.number("m", "n", value, above=0)
    with pytest.raises(ModuleError, match="must be odd whole numbers"):
        options.whole_numbers("m", "n", (3, 4), odd=True)


def test_divisors() -> None:
    assert options.divisor("m", "n", 4, 12) == 4
    assert options.divisor("m", "n", 6, 12, most=6) == 6
    for value, most, code in ((5, None, "YG214"), (12, 6, "YG214"), (24, None, "YG214"), (0, None, "YG210")):
        with pytest.raises(ModuleError) as caught:
            options.divisor("m", "n", value, 12, most=most)
        assert caught.value.code == code
        assert code == "YG210" or caught.value.fix.endswith("4, 6" if most else "4, 6, 12")
    with pytest.raises(ModuleError) as caught:
        options.divisor("a_long_module_name", "a_long_option_name", 13, 55440)
    assert len(str(caught.value)) <= MAX_LINE and caught.value.fix.endswith("...")
