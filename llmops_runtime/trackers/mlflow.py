"""Tracking in MLflow: a server, or a SQLite file on a desk."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from llmops_runtime.trackers import Outcome, TrackedRun

_SECONDS_BETWEEN_WRITES: Final = 3.0
_LARGEST_BATCH: Final = 900
"""MLflow takes 1000 figures in one request."""
_LONGEST_PARAMETER: Final = 6000
_STATUS: Final[Mapping[Outcome, str]] = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}


class MlflowTracker:
    """One run. Figures are written in batches, every few seconds. Raises whatever MLflow raises."""

    def __init__(self, uri: str, run: TrackedRun) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._client = MlflowClient(tracking_uri=uri)
        self._metric = Metric
        known = self._client.get_experiment_by_name(run.experiment)
        experiment = known.experiment_id if known else self._client.create_experiment(run.experiment)
        self._run = self._client.create_run(experiment, run_name=run.name, tags=dict(run.tags)).info.run_id
        self._client.log_batch(
            self._run,
            params=[Param(name, value[:_LONGEST_PARAMETER]) for name, value in sorted(run.parameters.items())],
        )
        self._waiting: list[Metric] = []
        self._written_at = time.monotonic()

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        now_ms = int(time.time() * 1000)
        self._waiting += [self._metric(name, value, now_ms, step) for name, value in figures.items()]
        full = len(self._waiting) >= _LARGEST_BATCH
        if full or time.monotonic() - self._written_at > _SECONDS_BETWEEN_WRITES:
            self._write()

    def end(self, outcome: Outcome) -> None:
        self._write()
        self._client.set_terminated(self._run, status=_STATUS[outcome])

    def _write(self) -> None:
        if self._waiting:
            self._client.log_batch(self._run, metrics=self._waiting)
        self._waiting = []
        self._written_at = time.monotonic()
