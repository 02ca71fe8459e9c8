"""Print resources that were built in Python as the YAML documents that the compiler reads.

A project may keep a script that prints its spec; the compiler never runs it, so a pull request cannot
execute anything by being planned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmops_spec.base import Resource


def to_document(resource: Resource) -> dict[str, Any]:
    """The document of one resource: camelCase keys, fields at their default left out."""
    body = resource.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    return {
        "apiVersion": resource.api_version,
        "kind": resource.KIND,
        "metadata": body["metadata"],
        "spec": body.get("spec", {}),
    }


def to_yaml(resources: Iterable[Resource]) -> str:
    """YAML 1.2 text of the documents, in the order given; the compiler reads it back as the same graph."""
    import yaml

    documents = [to_document(one) for one in resources]
    text = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, explicit_start=True)
    if all(line.isprintable() for line in text.split("\n")):
        return text
    # The reader takes invisible characters as escapes alone.
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=False, explicit_start=True)
