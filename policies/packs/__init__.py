"""The policy packs that come with the package: `NAME.yaml` beside this one, with its examples in `NAME.fixtures.yaml`.

`llmops` reads them.
"""

from __future__ import annotations

from typing import Final

PACKS: Final = ("default",)
"""In order."""
