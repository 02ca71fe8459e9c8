"""`python -I -m llmops_runtime TASK --payload P.json --result R.json`: one task, the same on a desk and in a pod.

`supervise` before the task keeps a standing one up.
"""

from __future__ import annotations

import os
import sys


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["supervise"]:
        from llmops_runtime import supervise

        return supervise.main(arguments[1:])
    from llmops_runtime import task

    return task.main(arguments)


if __name__ == "__main__":
    code = _run(sys.argv[1:])
    sys.stderr.flush()
    # Everything is written and synced: taking torch apart again would cost seconds, also after Ctrl-C.
    os._exit(code)
