"""Receipts in the store: written beside every result that is made here, asked for where the journal has none."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from llmops_spec.store import Manifest, Store
from policies.evidence.envelope import KeyPair
from policies.evidence.receipt import PREDICATE, receipt_holds, refuse_newer_statement, sign_receipt
from policies.evidence.trust import Trust


def write_receipt(store: Store, manifest: Manifest, key: KeyPair, folder: Path) -> None:
    """Sign a result that this machine made. `folder` takes a temporary file."""
    with TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "receipt.json"
        path.write_bytes(sign_receipt(manifest.key, manifest.digest(), key))
        store.put_if_absent(f"{manifest.key}/receipts/{key.keyid}-{manifest.digest()[:16]}.json", path)


def has_receipt(store: Store, manifest: Manifest, trust: Trust) -> bool:
    """Whether somebody whom the trust file lists vouches for exactly this result.

    Raises:
        NewerFormat: nobody does in a way that is known here, and a newer llmops wrote a receipt.
    """
    unread: list[bytes] = []
    for name in store.names(f"{manifest.key}/receipts/"):
        with store.get(name) as stream:
            data = stream.read()
        if receipt_holds(data, manifest.key, manifest.digest(), trust):
            return True
        unread.append(data)
    for data in unread:
        refuse_newer_statement(data, PREDICATE, f"a receipt for {manifest.key[:12]}", trust)
    return False
