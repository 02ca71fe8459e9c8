"""Reads the package's own catalogue files and hands out their records with types.

Called by `gpus`, `engines`, `models` and `prices`. The files are ours and are tested whole, so a record that lacks a
key or has the wrong type is a bug and raises `CatalogueError` with its place. A user's price file is read through the
same `Record`; its reader turns the fault into a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Final, TypeVar, cast

import yaml

_Word = TypeVar("_Word", bound=str)

LOADER: Final = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
"""libyaml's loader is some ten times as fast; builds of PyYAML without it still work."""


class CatalogueError(ValueError):
    """A record of a catalogue file that cannot be read, with its place."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One mapping of a catalogue file. Every reader raises `CatalogueError` where the value is not of its type."""

    place: str
    values: Mapping[str, object]

    def has(self, key: str) -> bool:
        """The record has the key, with whatever value."""
        return key in self.values

    def text(self, key: str) -> str:
        """A text that is there."""
        value = self.text_or_none(key)
        if value is None:
            raise self.error(key, "is missing")
        return value

    def text_or_none(self, key: str) -> str | None:
        """A text, or None where the key is absent or empty."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self.error(key, "is not a text")

    def one_of(self, key: str, words: tuple[_Word, ...]) -> _Word:
        """One of the closed set of words."""
        value = self.text(key)
        for word in words:
            if value == word:
                return word
        raise self.error(key, f"is none of {', '.join(words)}")

    def number(self, key: str) -> float:
        """A number that is there."""
        value = self.number_or_none(key)
        if value is None:
            raise self.error(key, "is missing")
        return value

    def number_or_none(self, key: str) -> float | None:
        """A number, or None where the key is absent or empty."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, "is not a number")
        return float(value)

    def whole(self, key: str) -> int | None:
        """A whole number, or None where the key is absent or empty."""
        value = self.number_or_none(key)
        return None if value is None else int(value)

    def flag(self, key: str) -> bool:
        """True or false; an absent key is false."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, "is neither true nor false")
        return value

    def day(self, key: str) -> date:
        """A calendar day: YAML reads `2026-11-01` as one, JSON gives it as text."""
        value = self.values.get(key)
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(self.text(key))
        except ValueError as error:
            raise self.error(key, "is not a day such as 2026-11-01") from error

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; an absent key is an empty one."""
        found = self._list(key)
        if not all(isinstance(one, str) for one in found):
            raise self.error(key, "is not a list of texts")
        return tuple(cast("Sequence[str]", found))

    def numbers(self, key: str) -> Mapping[str, float]:
        """A mapping to numbers; an absent key is an empty one."""
        inner = self.record(key)
        return {name: inner.number(name) for name in inner.values}

    def words(self, key: str) -> Mapping[str, str]:
        """A mapping to texts; an absent key is an empty one."""
        inner = self.record(key)
        return {name: inner.text(name) for name in inner.values}

    def record(self, key: str) -> Record:
        """The mapping below the key; an absent key is an empty one."""
        value = self.values.get(key)
        return record_of({} if value is None else value, place=f"{self.place}.{key}")

    def records(self, key: str) -> tuple[Record, ...]:
        """The list of mappings below the key; an absent key is an empty one."""
        return tuple(record_of(one, place=f"{self.place}.{key}[{index}]") for index, one in enumerate(self._list(key)))

    def _list(self, key: str) -> Sequence[object]:
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.error(key, "is not a list")
        return cast("Sequence[object]", value)

    def error(self, key: str, what: str) -> CatalogueError:
        """What is wrong with a key, to be raised by who reads the record."""
        return CatalogueError(f"{self.place}: `{key}` {what}")


def record_of(value: object, *, place: str) -> Record:
    """The value as a record.

    Raises:
        CatalogueError: it is not a mapping with texts as keys.
    """
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in cast("dict[object, object]", value)):
        raise CatalogueError(f"{place}: is not a mapping with texts as keys")
    return Record(place=place, values=cast("dict[str, object]", value))


def catalogue_text(name: str) -> str:
    """The text of a file in `compiler/sizing/catalogue/`, by its name or path below it."""
    return files("compiler.sizing").joinpath("catalogue").joinpath(name).read_text(encoding="utf-8")


def read_catalogue(name: str) -> Record:
    """The mapping at the root of a YAML file of the catalogue."""
    return parse_record(catalogue_text(name), place=name)


def parse_record(text: str, *, place: str) -> Record:
    """The mapping at the root of YAML text.

    Raises:
        CatalogueError: the text is not YAML, or no mapping with texts as keys.
    """
    try:
        # Ours, or a price file that its user wrote; a safe loader builds plain values only.
        value = cast("object", yaml.load(text, Loader=LOADER))  # noqa: S506  # the C twin of a safe loader
    except yaml.YAMLError as error:
        raise CatalogueError(f"{place}: is not YAML: {error}") from error
    return record_of(value, place=place)
