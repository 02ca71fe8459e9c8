"""Where each platform looks for its pipeline, relative to the root of a repository."""

from __future__ import annotations

from typing import Final

GITHUB: Final = ".github/workflows/llmops.yaml"
REQUIREMENTS: Final = ".github/llmops-requirements.txt"
"""Where the repository says which llmops to install, and from where. Written once, and then the repository's own."""
