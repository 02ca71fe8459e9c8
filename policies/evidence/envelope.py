"""DSSE envelopes with Ed25519 signatures, through securesystemslib. Works offline.

`seal` is called by whoever decides, `opened` by `verify`. An envelope has one spelling, the RFC 8785 form of its
JSON: so no byte of it can change without being noticed, those included that no signature covers.

The libraries take some time to import; import this package where evidence is made or checked, not before.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from securesystemslib.dsse import Envelope as Dsse
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Key, Signature, SSlibKey  # pyright: ignore[reportPrivateImportUsage]

from llmops_spec.digests import canonical, digest_bytes
from policies.evidence.strict_json import JsonRefused, parse_object

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_SIGNATURES: Final = 8
SEED_BYTES: Final = 32


class EnvelopeRefused(ValueError):  # noqa: N818  # reads as what it says
    """The bytes are no envelope as this package writes them."""


class OtherPayloadType(EnvelopeRefused):
    """An envelope of something else."""


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """An Ed25519 key. The private half never shows in a print-out."""

    keyid: str
    """SHA-256 of the public key's 32 bytes."""
    public: str
    """The public key's 32 bytes, in hexadecimal."""
    private_pem: bytes

    def __repr__(self) -> str:
        return f"KeyPair(keyid={self.keyid!r})"


@dataclass(frozen=True, kw_only=True)
class Envelope:
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]
    """Key id and signature; each key id once."""
    digest: str
    """Of the envelope's bytes."""


def new_key(seed: bytes) -> KeyPair:
    """The key that 32 random bytes make; the caller brings them from a source that nobody can guess."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a key is made of {SEED_BYTES} random bytes")
    return _pair(Ed25519PrivateKey.from_private_bytes(seed))


def load_key(private_pem: bytes) -> KeyPair:
    """Read a private key.

    Raises:
        ValueError: it is no Ed25519 private key in unencrypted PEM.
    """
    return _pair(_private_key(private_pem))


def _private_key(private_pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(private_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise ValueError("the key file holds no unencrypted private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("the key file holds a key of another kind than Ed25519")  # noqa: TRY004  # of the file's content
    return key


def keyid_of(public: str) -> str:
    return digest_bytes(bytes.fromhex(public))


def seal(payload: bytes, key: KeyPair) -> bytes:
    """Sign a payload and return the envelope's bytes; equal input gives equal bytes."""
    signer = CryptoSigner(_private_key(key.private_pem), _public_key(key.keyid, key.public))
    signature = Dsse(payload, PAYLOAD_TYPE, {}).sign(signer)
    return _spelled(payload, [(key.keyid, bytes.fromhex(signature.signature))])


def opened(data: bytes) -> Envelope:
    """Read an envelope, without believing anything in it.

    Raises:
        OtherPayloadType: it is an envelope of something else.
        EnvelopeRefused: it is none, or not spelled in the one way.
    """
    try:
        value = parse_object(data)
    except JsonRefused as error:
        raise EnvelopeRefused(str(error)) from error
    if value.get("payloadType") != PAYLOAD_TYPE:
        raise OtherPayloadType(f"the payload type is not `{PAYLOAD_TYPE}`")
    payload = _bytes(value.get("payload"))
    signatures = [_signature(one) for one in _listed(value.get("signatures"))]
    if len({keyid for keyid, _ in signatures}) != len(signatures):
        raise EnvelopeRefused("one key signs twice")
    if _spelled(payload, signatures) != data:
        raise EnvelopeRefused("it is not spelled in the one canonical way, or holds more than an envelope has")
    return Envelope(payload=payload, signatures=tuple(signatures), digest=digest_bytes(data))


def signed_by(envelope: Envelope, public: Sequence[str]) -> bool:
    """Whether every signature is by one of these public keys, and holds."""
    keys: list[Key] = [_public_key(keyid_of(one), one) for one in dict.fromkeys(public)]
    signatures = {keyid: Signature(keyid, value.hex()) for keyid, value in envelope.signatures}
    if not signatures or len(keys) < len(signatures):
        return False
    try:
        Dsse(envelope.payload, PAYLOAD_TYPE, signatures).verify(keys, threshold=len(signatures))
    except UnverifiedSignatureError:
        return False
    return True


def _spelled(payload: bytes, signatures: Sequence[tuple[str, bytes]]) -> bytes:
    return canonical(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": keyid, "sig": base64.b64encode(value).decode()} for keyid, value in signatures],
        }
    )


def _listed(value: object) -> list[object]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SIGNATURES:
        raise EnvelopeRefused(f"`signatures` is no list of 1 to {MAX_SIGNATURES}")
    return value


def _signature(value: object) -> tuple[str, bytes]:
    if not isinstance(value, dict) or not isinstance(keyid := value.get("keyid"), str):
        raise EnvelopeRefused("a signature names no key")
    return keyid, _bytes(value.get("sig"))


def _bytes(value: object) -> bytes:
    if not isinstance(value, str):
        raise EnvelopeRefused("a field that should be base64 text is none")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EnvelopeRefused("a field that should be base64 text is none") from error


def _public_key(keyid: str, public: str) -> SSlibKey:
    return SSlibKey(keyid, "ed25519", "ed25519", {"public": public})


def _pair(private: Ed25519PrivateKey) -> KeyPair:
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(keyid=keyid_of(public), public=public, private_pem=pem)
