"""Keep libraries quiet: no telemetry, no look-ups outside, no chatter on a terminal that is not theirs.

Called by the task runner before anything heavy is imported, and by whoever imports such a library elsewhere.
Promises: after `quiet_libraries()`, importing or using torch, transformers, datasets, TRL, MLflow, deepeval,
guardrails-ai or litellm opens no connection of its own accord.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import Final

QUIET: Final = MappingProxyType(
    {
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "DATASETS_VERBOSITY": "error",
        "ACCELERATE_DISABLE_RICH": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
        "DEEPEVAL_DISABLE_DOTENV": "1",
        "GUARDRAILS_RUN_SYNC": "true",
        "LANGCHAIN_TRACING_V2": "false",
        "LANGSMITH_TRACING": "false",
        "WANDB_MODE": "disabled",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
)
"""What each variable is for follows from its name; the last one makes CUDA matrix products repeatable."""

PATIENT_THREADS: Final = MappingProxyType({"GOMP_SPINCOUNT": "2000"})
"""Threads that wait for each other give their core up soon instead of spinning. Alone on a machine it costs nothing;
where other work wants the cores, two spinning threads made a training ten times slower."""

_GUARDRAILS_RC: Final = "id=\ntoken=\nenable_metrics=false\nuse_remote_inferencing=false\n"


def quiet_libraries() -> None:
    """Set this process's environment so that heavy libraries stay offline and silent. Call before importing them.

    guardrails-ai obeys a file in the home folder alone: it is written where there is none.
    """
    os.environ.update(QUIET)
    os.environ.update(PATIENT_THREADS)
    settings = Path(os.environ.get("HOME") or Path.home()) / ".guardrailsrc"
    if not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(_GUARDRAILS_RC)


def private_home(folder: Path) -> None:
    """Make `folder` the home of this process, so that no library reads or writes the user's own files."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["HOME"] = str(folder)
    for variable, below in {
        "XDG_CACHE_HOME": ".cache",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "HF_HOME": ".cache/huggingface",
        "MPLCONFIGDIR": ".config/matplotlib",
        "NLTK_DATA": ".nltk",
        "TORCHINDUCTOR_CACHE_DIR": ".cache/inductor",
    }.items():
        os.environ[variable] = str(folder / below)
