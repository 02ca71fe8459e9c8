"""The store port, and how steps' results lie in a store.

A store keeps objects by name and never overwrites one. What a step made lies below its key:

    <step key>/objects/<sha256>     the bytes of one output
    <step key>/manifest.json        names the outputs with their digests; put last, so without it the key is absent

Two writers of one key may make different bytes; each puts its own objects, one wins the manifest, and the
loser adopts what the winner stored. Names in payloads and records are `store://<step key>/<output>`, never paths.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar, Final, Protocol, TypeAlias

from pydantic import Field, StringConstraints, ValidationError

from llmops_spec.base import SpecModel
from llmops_spec.digests import digest, digest_bytes
from llmops_spec.formats import MachineWritten

MANIFEST_FORMAT: Final = 1
_KEY: Final = r"[0-9a-f]{64}"

StepKey: TypeAlias = Annotated[str, StringConstraints(pattern=rf"^{_KEY}$")]
StoreRef: TypeAlias = Annotated[str, StringConstraints(pattern=rf"^store://{_KEY}/[A-Za-z0-9._/-]+$")]
"""`store://<step key>/<output>`, where the output is a file, or a folder of files."""


class Store(Protocol):
    """Objects by name. Names are relative paths with forward slashes. Implementations raise `OSError` subclasses."""

    def get(self, name: str) -> BinaryIO:
        """Open an object for reading. Raises: `FileNotFoundError`."""
        ...

    def put_if_absent(self, name: str, source: Path) -> bool:
        """Store a copy of the file, completely or not at all; False, and no change, where the name is taken."""
        ...

    def names(self, prefix: str = "") -> Iterator[str]:
        """Names of the objects below a prefix, sorted."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object. Only `gc` and `evidence discard` call this. Raises: `FileNotFoundError`."""
        ...


class StoredOutput(SpecModel):
    digest: StepKey
    bytes: int = Field(ge=0)


class Manifest(MachineWritten):
    """What one step made."""

    FORMAT: ClassVar[int] = MANIFEST_FORMAT
    DOCUMENT: ClassVar[str] = "the manifest of a stored result"

    format_version: int = MANIFEST_FORMAT
    key: StepKey
    outputs: dict[str, StoredOutput]

    def digest(self) -> str:
        return digest(self.model_dump(by_alias=True, mode="json"))


class StoreCorrupt(Exception):  # noqa: N818  # named as what the store is
    """Stored bytes are not what their name or manifest says. Carries a sentence for the user."""


class PinnedStore:
    """A `Store` that yields a step's result only if its manifest is the one that was verified.

    Closes the time between the verification of a result and its use by another process.
    """

    def __init__(self, store: Store, pins: Mapping[str, str]) -> None:
        self._store = store
        self._pins = pins

    def get(self, name: str) -> BinaryIO:
        stream = self._store.get(name)
        key, _, rest = name.partition("/")
        if rest != "manifest.json" or key not in self._pins:
            return stream
        with stream:
            data = stream.read()
        try:
            found = Manifest.model_validate_json(data).digest()
        except ValidationError:
            found = ""
        if found != self._pins[key]:
            raise StoreCorrupt(f"the stored result {key[:12]} is not the one that was verified")
        return io.BytesIO(data)

    def put_if_absent(self, name: str, source: Path) -> bool:
        return self._store.put_if_absent(name, source)

    def names(self, prefix: str = "") -> Iterator[str]:
        return self._store.names(prefix)

    def delete(self, name: str) -> None:
        self._store.delete(name)


def pins_text(pins: Mapping[str, str]) -> str:
    return ",".join(f"{key}={pinned}" for key, pinned in sorted(pins.items()))


def parse_pins(text: str) -> dict[str, str]:
    """Raises: ValueError: it is no list of pins."""
    pairs = [one.split("=") for one in text.split(",") if one]
    return dict(pairs)


def keys_named_in(text: str) -> set[str]:
    """The step keys of every `store://` name in a text, such as a payload's JSON."""
    return set(re.findall(rf"store://({_KEY})/", text))


