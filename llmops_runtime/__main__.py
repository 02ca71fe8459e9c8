"""`python -I -m llmops_runtime TASK --payload P.json --result R.json`: one task, the same on a desk and in a pod."""

from __future__ import annotations

import os
import sys

from llmops_runtime.task import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    # Everything is written and synced: taking torch apart again would cost seconds, also after Ctrl-C.
    os._exit(code)
