"""Stores by URL. The one part of the runtime that the command itself imports."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from llmops_spec.store import Store


class StoreUnknown(Exception):  # noqa: N818  # reads as what it says
    """A store URL that names no store we have. Carries a sentence for the user."""


def open_store(url: str) -> Store:
    """The store at `url`, such as `file:/var/lib/llmops/store`.

    Raises:
        StoreUnknown: no store has that scheme, or the rest of the URL does not fit it.
    """
    scheme, _, rest = url.partition(":")
    opener = _SCHEMES.get(scheme)
    if opener is None:
        raise StoreUnknown(f"no store has the scheme `{scheme}`; there are {', '.join(sorted(_SCHEMES))}")
    return opener(rest)


def _open_file(rest: str) -> Store:
    from pathlib import Path

    from llmops_runtime.stores.file import FileStore

    path = Path(unquote(rest.removeprefix("//")))
    if not path.is_absolute():
        raise StoreUnknown(f"`file:{rest}` is not an absolute path")
    return FileStore(path)


_SCHEMES: Final = MappingProxyType[str, Callable[[str], Store]]({"file": _open_file})
