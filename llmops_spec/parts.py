"""Models made of models, each built once: what every model of a spec, a payload or a plan stands on.

Subclassed by `base`; `schema` asks what an annotation holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class BuiltInParts(BaseModel):
    """Builds what it holds before itself, at first use.

    Pydantic builds a part anew inside of every model that has it, unless the part is complete by then. So a kind
    that a project does not use costs its class and no more, and a part that several use is built once.
    """

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def model_rebuild(
        cls,
        *,
        force: bool = False,
        raise_errors: bool = True,
        _parent_namespace_depth: int = 2,
        _types_namespace: Mapping[str, Any] | None = None,
    ) -> bool | None:
        """Complete every part, then the model. Pydantic calls this when a model is first used."""
        for part in _innermost_first(cls):
            if part is not cls and not part.__pydantic_complete__:
                super(BuiltInParts, part).model_rebuild(raise_errors=raise_errors, _types_namespace={})
        return super().model_rebuild(
            force=force,
            raise_errors=raise_errors,
            _parent_namespace_depth=_parent_namespace_depth + 1,
            _types_namespace=_types_namespace,
        )


def models_inside(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation speaks of, through unions, lists and mappings."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for one in getattr(annotation, "__args__", ()) for part in models_inside(one)]


def _innermost_first(model: type[BaseModel]) -> list[type[BuiltInParts]]:
    """Every model below one, and itself, each after what it holds; a circle is cut where it closes."""
    order: list[type[BuiltInParts]] = []
    seen: set[type[BaseModel]] = set()

    def visit(one: type[BaseModel]) -> None:
        if one in seen or one.__pydantic_complete__ or not issubclass(one, BuiltInParts):
            return
        seen.add(one)
        for field in one.model_fields.values():
            for part in models_inside(field.annotation):
                visit(part)
        order.append(one)

    visit(model)
    return order
