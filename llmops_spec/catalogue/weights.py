"""Files that may not lie in a model's folder, by their endings.

Used by the checks, which say so before anything runs, and by the runtime, which loads no folder that holds one.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

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


def is_pickled(path: str) -> bool:
    return PurePosixPath(path).suffix.casefold() in PICKLED_SUFFIXES


def is_code(path: str) -> bool:
    return PurePosixPath(path).suffix.casefold() in CODE_SUFFIXES
