"""Prices: dated, per card, and overridden by the user's own."""

from datetime import date

import pytest

from compiler.sizing.catalogue_files import CatalogueError
from compiler.sizing.gpus import find_gpu
from compiler.sizing.prices import catalogue_prices, overridden, prices_of, read_prices

MINE = """
prices:
  - {gpu: L4, cloud: ours, instance: rack, gpus: 4, usdPerHour: 1.0, region: here, dated: 2026-11-01, source: contract}
"""


def test_every_price_is_dated_and_of_a_card_that_exists() -> None:
    for price in catalogue_prices():
        assert date(2024, 1, 1) < price.dated < date(2027, 1, 1)
        assert find_gpu(price.gpu) is not None
        assert 0.1 < price.usd_per_gpu_hour < 20
        assert price.source


def test_the_cheapest_offer_comes_first() -> None:
    card = find_gpu("H100")
    assert card is not None
    offers = [one.usd_per_gpu_hour for one in prices_of(card.name, catalogue_prices())]
    assert offers == sorted(offers)
    assert len(offers) > 3


def test_a_users_price_replaces_every_offer_of_that_card_and_no_other() -> None:
    both = overridden(catalogue_prices(), read_prices(MINE, place="mine.yaml"))
    card, other = find_gpu("L4"), find_gpu("H100")
    assert card is not None
    assert other is not None
    assert [one.usd_per_gpu_hour for one in prices_of(card.name, both)] == [0.25]
    assert prices_of(other.name, both) == prices_of(other.name, catalogue_prices())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prices: [{gpu: Voodoo 2, usdPerHour: 1}]", "is no card"),
        ("prices: [{gpu: L4, cloud: a, instance: b}]", "usdPerHour"),
        ("prices: [{gpu: L4, gpus: 0, cloud: a, instance: b, usdPerHour: 1}]", "below 1"),
        (MINE.replace("2026-11-01", "soon"), "not a day"),
        ("[1, 2]", "not a mapping"),
        ("prices: {", "not YAML"),
    ],
)
def test_a_file_that_is_wrong_says_where(text: str, said: str) -> None:
    with pytest.raises(CatalogueError, match=said) as raised:
        read_prices(text, place="mine.yaml")
    assert str(raised.value).startswith("mine.yaml")
