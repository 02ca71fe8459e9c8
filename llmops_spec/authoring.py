"""Print resources that were built in Python as the YAML documents that the compiler reads.

A project may keep a script that prints its spec; the compiler never runs it, so a pull request cannot
execute anything by being planned.
"""

from __future__ import annotations

import re
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
    documents = [to_document(one) for one in resources]
    text = _dumped(documents, allow_unicode=True)
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return _dumped(documents, allow_unicode=False)  # the reader takes invisible characters as escapes alone


def _dumped(documents: list[dict[str, Any]], *, allow_unicode: bool) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes every text that begins like a number: YAML 1.1, which PyYAML knows, has other numbers than 1.2."""

        def represent_text(self, data: str) -> yaml.ScalarNode:
            style = "'" if re.match(r"[-+.]?[0-9.]", data) else None
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, Dumper.represent_text)
    return yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, allow_unicode=allow_unicode, explicit_start=True)
