"""Hold the store against the journal and against its own digests, before anything is built on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from compiler.plan import ArtifactStep, Step, step_id
from llmops.apply.site import Site
from llmops.errors import Exit, OperationFailed
from llmops_spec.store import Manifest, Store, StoreCorrupt, load_manifest

_CHUNK = 1 << 20


def verify_stored(site: Site, steps: Sequence[Step]) -> None:
    """Check every stored result that the steps name: present where the journal has it, and byte for byte the same.

    Raises:
        OperationFailed: with exit code 7, for the first that is not.
    """
    journaled = site.journal.results()
    for step in steps:
        if isinstance(step, ArtifactStep):
            _verify(site.store, step, journaled.get(step.key))


def _verify(store: Store, step: ArtifactStep, journaled: str | None) -> None:
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
