"""What figures of a sweep share: which keys count, the order of their values, their axes."""

import pandas as pd
import pytest

from sam_sde.figures.swept import are_numbers, free_keys, in_order, spans_a_decade


def test_a_key_counts_that_varies_and_does_not_only_follow_another_one():
    frame = pd.DataFrame({"rho": [1, 1, 2, 2], "lr": [10, 10, 20, 20], "batch": [4, 8, 4, 8], "dt": [1, 1, 1, 1]})
    assert free_keys(frame, ["rho", "lr", "batch", "dt"]) == ["rho", "batch"]
    assert free_keys(frame, ["dt"]) == []


@pytest.mark.parametrize(
    ("values", "ordered"), [([3, 1.0, 3], [1.0, 3]), (["heun", "euler", "heun"], ["heun", "euler"]), ([], [])]
)
def test_numbers_are_in_order_and_words_as_they_come(values, ordered):
    assert in_order(pd.Series(values)) == ordered


def test_true_is_no_number():
    assert are_numbers(pd.Series([1, 2.0]))
    assert not are_numbers([True])
    assert not are_numbers(pd.Series([True, False]))


@pytest.mark.parametrize(
    ("values", "wide"),
    [([1, 10], True), ([1.0, 9.0], False), ([0, 10], False), (["a", "b"], False), ([5], False)],
)
def test_a_decade(values, wide):
    assert spans_a_decade(values) is wide
