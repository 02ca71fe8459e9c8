"""List prices per GPU hour as data, each with the day around which it was known.

Called by `llmops size` for `$ / M tokens` and by `--search`. Pure: reads `catalogue/prices.yaml` once; a user's file of
the same shape is handed in as text and its records go first. Prices are on demand and without tax; who has a discount
writes a file. The package's own were not read off the providers' pages again, and tell the order of a cost. No price is
ever taken from another cloud, region or day without saying so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache

from compiler.sizing.catalogue_files import Record, catalogue_text, parse_record
from compiler.sizing.gpus import GpuName, find_gpu


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one GPU costs for an hour, as a share of an instance that carries some."""

    gpu: GpuName
    cloud: str
    instance: str
    gpus: int
    """GPUs of the instance."""

    usd_per_hour: float
    """Of the whole instance."""

    region: str
    dated: date
    """Of the package's own: around when it was known. Of a user's: what the file says."""

    source: str

    @property
    def usd_per_gpu_hour(self) -> float:
        """The instance's price in equal shares."""
        return self.usd_per_hour / self.gpus


def catalogue_prices() -> tuple[Price, ...]:
    """The package's own list, cheapest share of a GPU first."""
    return _own()


def read_prices(text: str, *, place: str) -> tuple[Price, ...]:
    """A price file of the user, in the shape of the package's own.

    Raises:
        CatalogueError: the text is not such a file; the message has the place.
    """
    return tuple(sorted(_prices(parse_record(text, place=place)), key=lambda price: price.usd_per_gpu_hour))


def prices_of(gpu: GpuName, prices: tuple[Price, ...]) -> tuple[Price, ...]:
    """The offers of that card, cheapest first."""
    return tuple(sorted((one for one in prices if one.gpu == gpu), key=lambda price: price.usd_per_gpu_hour))


def overridden(own: tuple[Price, ...], user: tuple[Price, ...]) -> tuple[Price, ...]:
    """The user's prices, and ours for cards that the user's file does not speak of."""
    spoken = {price.gpu for price in user}
    return (*user, *(price for price in own if price.gpu not in spoken))


@cache
def _own() -> tuple[Price, ...]:
    return read_prices(catalogue_text("prices.yaml"), place="prices.yaml")


def _prices(root: Record) -> Iterator[Price]:
    for record in root.records("prices"):
        gpu = find_gpu(record.text("gpu"))
        if gpu is None:
            raise record.error("gpu", "is no card of the catalogue")
        yield Price(
            gpu=gpu.name,
            cloud=record.text("cloud"),
            instance=record.text("instance"),
            gpus=_count(record),
            usd_per_hour=record.number("usdPerHour"),
            region=record.text("region"),
            dated=record.day("dated"),
            source=record.text("source"),
        )


def _count(record: Record) -> int:
    count = record.whole("gpus")
    if count is not None and count < 1:
        raise record.error("gpus", "is below 1")
    return 1 if count is None else count
