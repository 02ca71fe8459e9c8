"""A pattern takes the same text here as in an editor that has the exported schema."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from llmops_spec.engine import VllmEngine
from llmops_spec.schema import spec_schema
from llmops_spec.sources import FromHuggingFace

ARABIC_SIX = "\N{ARABIC-INDIC DIGIT SIX}"


def patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            yield pattern
    if isinstance(schema, dict | list):
        for inner in schema.values() if isinstance(schema, dict) else schema:
            yield from patterns(inner)


def test_no_pattern_says_digit_or_letter_without_saying_of_which_script() -> None:
    found = set(patterns(spec_schema()))
    assert len(found) > 20
    assert not [one for one in found if r"\d" in one or r"\w" in one]


def test_digits_and_letters_of_other_scripts_are_none() -> None:
    assert VllmEngine(version="0.6.3").version == "0.6.3"
    with pytest.raises(ValidationError, match="version"):
        VllmEngine(version=f"0.{ARABIC_SIX}.3")
    with pytest.raises(ValidationError, match="repository"):
        FromHuggingFace(repository=f"org/model-{ARABIC_SIX}", revision="main")
