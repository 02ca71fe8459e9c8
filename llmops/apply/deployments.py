"""What each checkout has deployed from a shared store, noted in that store, so that `gc` elsewhere leaves it there.

A note lies at `deployed/<site>/<number>.json` and lists step keys; the highest number is what is deployed now, and the
ones before are the way back. An empty note says that nothing is. Notes are unsigned: a forged one keeps a result that
could go, and who can delete a note can delete the result itself.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from pydantic import Field, ValidationError

from llmops.apply.site import Site
from llmops_spec.digests import digest
from llmops_spec.formats import MachineWritten
from llmops_spec.store import StepKey, Store

NOTE_FORMAT = 1


class DeployedNote(MachineWritten):
    FORMAT: ClassVar[int] = NOTE_FORMAT
    DOCUMENT: ClassVar[str] = "a note in the store of what is deployed"

    format_version: int = NOTE_FORMAT
    environment: str
    keys: list[StepKey] = Field(default_factory=list)


def note_deployed(site: Site, keys: Iterable[str]) -> None:
    """Write down in a shared store what is deployed here from now on; in a store of one's own nobody needs to know."""
    if not site.shares_store:
        return
    note = DeployedNote(environment=site.environment, keys=sorted(keys))
    numbers = _numbers(site.store, _site_id(site))
    if numbers and _note(site.store, _site_id(site), numbers[-1]) == note:
        return
    site.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=site.folder) as place:
        path = Path(place) / "note.json"
        path.write_text(note.model_dump_json(by_alias=True))
        number = (numbers[-1] if numbers else 0) + 1
        while not site.store.put_if_absent(_name(_site_id(site), number), path):
            number += 1


def deployed_elsewhere(store: Store, count: int) -> set[str]:
    """Keys that some checkout has deployed, or had in its latest `count` deployments before, if anything still is.

    Raises:
        ValueError: a note cannot be read, so nobody knows what it keeps.
        NewerFormat: a newer llmops wrote one.
    """
    sites = {name.split("/")[1] for name in store.names("deployed/")}
    found: set[str] = set()
    for one in sites:
        notes = [_note(store, one, number) for number in reversed(_numbers(store, one)[-count:])]
        if notes and notes[0].keys:
            found |= {key for note in notes for key in note.keys}
    return found


def _numbers(store: Store, site_id: str) -> list[int]:
    names = (name.rpartition("/")[2].removesuffix(".json") for name in store.names(f"deployed/{site_id}/"))
    return sorted(int(name) for name in names if name.isdecimal())


def _note(store: Store, site_id: str, number: int) -> DeployedNote:
    with store.get(_name(site_id, number)) as stream:
        data = stream.read()
    try:
        return DeployedNote.model_validate_json(data)
    except ValidationError as error:
        raise ValueError(f"`{_name(site_id, number)}` in the store cannot be read") from error


def _site_id(site: Site) -> str:
    return digest({"host": platform.node(), "folder": str(site.folder)})[:16]


def _name(site_id: str, number: int) -> str:
    return f"deployed/{site_id}/{number}.json"
