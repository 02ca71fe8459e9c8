"""The policy packs that come with the package, as YAML files beside this one. `llmops` reads and loads them."""

from __future__ import annotations

from typing import Final

PACKS: Final = ("default.yaml",)
"""File names, in order."""
