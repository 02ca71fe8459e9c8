"""The actions that rendered workflows use, pinned to commits. A tag can be moved to other code; a commit cannot."""

from __future__ import annotations

from typing import Final

from compiler.yaml_writer import Noted


def _pin(action: str, commit: str, version: str) -> Noted:
    return Noted(text=f"{action}@{commit}", note=version)


CHECKOUT: Final = _pin("actions/checkout", "de0fac2e4500dabe0009e67214ff5f5447ce83dd", "v6.0.2")
SETUP_PYTHON: Final = _pin("actions/setup-python", "a309ff8b426b58ec0e2a45f0f869d46889d02405", "v6.2.0")
UPLOAD_ARTIFACT: Final = _pin("actions/upload-artifact", "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f", "v7.0.0")
DOWNLOAD_ARTIFACT: Final = _pin("actions/download-artifact", "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "v8.0.1")
