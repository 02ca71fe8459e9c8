"""Write rendered objects as files, one object each, numbered in the order in which they are applied.

Called by `backend`. What reads these files: a person in a review, the executor, and whatever a `gitops` target
publishes them to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler.ports import KubernetesObject
from compiler.yaml_writer import write_yaml


def render(folder: str, objects: Sequence[KubernetesObject]) -> Mapping[str, bytes]:
    """`<folder>/<nn>-<kind>-<name>.yaml` for each object."""
    width = max(2, len(str(len(objects))))
    return {
        f"{folder}/{number:0{width}d}-{one.kind.lower()}-{one.name}.yaml": write_yaml(one.body)
        for number, one in enumerate(objects, start=1)
    }
