"""What the kinds' models say about their own fields: known keys, references, every path.

Computed from the pydantic models once a process. Used for suggestions, for edges of the graph and for the
question whether a target honours a field.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from llmops_spec.base import References

EACH = "*"
"""Stands for every item of a list and every value of a mapping."""

FieldPath = tuple[str, ...]
"""camelCase keys below the document, such as `("spec", "gates", "*")`."""


def fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand at a path of a document, camelCase; empty where any key may."""
    return sorted({_key(name, field) for one in _models_at(model, path) for name, field in one.model_fields.items()})


def within(model: type[BaseModel], path: tuple[str | int, ...], part: type[BaseModel]) -> bool:
    """Whether a path of a document leads to a value of the type `part`, or into one."""
    return any(part in _models_at(model, path[:length]) for length in range(len(path) + 1))


def _models_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[type[BaseModel]]:
    here: list[type[BaseModel]] = [model]
    for part in path:
        here = [found for one in here for found in _below(one, part)]
    return here


def _below(model: type[BaseModel], part: str | int) -> Iterator[type[BaseModel]]:
    """Models of the values at one key. Items and mapping values were looked through already."""
    if isinstance(part, int):
        yield model
        return
    for name, field in model.model_fields.items():
        if _key(name, field) == part:
            yield from (found for _, found in _models(field.annotation, ()))
            return
    yield model  # a key of a mapping whose values are this model


def _key(name: str, field: FieldInfo) -> str:
    return field.alias or name


@cache
def reference_paths(model: type[BaseModel]) -> tuple[tuple[FieldPath, str], ...]:
    """Every path below `model` that names another resource, with that resource's kind."""
    found: list[tuple[FieldPath, str]] = []
    for name, field in model.model_fields.items():
        here = (_key(name, field),)
        found += [(here, mark.kind) for mark in field.metadata if isinstance(mark, References)]
        found += [(here + path, mark.kind) for path, mark in _marks(field.annotation, ())]
        for path, part in _models(field.annotation, ()):
            found += [(here + path + deeper, kind) for deeper, kind in reference_paths(part)]
    return tuple(found)


@cache
def all_paths(model: type[BaseModel]) -> tuple[FieldPath, ...]:
    """Every path that a document of this model may hold, parents before children."""
    found: list[FieldPath] = []
    for name, field in model.model_fields.items():
        here = (_key(name, field),)
        found.append(here)
        for path, part in _models(field.annotation, ()):
            found += [here + path + deeper for deeper in all_paths(part)]
    return tuple(dict.fromkeys(found))


def _parts(annotation: Any) -> Iterator[tuple[FieldPath, Any]]:
    """The annotations directly inside one: members of a union, items, mapping values, what is annotated."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield (), get_args(annotation)[0]
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield (), member
    elif origin is list:
        yield (EACH,), get_args(annotation)[0]
    elif origin is dict:
        yield (EACH,), get_args(annotation)[1]


def _models(annotation: Any, path: FieldPath) -> Iterator[tuple[FieldPath, type[BaseModel]]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield path, annotation
        return
    for step, inner in _parts(annotation):
        yield from _models(inner, path + step)


def _marks(annotation: Any, path: FieldPath) -> Iterator[tuple[FieldPath, References]]:
    if get_origin(annotation) is Annotated:
        for mark in typing.get_args(annotation)[1:]:
            if isinstance(mark, References):
                yield path, mark
    for step, inner in _parts(annotation):
        yield from _marks(inner, path + step)
