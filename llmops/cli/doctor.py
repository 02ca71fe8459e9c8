"""`llmops doctor`: say what this machine has, lacks and would do."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator

import click

from llmops import __version__
from llmops.apply.trust import trust_path
from llmops.cli.console import say, style, table
from llmops.facts import pinned_versions

_EXTRAS = {
    "train": ("torch", "transformers", "peft", "trl", "datasets", "accelerate", "safetensors"),
    "eval": ("aiohttp", "rouge-score", "scikit-learn"),
    "guard": ("guardrails-ai",),
    "serve": ("aiohttp", "starlette", "uvicorn"),
    "track": ("mlflow",),
    "pulumi": ("pulumi", "pulumi-kubernetes"),
}


@click.command()
def command() -> None:
    """Say which extras are installed and whether their versions are the pinned ones, and what else matters here.

    \b
    Example:
      llmops doctor
    """
    say(table(list(_lines())))


def _lines() -> Iterator[list[str]]:
    yield ["llmops", __version__, ""]
    yield ["python", platform.python_version(), sys.executable]
    yield ["machine", f"{os.cpu_count()} cores", platform.platform()]
    yield ["trust file", _word(trust_path().exists(), "there", "none yet"), str(trust_path())]
    yield ["HF_TOKEN", _word(bool(os.environ.get("HF_TOKEN")), "set", "none"), "for gated models in `llmops lock`"]
    pins = pinned_versions()
    for extra, libraries in _EXTRAS.items():
        for library in libraries:
            yield _library(extra, library, pins.get(library) or pins.get(library.replace("-", "_")))
    for tool in ("git", "pulumi", "kubectl"):
        found = shutil.which(tool)
        yield [f"tool {tool}", _word(found is not None, "found", "none"), found or ""]


def _library(extra: str, library: str, pinned: str | None) -> list[str]:
    try:
        version = importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return [f"extra {extra}", style("missing", "yellow"), f"{library}: pip install 'llmops[{extra}]'"]
    same = pinned is None or version.split("+")[0] == pinned
    note = "" if same else f", and {pinned} is pinned: steps that need it refuse to start"
    return [f"extra {extra}", _word(same, "ok", "other version"), f"{library} {version}{note}"]


def _word(good: bool, yes: str, no: str) -> str:  # a value
    return style(yes, "green") if good else style(no, "yellow")
