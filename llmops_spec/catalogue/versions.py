"""The libraries whose version decides a result, by task."""

from __future__ import annotations

from typing import Final

TRAIN: Final = ("torch", "transformers", "peft", "trl")
ENGINE: Final = ("torch", "transformers", "peft")

RECIPES: Final = {"check-data": 1, "transform": 1, "train": 1}
"""Declared versions of what our own runners do; raised with every change that changes their outcome."""
