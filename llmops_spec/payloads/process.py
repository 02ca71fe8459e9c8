"""Environment variables between the one who starts a task and the task. None of them can change a result."""

from __future__ import annotations

from typing import Final

STORE: Final = "LLMOPS_STORE"
"""Where artifacts are: `file:<absolute path>`."""
PINS: Final = "LLMOPS_PINS"
"""The inputs that were verified: `<step key>=<manifest digest>`, joined by commas. Other bytes are refused."""
TRACKING_URI: Final = "LLMOPS_TRACKING_URI"
TRACKING_EXPERIMENT: Final = "LLMOPS_TRACKING_EXPERIMENT"
TRACKING_TOKEN: Final = "MLFLOW_TRACKING_TOKEN"  # noqa: S105  # its name
"""Bearer token of the tracking server, under the name that MLflow reads. A secret: trainings alone have it."""
RUN_NAME: Final = "LLMOPS_RUN_NAME"
"""Name of the tracked run: the training's."""
LISTEN: Final = "LLMOPS_LISTEN"
"""`host:port` of a standing process; port 0 takes a free one."""
PUBLIC_LISTEN: Final = "LLMOPS_PUBLIC_LISTEN"
"""`host:port` that a gateway takes over, beside its own, when it receives SIGUSR1."""
ENGINE_URL: Final = "LLMOPS_ENGINE_URL"
"""For a gateway: its engine, `http://host:port`."""
GATEWAY_URL: Final = "LLMOPS_GATEWAY_URL"
"""For `evaluate`: the candidate's gateway, `http://host:port`."""
SUPERVISED: Final = "LLMOPS_SUPERVISED"
"""Set for the child of a supervisor: its standard input ends with the supervisor, and so must it."""

SUPERVISION_FILE: Final = "supervision.json"
"""Beside the result file of a supervised process: a `Supervision`, once it had to be started again."""
