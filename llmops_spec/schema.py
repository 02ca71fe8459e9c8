"""JSON Schema of spec documents, for editors and other tools.

Called by `llmops schema`. Descriptions come from the attribute docstrings of the models, read from their source once
they are asked for, so that importing the models stays cheap.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

from pydantic import BaseModel

from llmops_spec.base import API_VERSION
from llmops_spec.kinds import KINDS
from llmops_spec.parts import models_inside

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def spec_schema() -> dict[str, Any]:
    """One schema for every document: `if`/`then` on `kind`, which editors complete better than a discriminator."""
    definitions: dict[str, Any] = {}
    for name, kind in KINDS.items():
        schema = kind.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
        definitions |= schema.pop("$defs", {})
        definitions[name] = schema
    _describe(definitions)
    return {
        "$schema": DIALECT,
        "title": "llmops spec document",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {"apiVersion": {"const": API_VERSION}, "kind": {"enum": sorted(KINDS)}},
        "allOf": [
            {"if": {"properties": {"kind": {"const": name}}, "required": ["kind"]}, "then": {"$ref": f"#/$defs/{name}"}}
            for name in sorted(KINDS)
        ],
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }


def _describe(definitions: dict[str, Any]) -> None:
    """Put each field's docstring into its schema, and each model's own."""
    for model in _models():
        schema = definitions.get(model.__name__)
        if schema is None:
            continue
        docs = field_docs(model)
        for field, info in model.model_fields.items():
            described = schema.get("properties", {}).get(info.alias or field)
            if described is not None and field in docs:
                described["description"] = docs[field]


def _models() -> list[type[BaseModel]]:
    """Every model that a document may hold."""
    found: dict[str, type[BaseModel]] = {}
    waiting: list[type[BaseModel]] = list(KINDS.values())
    while waiting:
        model = waiting.pop()
        if model.__name__ not in found:
            found[model.__name__] = model
            waiting += [part for field in model.model_fields.values() for part in models_inside(field.annotation)]
    return list(found.values())


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field of a model and of what it inherits, on one line."""
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            docs |= _own_docs(base)
    return docs


def _own_docs(model: type[BaseModel]) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            value = text.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docs[field.target.id] = " ".join(value.value.split())
    return docs
