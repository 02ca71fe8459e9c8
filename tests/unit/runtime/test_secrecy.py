"""What a task writes to standard error holds none of the secrets that it was given."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from typing import Any

from llmops_runtime.secrecy import SecretiveStream

CANARY = "canary-71c2e0"


def test_pieces_of_a_secret_are_found_once_they_are_whole() -> None:
    out = StringIO()
    stream = SecretiveStream(out, (CANARY,))
    for piece in ("before ", CANARY[:5], CANARY[5:], " after\nnext ", CANARY[:3]):
        stream.write(piece)
        stream.flush()
    assert out.getvalue() == "before (secret) after\n"
    stream.write(CANARY[3:])
    stream.close()
    assert out.getvalue() == "before (secret) after\nnext (secret)"


def test_tracebacks_logs_threads_and_last_words_are_without_it() -> None:
    code = """
import logging, os, sys, threading
from llmops_runtime.secrecy import hide_secrets
hide_secrets(os.environ)
given = os.environ["MLFLOW_TRACKING_TOKEN"]
logging.warning("refused: %s", given)
def fail(): raise ValueError(given)
one = threading.Thread(target=fail); one.start(); one.join()
sys.stderr.write("last words: " + given)
"""
    environment = {**os.environ, "MLFLOW_TRACKING_TOKEN": CANARY}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert CANARY not in done.stderr
    assert done.stderr.count("(secret)") == 3
    assert done.stderr.endswith("last words: (secret)")


def test_a_bug_that_quotes_a_secret_leaves_it_out_of_log_and_result(bench: Any) -> None:
    payload = {
        "task": "transform",
        "splits": {"train": bench.put_rows([{"q": "x"}]).model_dump()},
        "columns": {"q": {}},
        "redact": [{"columns": ["q"]}],
        "recipe": 1,
    }
    bench.environment["MLFLOW_TRACKING_TOKEN"] = CANARY
    spoil = (
        "import os, llmops_runtime.data.transform as t\n"
        "def quote(text): raise RuntimeError('Bearer ' + os.environ['MLFLOW_TRACKING_TOKEN'])\n"
        "t.redact = quote"
    )
    run = bench.run(payload, code=spoil)
    assert "Bearer (secret)" in run.err
    assert "Bearer (secret)" in run.result["failure"]["message"]
    assert CANARY not in run.err + run.out + bench.result_path.read_text()
