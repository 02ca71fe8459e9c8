"""`python -I -m llmops_runtime TASK --payload P.json --result R.json`: one task, the same on a desk and in a pod."""

from __future__ import annotations

import sys

from llmops_runtime.task import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
