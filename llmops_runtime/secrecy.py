"""Keep the secrets that a task was given out of its log: libraries put requests and answers into their errors.

Called by the runner before any library is imported. Promises: what Python code writes to `sys.stderr` afterwards,
tracebacks and log handlers included, holds no value of a secret variable.
"""

from __future__ import annotations

import atexit
import io
import sys
import threading
from collections.abc import Mapping
from typing import Final, TextIO

from llmops_spec.payloads import process
from llmops_spec.secret import without_secrets

_SECRET_VARIABLES: Final = (process.TRACKING_TOKEN,)


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The secrets that a task was given."""
    return tuple(value for name in _SECRET_VARIABLES if (value := environment.get(name)))


def hide_secrets(environment: Mapping[str, str]) -> None:
    """From now on write to standard error without the secrets of `environment`; nothing changes where it has none."""
    values = secret_values(environment)
    if values:
        sys.stderr = stream = SecretiveStream(sys.stderr, values)
        atexit.register(stream.close)


class SecretiveStream(io.TextIOBase):
    """Passes text on by whole lines, so that a secret that is written in pieces is found too."""

    def __init__(self, stream: TextIO, values: tuple[str, ...]) -> None:
        self._stream = stream
        self._values = values
        self._rest = ""
        self._one_at_a_time = threading.RLock()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str, /) -> int:
        with self._one_at_a_time:
            lines, end, self._rest = (self._rest + text).rpartition("\n")
            if end:
                self._stream.write(without_secrets(lines + end, self._values))
        return len(text)

    def flush(self) -> None:
        """Flush whole lines; the last one waits for its end, or for that of the process."""
        self._stream.flush()

    def close(self) -> None:
        if self._rest:
            self._stream.write(without_secrets(self._rest, self._values))
            self._rest = ""
        self._stream.flush()
