"""A YAML file of a pack as a typed value, or every mistake in it at its place. Called by the two readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import ValidationError

from compiler.graph import locate
from compiler.source import LocatedMapping, Span
from compiler.yaml_reader import read_yaml
from llmops_spec.base import SpecModel
from llmops_spec.formats import ADVICE, is_newer, newer_format

PACK_FORMAT: Final = 1

T = TypeVar("T", bound=SpecModel)


@dataclass(frozen=True, kw_only=True, slots=True)
class PackProblem:
    message: str
    span: Span


class PackInvalid(ValueError):  # noqa: N818  # reads as what it says
    """The pack cannot be used. Carries every problem found."""

    def __init__(self, problems: tuple[PackProblem, ...]) -> None:
        super().__init__("; ".join(f"{one.span}: {one.message}" for one in problems))
        self.problems = problems


def read_mapping(name: str, data: bytes, described: str) -> LocatedMapping:
    """The one document of a file. `described` says what it should be.

    Raises:
        PackInvalid: it is no YAML, no single mapping, or of a newer format.
    """
    file = read_yaml(name, data)
    start = Span(name, 1, 1, 1, 1)
    if file.problems:
        raise PackInvalid(tuple(PackProblem(message=one.message, span=one.span) for one in file.problems))
    if len(file.documents) != 1 or not isinstance(value := file.documents[0].value, LocatedMapping):
        raise PackInvalid((PackProblem(message=described, span=start),))
    version = value.get("formatVersion")
    if is_newer(version, PACK_FORMAT):
        said = f"{newer_format(version, PACK_FORMAT, 'the file')}: {ADVICE}"
        raise PackInvalid((PackProblem(message=said, span=locate(value, ("formatVersion",))),))
    return value


def typed(model: type[T], document: LocatedMapping) -> T:
    """Raises: PackInvalid: with each field that is not what `model` says."""
    try:
        return model.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise PackInvalid(
            tuple(
                PackProblem(
                    message=f"`{'.'.join(str(part) for part in one['loc'])}`: {one['msg']}",
                    span=locate(document, one["loc"]),
                )
                for one in error.errors(include_url=False, include_input=False)
            )
        ) from error
