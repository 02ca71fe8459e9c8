"""Secrets: references in a spec, and the values that they lead to while something runs.

A spec holds a `Secret`, which says where the value is. Whoever starts the process that needs it reads a `SecretValue`
there and hands it on by that process's environment alone. A value has no printable form, so it cannot get into a
payload, a key, a plan, a record, a manifest or a log by mistake: only `reveal` gives it away.
"""

from collections.abc import Mapping
from typing import Any, Final, NoReturn, Self, TypeAlias

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from llmops_spec.base import SpecModel, exactly_one

VARIABLE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
OBJECT_PATTERN: Final = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
KEY_PATTERN: Final = r"^[A-Za-z0-9._-]+$"
INLINE: Final = "inline_secret"
"""Type of the error of a value that stands where a reference should."""
HIDDEN: Final = "(secret)"


class SecretHolder(SpecModel):
    """A part of a spec with a secret below it: what was given is left out of the text of its typing errors."""

    model_config = ConfigDict(hide_input_in_errors=True)


class KubernetesSecret(SecretHolder):
    """One key of a Secret object that exists in the environment's namespace."""

    name: str = Field(pattern=OBJECT_PATTERN, max_length=253)
    key: str = Field(pattern=KEY_PATTERN, max_length=253)


class Secret(SecretHolder):
    """Where a secret value is: exactly one of the alternatives. The value itself never stands in a spec."""

    env: str | None = Field(default=None, pattern=VARIABLE_PATTERN, max_length=255)
    """Variable in the environment of the command that needs it."""
    file: str | None = Field(default=None, min_length=1, max_length=1024)
    """File whose one line it is: absolute, below `~`, or relative to the project root."""
    kubernetes_secret: KubernetesSecret | None = None
    """Key of a Secret object in the cluster."""

    @model_validator(mode="before")
    @classmethod
    def _reference(cls, given: Any) -> Any:
        if given is None or isinstance(given, Mapping | cls):
            return given
        raise PydanticCustomError(INLINE, "a secret's value stands here; write a reference to it")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self


class SecretValue:
    """A secret while it is on its way. Printed, formatted or logged it is `(secret)`; it cannot be copied to a file."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """The value. Called where a process is started or a header is written, and nowhere else."""
        return self.__text

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


Variables: TypeAlias = Mapping[str, str | SecretValue]
"""Environment variables of a child process, some of them secret."""


def without_secrets(text: str, values: tuple[str, ...]) -> str:
    """`text` with every occurrence of a secret value left out. Libraries put headers and answers into their errors."""
    for value in sorted(filter(None, values), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text
