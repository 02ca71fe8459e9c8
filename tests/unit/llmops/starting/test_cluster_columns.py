"""Which columns are taken for clusters: by name, or because their values are written as keys are."""

import pytest

from llmops.starting.columns import Wishes, recognise
from llmops.starting.rows import Row


def _rows(values: list[str | int]) -> list[Row]:
    return [
        {"text": f"the {number} words of a request", "desk": "ab"[number % 2], "column": value}
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    "values",
    [
        [f"c-{n % 40:04}" for n in range(120)],
        [f"cust_{n % 30}" for n in range(120)],
        [81000 + n % 40 for n in range(120)],
    ],
    ids=["letters and digits", "with an underscore", "long numbers"],
)
def test_repeated_keys_are_clusters(values: list[str | int]) -> None:
    assert recognise(_rows(values), Wishes()).cluster == "column"


@pytest.mark.parametrize(
    "values",
    [
        [f"2024-01-{n % 28 + 1:02}" for n in range(120)],
        [n % 40 for n in range(120)],
        [2000 + n % 25 for n in range(120)],
        [f"c-{n:04}" for n in range(120)],
        [f"c-{n % 3:04}" for n in range(120)],
    ],
    ids=["dates", "small numbers", "years", "all distinct", "too few"],
)
def test_other_values_are_not(values: list[str | int]) -> None:
    assert recognise(_rows(values), Wishes()).cluster is None
