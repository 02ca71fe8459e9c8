"""Hold the store against the journal and against its own digests, before anything is built on it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from compiler.plan import ArtifactStep, Step, step_id
from llmops.apply.receipts import has_receipt
from llmops.apply.site import Site
from llmops.errors import Exit, OperationFailed
from llmops_spec.store import Manifest, Store, StoreCorrupt, load_manifest
from policies.evidence.trust import Trust

_CHUNK = 1 << 20


def verify_stored(site: Site, steps: Sequence[Step], trust: Trust, *, excused: Collection[str] = ()) -> dict[str, str]:
    """Check every stored result that the steps name: made here or by somebody trusted, and byte for byte the same.

    Returns the digest of each one's manifest, by step key: what may be built on. `excused` are keys whose results
    were given up in the store since: they count as never made here.

    Raises:
        OperationFailed: with exit code 7, for the first that is not.
    """
    journaled = {key: made for key, made in site.journal.results().items() if key not in excused}
    begun = site.journal.begun()
    _refuse_another_store(site, journaled)
    verified: dict[str, str] = {}
    for step in steps:
        if isinstance(step, ArtifactStep):
            manifest = _verify(site.store, step, journaled.get(step.key))
            if manifest is not None:
                if step.key not in journaled and step.key not in begun:
                    refuse_stranger(site.store, step, manifest, trust)
                verified[step.key] = manifest.digest()
    return verified


def _refuse_another_store(site: Site, journaled: Mapping[str, str]) -> None:
    """Say so where not one of the results that were made here is in the store: it is another store then."""
    if journaled and all(load_manifest(site.store, key) is None for key in journaled):
        raise OperationFailed(
            f"the store at {site.store_url} has none of the {len(journaled)} results that were made here",
            help="was `store.file.path` changed? name the old folder again, or move it to the new place",
            exit_code=Exit.TAMPERED,
        )


def refuse_stranger(store: Store, step: ArtifactStep, manifest: Manifest, trust: Trust) -> None:
    """Refuse a result that this machine did not make and nobody vouches for.

    Raises:
        OperationFailed: with exit code 7.
    """
    if not has_receipt(store, manifest, trust):
        raise tampered(step, "its stored result was made neither here nor by anyone whom your trust file lists")


def _verify(store: Store, step: ArtifactStep, journaled: str | None) -> Manifest | None:
    try:
        manifest = load_manifest(store, step.key)
        if manifest is not None:
            verify_objects(store, manifest)
    except StoreCorrupt as error:
        raise tampered(step, str(error)) from error
    if manifest is None and journaled is not None:
        raise tampered(step, "its stored result is gone, and nothing here removed it")
    if manifest is not None and journaled is not None and manifest.digest() != journaled:
        raise tampered(step, "its stored result is not the one that was made here")
    return manifest


def verify_objects(store: Store, manifest: Manifest) -> None:
    """Hash every stored output of a step.

    Raises:
        StoreCorrupt: an output is missing or differs.
    """
    for name, output in manifest.outputs.items():
        digest = hashlib.sha256()
        try:
            with store.get(f"{manifest.key}/objects/{output.digest}") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except FileNotFoundError as error:
            raise StoreCorrupt(f"the output `{name}` of {manifest.key[:12]} is gone from the store") from error
        if digest.hexdigest() != output.digest:
            raise StoreCorrupt(f"the stored bytes of `{name}` of {manifest.key[:12]} are not what was made")


def tampered(step: Step, why: str) -> OperationFailed:
    return OperationFailed(
        f"{step_id(step)}: {why}",
        help=f"find out who changed it; `llmops evidence discard {step_id(step)}` gives it up, to be made again",
        exit_code=Exit.TAMPERED,
    )
