"""Tombstones in the store: what one checkout gives up, the others that share the store are told of.

They lie at `tombstones/<step key>/<number>.json` and are never removed. One excuses the absence of exactly one result,
once in each journal, and only where a key of the trust file signed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from llmops.apply.journal import Entry, Journal
from llmops_spec.store import Store, StoreCorrupt, load_manifest
from policies.evidence.envelope import KeyPair
from policies.evidence.strict_json import JsonRefused
from policies.evidence.tombstone import FoundTombstone, Tombstone, read_tombstone, sign_tombstone
from policies.evidence.trust import Trust


def write_tombstone(store: Store, step_key: str, manifest_digest: str, name: str, key: KeyPair, folder: Path) -> str:
    """Tell everybody that a result was given up. Returns the tombstone's digest. `folder` takes a temporary file."""
    from llmops_spec.digests import digest_bytes

    number = 0
    with TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "tombstone.json"
        while True:
            number += 1
            data = sign_tombstone(
                Tombstone(step_key=step_key, manifest_digest=manifest_digest, number=number, name=name), key
            )
            path.write_bytes(data)
            if store.put_if_absent(_name(step_key, number), path):
                return digest_bytes(data)


def given_up(store: Store, journal: Journal, trust: Trust) -> dict[str, FoundTombstone]:
    """Results that this machine relies on and somebody trusted gave up: by step key, each with its tombstone."""
    used = journal.tombstones()
    found: dict[str, FoundTombstone] = {}
    for step_key, made in journal.results().items():
        if not _is_there(store, step_key, made):
            unused = (one for one in _tombstones(store, step_key, made, trust) if one.digest not in used)
            if (first := next(unused, None)) is not None:
                found[step_key] = first
    return found


def honour(
    store: Store, journal: Journal, trust: Trust, tell: Callable[[str], None], *, under: str
) -> dict[str, FoundTombstone]:
    """Give up here too what was given up in the store, and say so. `under` is the digest of the plan that does it.

    From then on such a result is one that was never made here: it is made again, or needs a receipt.
    """
    found = given_up(store, journal, trust)
    for step_key, one in found.items():
        name = one.tombstone.name
        journal.write(Entry(plan=under, step=name, event="discarded", identity=step_key, result=one.digest))
        tell(f"{step_key[:12]} was given up in the store by key {one.keyid[:12]} ({name}): it is made again if needed")
    return found


def _is_there(store: Store, step_key: str, made: str) -> bool:
    try:
        manifest = load_manifest(store, step_key)
    except StoreCorrupt:
        return True  # no tombstone explains that
    return manifest is not None and manifest.digest() == made


def _tombstones(store: Store, step_key: str, manifest_digest: str, trust: Trust) -> Iterator[FoundTombstone]:
    for name in store.names(f"tombstones/{step_key}/"):
        number = name.rpartition("/")[2].removesuffix(".json")
        if not number.isdecimal() or name != _name(step_key, int(number)):
            continue
        with store.get(name) as stream:
            data = stream.read()
        try:
            found = read_tombstone(data, step_key, manifest_digest, int(number), trust)
        except JsonRefused:
            continue
        if found is not None:
            yield found


def _name(step_key: str, number: int) -> str:
    return f"tombstones/{step_key}/{number}.json"
