"""Reads the start-up log of an engine: what it measured, on which rank, and with which settings.

Called by `llmops size calibrate`. Logs are read line by line, so that their size does not matter; colours, ranks'
prefixes and lines of other programs are passed over. A log of several starts tells of the last.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from compiler.sizing.gpus import find_gpu
from llmops.errors import Exit, OperationFailed
from llmops.sizing.log_lines import ENDED, FAILED, NEWS, OPENED, STARTED, WORDINGS

LONGEST_LINE: Final = 256 * 1024
"""Bytes of one line that are looked at; what follows is read as a line of its own."""

_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f]")
_RANK: Final = re.compile(
    r"\(\w*Worker[^)]*?rank=(\d+)|\(\w*Worker_(?:\w+_)?TP(\d+)|\(\w*Worker\w* pid=(\d+)|\bTP(\d+)\]|\bRank (\d+)\b"
)
"""`(VllmWorker rank=1 pid=12)`, `(Worker_TP1 pid=12)`, `(VllmWorkerProcess pid=12)`, `[2025-10-16 09:06:22 TP1]`."""

LONGEST_ARGUMENTS: Final = 500
"""Lines of one printed structure that are put together; engines print fewer than a hundred."""

_BESIDE: Final = re.compile(r"^(?:[\w.-]+\s*\|\s)?(?:\d{4}-\S+Z\s)?")
"""The service's name that `docker compose logs` puts before each line, and the time that `kubectl logs` does."""

_SETTINGS: Final = frozenset(("n_length", "n_tensor", "n_pipeline", "n_sequences", "x_share"))
"""What is told and not measured: the last line holds."""

_CARD: Final = re.compile(r"\b(?:NVIDIA|Tesla|AMD Instinct) [\w -]{2,40}")


@dataclass(frozen=True, kw_only=True)
class StartUp:
    """What one log tells of one start-up. Figures are those of the tightest rank, in GiB."""

    engine: str
    texts: dict[str, str]
    """`version`, `model`, `dtype`, `quantization`, `cache`, `gpu`."""
    counts: dict[str, int]
    """`length`, `tensor`, `pipeline`, `sequences`, `tokens`, `blocks`."""
    gib: dict[str, float]
    """`weights`, `activations`, `other`, `graphs`, `pool`, `card`."""
    numbers: dict[str, float]
    """`share`, `concurrency`."""
    failure: str | None
    """Why the start-up ended, in the log's words."""
    starts: int
    """How many start-ups the log holds."""


@dataclass
class _Notes:
    """What was found so far, by rank where ranks differ."""

    texts: dict[str, str] = field(default_factory=dict[str, str])
    figures: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    hits: Counter[str] = field(default_factory=Counter[str])
    failure: str | None = None
    starts: int = 1


def read_log(path: Path) -> StartUp:
    """The last start-up of a log.

    Raises:
        OperationFailed: the file is no text, or has no start-up line of a known engine.
    """
    with path.open("rb") as stream:
        if b"\0" in stream.read(8192).removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff"):
            raise _refused(path, "is not a text", "give the log that the engine printed when it started")
    notes = _Notes()
    for line in _joined(_lines(path)):
        if NEWS.search(line) or FAILED.search(line):
            _note(notes, line)
        elif "gpu" not in notes.texts:
            _note_card(notes, line)
    if not notes.hits:
        known = "vLLM, SGLang, TGI or TensorRT-LLM"
        raise _refused(path, f"has no start-up line of {known}", "give the log from its beginning")
    return _start_up(notes)


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as stream:
        while data := stream.readline(LONGEST_LINE):
            yield _ESCAPES.sub("", data.decode("utf-8", "replace"))


