"""What every document that a machine writes shares: the number of its format.

Subclassed by payloads, results, manifests, plans and the like. Promises: a document of a newer format is refused
before anything else in it is read, with a sentence that says what to do; one of an older format is read as what it
means today, fields that it does not have at their defaults.
"""

from typing import ClassVar, Final

from pydantic import field_validator

from llmops_spec.base import SpecModel

ADVICE: Final = "use that version of llmops, or a newer one"


class NewerFormat(Exception):  # noqa: N818  # named as what the document has
    """A document was written by a newer llmops. Carries a sentence for the user; `ADVICE` is what helps.

    No `ValueError`: where unreadable documents are passed over, one of a newer format must not be.
    """


class MachineWritten(SpecModel):
    """A document with a `formatVersion`. Whoever reads it lets `NewerFormat` pass."""

    FORMAT: ClassVar[int] = 1
    """The newest that is known here. A change that older versions would misread raises it; a new field with a default
    that means what was meant before does not."""
    DOCUMENT: ClassVar[str] = "a document"
    """What it is called in a sentence."""

    format_version: int = 1

    @field_validator("format_version")
    @classmethod
    def _known(cls, found: int) -> int:
        refuse_newer(found, cls.FORMAT, cls.DOCUMENT)  # the first field, so nothing else has been judged yet
        return found


def refuse_newer(found: object, known: int, document: str) -> None:
    """Refuse a document whose `formatVersion` is `found`.

    Raises:
        NewerFormat: it is above `known`.
    """
    if is_newer(found, known):
        raise NewerFormat(newer_format(found, known, document))


def is_newer(found: object, known: int) -> bool:
    return isinstance(found, int | float) and found > known


def newer_format(found: object, known: int, document: str) -> str:
    """The sentence that says so."""
    return f"{document} was written by a newer llmops (format {found}; this one reads up to {known})"
