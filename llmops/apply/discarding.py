"""Give stored results up, with a tombstone in the journal and in the store: the only way in which one may go."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.plan import ArtifactStep, Step, step_id
from llmops.apply.journal import Entry
from llmops.apply.site import Site
from llmops.apply.tombstones import write_tombstone
from llmops.apply.trust import load_trust, signing_key
from llmops.errors import OperationFailed
from llmops_spec.store import StoreCorrupt, load_manifest
from policies.evidence.envelope import KeyPair


def downstream(step: Step, steps: Sequence[Step]) -> list[ArtifactStep]:
    """A step and every artifact step made from it, in plan order: made again, its bytes may be others."""
    found = {step_id(step)}
    chosen: list[ArtifactStep] = []
    for one in steps:
        if isinstance(one, ArtifactStep) and (step_id(one) in found or found & set(one.needs)):
            found.add(step_id(one))
            chosen.append(one)
    return chosen


def discard(site: Site, name: str, key: str, signer: KeyPair | None) -> None:
    """Remove the result stored under `key`. `name` says who gave it up: a step, or `gc`.

    The tombstones go first: a result that is gone without one counts as tampering. The one in the store is for others
    that share it; without a `signer` there is none. The manifest goes before the objects: without it the key is
    absent, however far the removal gets.
    """
    buried = [
        write_tombstone(site.store, key, made, name, signer, site.folder)
        for made in sorted(_manifests(site, key))
        if signer is not None
    ]
    for tombstone in buried or [""]:
        site.journal.write(Entry(plan="", step=name, event="discarded", identity=key, result=tombstone))
    for object_name in sorted(site.store.names(f"{key}/"), key=lambda one: not one.endswith("/manifest.json")):
        site.store.delete(object_name)


def undertaker(site: Site) -> KeyPair | None:
    """Whose key signs tombstones. In a store that nobody shares none is needed, so a missing one stops nothing there.

    Raises:
        OperationFailed: the store is shared, and no key can sign here.
    """
    try:
        return signing_key(load_trust())
    except OperationFailed:
        if site.shares_store:
            raise
        return None


def _manifests(site: Site, key: str) -> set[str]:
    """Digests under which a result is known: to this journal, and to who reads the store now."""
    known = {site.journal.results().get(key, "")}
    try:
        manifest = load_manifest(site.store, key)
    except StoreCorrupt:
        manifest = None  # it is no longer what anybody made
    return {one for one in (*known, manifest.digest() if manifest is not None else "") if one}