def _joined(lines: Iterator[str]) -> Iterator[str]:
    """Lines, with a structure that is printed over several of them (TGI's arguments) as the one line it stands for."""
    held: list[str] = []
    for line in lines:
        if held and (ENDED.search(line) or len(held) >= LONGEST_ARGUMENTS):
            yield _one_line(held)
            held = []
        if held:
            held.append(_BESIDE.sub("", line).strip())
            if held[-1] == "}":
                yield _one_line(held)
                held = []
        elif OPENED.search(line):
            held.append(line.strip())
        else:
            yield line
    if held:
        yield _one_line(held)


def _one_line(held: list[str]) -> str:
    return " ".join(held).replace("( ", "(").replace(", )", ")")


def _note(notes: _Notes, line: str) -> None:
    failed = FAILED.search(line)
    if failed:
        notes.failure = failed.group(0).strip()
    if STARTED.search(line):
        _begin(notes)
    rank = _rank(line)
    for engine, wordings in WORDINGS.items():
        for wording in wordings:
            found = wording.search(line)
            if found is not None:
                notes.hits[engine] += 1
                _keep(notes, rank, found.groupdict(), repeats=engine == "vllm")


def _begin(notes: _Notes) -> None:
    """Engines of one replica announce themselves one after another; a new start comes after a pool, or an end."""
    if notes.failure is not None or "gib_pool" in notes.figures or "n_tokens" in notes.figures:
        notes.figures.clear()
        notes.failure = None
        notes.starts += 1


def _keep(notes: _Notes, rank: str, groups: dict[str, str | None], *, repeats: bool) -> None:
    """`repeats`: one process says what each rank measured, a line for each and none with its rank. (TensorRT-LLM says
    the same line first of a trial, so that there the last one holds.)"""
    for name, text in groups.items():
        if text is None:
            continue
        if name.startswith(("gib_", "mib_", "n_", "x_")):
            by_rank, value = notes.figures.setdefault(name, {}), float(text.replace(",", ""))
            again = repeats and rank in by_rank and name not in _SETTINGS
            by_rank[rank] = _worst(name, {"before": by_rank[rank], "now": value}) if again else value
        elif text not in ("None", "auto", "dev"):
            notes.texts[name] = text


def _note_card(notes: _Notes, line: str) -> None:
    found = _CARD.search(line)
    gpu = find_gpu(re.split(r"\s{2,}", found.group(0))[0].removesuffix(" On").strip()) if found else None
    if gpu is not None:
        notes.texts["gpu"] = gpu.name


def _rank(line: str) -> str:
    found = _RANK.search(line)
    return next((one for one in found.groups() if one is not None), "0") if found else "0"


def _start_up(notes: _Notes) -> StartUp:
    worst = {name: _worst(name, by_rank) for name, by_rank in notes.figures.items()}
    gib = {name.removeprefix("gib_"): value for name, value in worst.items() if name.startswith("gib_")}
    gib |= {name.removeprefix("mib_"): value / 1024 for name, value in worst.items() if name.startswith("mib_")}
    if "pool" not in gib and "keys" in gib:
        gib["pool"] = gib["keys"] + gib.get("values", 0.0)
    if "activations" not in gib and "peak" in gib and "weights" in gib:
        gib["activations"] = max(0.0, gib["peak"] - gib["weights"])
    return StartUp(
        engine=notes.hits.most_common(1)[0][0],
        texts=notes.texts,
        counts={name.removeprefix("n_"): int(value) for name, value in worst.items() if name.startswith("n_")},
        gib=gib,
        numbers={name.removeprefix("x_"): value for name, value in worst.items() if name.startswith("x_")},
        failure=notes.failure,
        starts=notes.starts,
    )


def _worst(name: str, by_rank: dict[str, float]) -> float:
    """The rank that decides: the smallest pool, the largest of everything else."""
    scarce = name in ("gib_pool", "gib_card", "gib_free", "n_tokens", "n_blocks", "x_concurrency")
    return min(by_rank.values()) if scarce else max(by_rank.values())


def _refused(path: Path, what: str, help_: str) -> OperationFailed:
    return OperationFailed(f"{path} {what}", help=help_, exit_code=Exit.FINDINGS)
