from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.desk import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The quickstart with quick workers, under a configuration folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LLMOPS_TRUST", raising=False)
    made = Desk.of_quickstart(tmp_path / "project")
    yield made
    made.close()
