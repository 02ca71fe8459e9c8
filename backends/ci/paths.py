"""Where each platform looks for its pipeline, relative to the root of a repository."""

from __future__ import annotations

from typing import Final

GITHUB: Final = ".github/workflows/llmops.yaml"
