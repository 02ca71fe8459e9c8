"""Files that may not lie in a model's folder, by their endings or by what they name.

Used by the checks, which say so before anything runs, and by the runtime, which loads no folder that holds one.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final, cast

PICKLED_SUFFIXES: Final = frozenset(
    {
        ".bin",
        ".ckpt",
        ".dill",
        ".h5",
        ".hdf5",
        ".joblib",
        ".keras",
        ".msgpack",
        ".npy",
        ".npz",
        ".pickle",
        ".pkl",
        ".pt",
        ".pth",
    }
)
"""Formats that are pickles, or may hold pickled parts: what reads them runs what they hold."""

CODE_SUFFIXES: Final = frozenset({".dll", ".dylib", ".py", ".pyc", ".pyd", ".pyo", ".so"})
"""Programs and libraries."""


TOKENIZERS: Final = frozenset(
    {
        *("sentencepiece.bpe.model", "spiece.model", "tekken.json", "tokenizer.json", "tokenizer.model"),
        *("vocab.json", "vocab.txt"),
    }
)
"""Files that hold a tokenizer's vocabulary; of these our own runtime reads `tokenizer.json` alone."""


def is_pickled(path: str) -> bool:
    return PurePosixPath(path).suffix.casefold() in PICKLED_SUFFIXES


def is_code(path: str) -> bool:
    return PurePosixPath(path).suffix.casefold() in CODE_SUFFIXES


def is_configuration(path: str) -> bool:
    """Whether a file says how a model or its tokenizer is put together, and so may name code at any depth."""
    return PurePosixPath(path).name.casefold().endswith("config.json")


def names_code(value: object) -> bool:
    """Whether parsed JSON holds an `auto_map`, by which transformers finds classes in a model's own Python files."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case {"auto_map": _}:
                return True
            case dict() as mapping:
                waiting += cast("dict[str, object]", mapping).values()
            case list() as items:
                waiting += cast("list[object]", items)
            case _:
                pass
    return False
