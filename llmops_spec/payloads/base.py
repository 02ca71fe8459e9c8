"""The frame of every payload: versioned, closed, and split into what decides a result and what does not."""

import json
from typing import Any, ClassVar, Final

from llmops_spec.digests import digest
from llmops_spec.formats import MachineWritten

PAYLOAD_FORMAT: Final = 1


class Payload(MachineWritten):
    """The whole input of one task. Inputs are `store://` names; outputs have relative names."""

    NOT_IN_KEY: ClassVar[frozenset[str]] = frozenset({"format_version"})
    """Fields that cannot change the outcome."""

    FORMAT: ClassVar[int] = PAYLOAD_FORMAT
    DOCUMENT: ClassVar[str] = "the payload"

    format_version: int = PAYLOAD_FORMAT

    def key_view(self) -> dict[str, Any]:
        """What the step's key is taken over: fields at their default are left out, so new ones move no key."""
        return self.model_dump(by_alias=True, mode="json", exclude_defaults=True, exclude=set(self.NOT_IN_KEY))

    def to_json(self) -> dict[str, Any]:
        """The payload file's content."""
        return self.model_dump(by_alias=True, mode="json")


def payload_bytes(payload: Payload) -> bytes:
    """The payload file: the same bytes for a local child, for a pod, and in what `compile` writes."""
    return (json.dumps(payload.to_json(), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def step_key(payload: Payload) -> str:
    """The key of the step that a payload describes: equal keys, equal outcomes.

    The runtime computes it again from the payload that it was given, so a job cannot publish under another's name.
    """
    return digest({"payload": payload.key_view()})
