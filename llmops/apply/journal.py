"""What this machine has done to one environment: intent before each step and result after it, in SQLite.

Also holds the plans that were applied, what is deployed, and the processes that were started, so that a killed
`apply` leaves nothing that the next one does not know of. Every write is one transaction on disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from compiler.plan import Plan
from llmops.errors import OperationFailed
from llmops_spec.digests import Json, digest
from llmops_spec.formats import NewerFormat, newer_format

JOURNAL_FORMAT = 1

Event = Literal["intent", "done", "failed", "discarded"]

_TABLES = """
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY, at TEXT NOT NULL, plan TEXT NOT NULL, step TEXT NOT NULL,
  event TEXT NOT NULL, identity TEXT NOT NULL, result TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS plans (digest TEXT PRIMARY KEY, at TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS live (step TEXT PRIMARY KEY, revision TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS processes (pid INTEGER NOT NULL, started REAL NOT NULL, role TEXT NOT NULL);
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    plan: str
    step: str
    event: Event
    identity: str
    """The step's key, or the revision that it should bring about."""
    result: str
    """`done`: digest of the stored manifest, for steps that make artifacts; `discarded`: of the store's tombstone."""


class Journal:
    """One environment's journal. Opened under the environment's lock, or to read."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._migrate(path)
        except sqlite3.OperationalError as error:  # of the system: the disk, the folder's rights, another holder
            raise OperationFailed(
                f"the journal `{path}` cannot be opened: {error}",
                help="see that the disk is not full and the folder can be written, then run the same command again",
            ) from error
        except sqlite3.DatabaseError as error:
            raise OperationFailed(
                f"the journal `{path}` cannot be read: {error}",
                help="restore it; without it nothing proves which results are yours",
            ) from error

    def _migrate(self, path: Path) -> None:
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found > JOURNAL_FORMAT:
            raise NewerFormat(newer_format(found, JOURNAL_FORMAT, f"the journal `{path}`"))
        self._db.executescript(_TABLES)
        self._db.execute(f"PRAGMA user_version = {JOURNAL_FORMAT}")

    def close(self) -> None:
        self._db.close()

    # --- events

    def write(self, entry: Entry) -> None:
        self._db.execute(
            "INSERT INTO events (at, plan, step, event, identity, result) VALUES (?, ?, ?, ?, ?, ?)",
            (_now(), entry.plan, entry.step, entry.event, entry.identity, entry.result),
        )

    def entries(self) -> Iterator[Entry]:
        """Every event, oldest first."""
        with closing(
            self._db.execute("SELECT plan, step, event, identity, result FROM events ORDER BY number")
        ) as rows:
            for plan, step, event, identity, result in rows:
                yield Entry(plan=plan, step=step, event=event, identity=identity, result=result)

    def results(self) -> dict[str, str]:
        """Key of each step that was completed here, to the digest of its stored manifest; discarded ones are gone."""
        found: dict[str, str] = {}
        for entry in self.entries():
            if entry.event == "done" and entry.result:
                found[entry.identity] = entry.result
            elif entry.event == "discarded":
                found.pop(entry.identity, None)
        return found

    def made(self) -> dict[str, tuple[str, datetime]]:
        """Key of each step that was ever completed here, to its id and when that was last."""
        query = "SELECT identity, step, at FROM events WHERE event = 'done' ORDER BY number"
        with closing(self._db.execute(query)) as rows:
            return {key: (step, datetime.fromisoformat(at)) for key, step, at in rows}

    def tombstones(self) -> set[str]:
        """Digests of the tombstones that were written or honoured here: each counts once."""
        return {entry.result for entry in self.entries() if entry.event == "discarded" and entry.result}

    def begun(self) -> set[str]:
        """Keys of steps that were begun here and not seen to end: a killed run may still have stored their results."""
        found: set[str] = set()
        for entry in self.entries():
            if entry.event == "intent":
                found.add(entry.identity)
            else:
                found.discard(entry.identity)
        return found

    def previous(self) -> dict[str, str]:
        """Id of each step to the key or revision that it was last completed with."""
        return {entry.step: entry.identity for entry in self.entries() if entry.event == "done"}

    def state_digest(self, *, without: str = "") -> str:
        """Digest of everything done so far, less what was done under the plan `without`."""
        done = [
            [entry.step, entry.event, entry.identity, entry.result]
            for entry in self.entries()
            if entry.event in ("done", "discarded") and entry.plan != without
        ]
        return digest(done)

    def latest(self) -> datetime | None:
        """The latest time that this machine has written down: a clock set back does not make old evidence young."""
        (found,) = self._db.execute("SELECT MAX(at) FROM events").fetchone()
        return datetime.fromisoformat(found) if found else None

    @property
    def is_empty(self) -> bool:
        return self._db.execute("SELECT 1 FROM events LIMIT 1").fetchone() is None

    # --- plans

    def remember_plan(self, plan: Plan) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO plans VALUES (?, ?, ?)",
            (plan.digest(), _now(), plan.model_dump_json(by_alias=True)),
        )

    def plans(self) -> Iterator[Plan]:
        """Every plan that was applied, latest first."""
        return (plan for _, plan in self.applied())

    def applied(self) -> Iterator[tuple[str, Plan]]:
        """As `plans`, each with the digest that it had then: events name it, and a later version may make another."""
        with closing(self._db.execute("SELECT digest, body FROM plans ORDER BY at DESC, rowid DESC")) as rows:
            for digest_then, body in rows:
                yield digest_then, Plan.model_validate_json(body)

    # --- what is live

    def set_live(self, step: str, revision: str, body: Mapping[str, Json] | None = None) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO live VALUES (?, ?, ?)", (step, revision, json.dumps(body or {}, sort_keys=True))
        )

    def live(self) -> dict[str, tuple[str, dict[str, Json]]]:
        """Id of each acting step to the revision that it brought about, with what it left there."""
        rows = self._db.execute("SELECT step, revision, body FROM live ORDER BY step").fetchall()
        return {step: (revision, json.loads(body)) for step, revision, body in rows}

    def forget_live(self, step: str) -> None:
        self._db.execute("DELETE FROM live WHERE step = ?", (step,))

    # --- processes

    def process_started(self, pid: int, started: float, role: str) -> None:
        self._db.execute("INSERT INTO processes VALUES (?, ?, ?)", (pid, started, role))

    def process_ended(self, pid: int, started: float) -> None:
        self._db.execute("DELETE FROM processes WHERE pid = ? AND started = ?", (pid, started))

    def processes(self) -> list[tuple[int, float, str]]:
        """Process id, start time in seconds since the epoch, and role of each that has not been seen to end."""
        return self._db.execute("SELECT pid, started, role FROM processes").fetchall()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