def make_ref(key: str, output: str) -> str:
    return f"store://{key}/{output}"


def split_ref(ref: str) -> tuple[str, str]:
    """Step key and output of a `store://` name. Raises: ValueError."""
    found = re.fullmatch(rf"store://({_KEY})/(.+)", ref)
    if found is None or ".." in found.group(2).split("/"):
        raise ValueError(f"`{ref}` is not a store name")
    return found.group(1), found.group(2)


def load_manifest(store: Store, key: str) -> Manifest | None:
    """The manifest of a step, or None where the step has not been made.

    Raises:
        StoreCorrupt: the manifest cannot be read, or speaks of another key.
        NewerFormat: a newer llmops wrote it.
    """
    try:
        with store.get(f"{key}/manifest.json") as stream:
            data = stream.read()
    except FileNotFoundError:
        return None
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise StoreCorrupt(f"the stored result {key[:12]} has an unreadable manifest") from error
    if manifest.key != key:
        raise StoreCorrupt(f"the stored result {key[:12]} has the manifest of another step")
    return manifest


def publish(store: Store, key: str, folder: Path) -> Manifest:
    """Store every file below `folder` as an output of step `key`; the manifest goes last.

    Returns the manifest that the store holds afterwards: another writer's, where that one was first.
    """
    outputs: dict[str, StoredOutput] = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        data_digest = _digest_file(path)
        store.put_if_absent(f"{key}/objects/{data_digest}", path)
        outputs[path.relative_to(folder).as_posix()] = StoredOutput(digest=data_digest, bytes=path.stat().st_size)
    manifest = Manifest(key=key, outputs=outputs)
    written = folder.parent / f"{folder.name}.manifest.json"
    written.write_text(json.dumps(manifest.model_dump(by_alias=True, mode="json"), indent=1, sort_keys=True) + "\n")
    store.put_if_absent(f"{key}/manifest.json", written)
    written.unlink()
    stored = load_manifest(store, key)
    if stored is None:
        raise StoreCorrupt(f"the stored result {key[:12]} vanished while it was written")
    return stored


def read_output(store: Store, ref: str) -> bytes:
    """The bytes of one output file, checked against its digest.

    Raises:
        FileNotFoundError: no such step or output.
        StoreCorrupt: the bytes differ from the manifest.
    """
    key, output = split_ref(ref)
    stored = _outputs_below(store, ref)[output]
    with store.get(f"{key}/objects/{stored.digest}") as stream:
        data = stream.read()
    if digest_bytes(data) != stored.digest:
        raise StoreCorrupt(f"the stored bytes of `{ref}` are not what its manifest says")
    return data


def materialise(store: Store, ref: str, destination: Path) -> Path:
    """Copy an output, a file or a folder of files, to `destination`, checking each digest. Returns `destination`.

    Raises:
        FileNotFoundError: no such step or output.
        StoreCorrupt: the bytes differ from the manifest.
    """
    key, output = split_ref(ref)
    for name, stored in _outputs_below(store, ref).items():
        target = destination if name == output else destination / name.removeprefix(f"{output}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        with store.get(f"{key}/objects/{stored.digest}") as stream, target.open("wb") as copy:
            while chunk := stream.read(1 << 20):
                copy.write(chunk)
        if _digest_file(target) != stored.digest:
            target.unlink()
            raise StoreCorrupt(f"the stored bytes of `{make_ref(key, name)}` are not what its manifest says")
    return destination


def _outputs_below(store: Store, ref: str) -> dict[str, StoredOutput]:
    key, output = split_ref(ref)
    manifest = load_manifest(store, key)
    if manifest is None:
        raise FileNotFoundError(f"`{ref}` is not in the store")
    found = {
        name: stored
        for name, stored in manifest.outputs.items()
        if name == output or name.startswith(f"{output.rstrip('/')}/")
    }
    if not found:
        raise FileNotFoundError(f"`{ref}` is not in the store: that step made {', '.join(manifest.outputs)}")
    return found


def _digest_file(path: Path) -> str:
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
