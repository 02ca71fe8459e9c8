"""`llmops status`: what runs, what does not, and what had to be started again."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

from llmops.apply.journal import Journal
from llmops.apply.processes import started_at
from llmops.apply.servers import LivePair

from .conftest import Command


def _deployed(folder: Path, name: str) -> None:
    own = {"pid": os.getpid(), "started": started_at(os.getpid())}
    pair = LivePair.model_validate(
        {
            "service": "support",
            "modelName": "tuned",
            "port": 1,
            "enginePort": 1,
            "name": name,
            **{f"engine{key.capitalize()}": value for key, value in own.items()},
            **{f"gateway{key.capitalize()}": value for key, value in own.items()},
        }
    )
    with closing(Journal(folder / "journal.db")) as journal:
        journal.set_live("roll-out/support", "1" * 64, pair.model_dump(mode="json", by_alias=True))


def test_it_says_how_often_each_process_was_started_again(rows: Command) -> None:
    folder = rows.root / ".llmops" / "local"
    _deployed(folder, "support-1111")
    quiet = rows("status", "--env", "local").out
    note = folder / "run" / "engine-support-1111" / "supervision.json"
    note.parent.mkdir(parents=True)
    note.write_text('{"formatVersion": 1, "restarts": 5, "lastEnd": "signal 9", "gaveUp": true}')

    told = " ".join(rows("status", "--env", "local").out.split())
    facts = json.loads(rows("status", "--env", "local", "--format", "json").out)["support"]

    assert "none" in quiet
    assert "down" in told  # nothing listens there
    assert "engine: 5, last after signal 9, given up" in told
    assert facts["restarts"]["engine"] == {"count": 5, "lastEnd": "signal 9", "gaveUp": True}
    assert facts["restarts"]["gateway"] == {"count": 0, "lastEnd": "", "gaveUp": False}
