"""`llmops size`: memory, throughput and cost of models, by arithmetic that is printed."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

from llmops.cli.console import print_failure, say, say_json, tell
from llmops.cli.size_words import at_most, engine_with_version, known_words, no_contradiction
from llmops.errors import Exit, OperationFailed

_Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

# `llmops.cli.options` opens projects and loads all of the compiler for it; sizing has no project, and starts at once.
_format: _Decorator = click.option(
    "--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True
)


@click.group()
def command() -> None:
    """Will it fit, how much will it hold, and what will it cost? Works offline, by arithmetic that is printed."""


_SERVING: tuple[_Decorator, ...] = (
    click.option("--gpu", metavar="NAME", help="Name of the GPU, such as L4 or A100-80."),
    click.option("--count", type=click.IntRange(1, 1024), default=1, show_default=True, help="GPUs of one replica."),
    click.option("--tp", type=click.IntRange(1, 1024), metavar="N", help="Tensor ranks.  [default: count / pp]"),
    click.option("--pp", type=click.IntRange(1, 1024), default=1, metavar="N", help="Pipeline stages."),
    click.option(
        "--engine",
        default="vllm",
        show_default=True,
        metavar="NAME[@VERSION]",
        help="Such as vllm@0.21, triton+vllm.",
    ),
    click.option("--max-model-len", type=click.IntRange(1), metavar="N", help="Longest request in tokens."),
    click.option("--max-num-seqs", type=click.IntRange(1), metavar="N", help="Requests in one step."),
    click.option("--gpu-memory-utilization", type=float, metavar="SHARE", help="Share of the GPU, such as 0.9."),
    click.option("--quantization", metavar="FORMAT", help="Such as fp8, awq or nf4."),
    click.option("--kv-cache-dtype", metavar="TYPE", help="Such as fp8."),
    click.option("--dtype", metavar="TYPE", help="Such as bfloat16."),
)
_TRAFFIC: tuple[_Decorator, ...] = (
    click.option("--input-len", type=click.IntRange(1), default=1000, show_default=True, help="Tokens of a prompt."),
    click.option("--output-len", type=click.IntRange(1), default=500, show_default=True, help="Tokens of an answer."),
    click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Requests in flight.  [default: many]"),
    click.option("--duty", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE", help="Time that it works."),
    click.option("--prices", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Your price list."),
)
_TRAINING: tuple[_Decorator, ...] = (
    click.option("--train", metavar="METHOD", help="Size a training: full, pretrain, lora, qlora or dpo."),
    click.option("--seq-len", type=click.IntRange(1), metavar="N", help="Training: tokens of a sequence."),
    click.option("--micro-batch", type=click.IntRange(1), metavar="N", help="Training: sequences on a GPU at a time."),
    click.option("--optimizer", metavar="NAME", help="Training: such as adamw or paged_adamw_8bit."),
    click.option("--sharding", metavar="HOW", help="Training: ddp, fsdp, zero1 to zero3, each with +offload."),
    click.option("--grad-ckpt", metavar="HOW", help="Training: on, off or selective."),
    click.option("--lora-r", type=click.IntRange(1), metavar="N", help="Training: rank of the adapters."),
)


def _all(options: tuple[_Decorator, ...]) -> _Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@command.command()
@click.argument("model")
@_all(_SERVING)
@click.option("--compare", metavar="GPU,GPU…", help="One line for each of these GPUs, and for --gpu.")
@click.option(
    "--search",
    is_flag=True,
    help="One line for each GPU that fits, of those named if any, in the fewest of it (at most --count), by price.",
)
@_all(_TRAFFIC)
@_all(_TRAINING)
@_format
def model(model: str, format_: str, **given: Any) -> None:
    """Size MODEL: a name of the catalogue, its repository, or the path of a config.json.

    \b
    Example:
      llmops size model meta-llama/Llama-3.1-8B-Instruct --gpu L4 --max-model-len 8192
      llmops size model Qwen/Qwen2.5-32B-Instruct --compare L4,A100-80,H100 --count 2 --duty 0.3
      llmops size model Qwen/Qwen2.5-32B-Instruct --search --max-model-len 16384
      llmops size model ./config.json --gpu H100 --train qlora --seq-len 4096 --micro-batch 2
    """
    from llmops.sizing.cells import UnreadableCellError
    from llmops.sizing.subjects import UnknownSubjectError, find_subject

    no_contradiction(given)
    try:
        subject = find_subject(model)
        code = _train(subject, given, format_) if given["train"] else _serve(subject, given, format_)
    except UnknownSubjectError as error:
        raise OperationFailed(str(error), help=error.hint() or _HELP) from error
    except UnreadableCellError as error:
        raise OperationFailed(str(error), help=_HELP) from error
    sys.exit(code)


def _serve(subject: Any, given: Mapping[str, Any], format_: str) -> int:
    from compiler.sizing.serving import size_serving
    from llmops.cli.size_text import answer_text, comparison_text, search_text
    from llmops.sizing.answers import answer, answer_json, search_answers
    from llmops.sizing.serving_rows import serving_request

    compared = [one.strip() for one in (given["compare"] or "").split(",") if one.strip()]
    own: list[str] = [given["gpu"]] if given["gpu"] else []
    named = list(dict.fromkeys([*own, *compared]))
    if not named and not given["search"]:
        help_ = "`--gpu L4` for one, `--compare L4,A100-80,H100` for several, `--search` for all that fit"
        raise OperationFailed("no GPU is named", help=help_)
    traffic = _traffic(given)
    if given["search"]:
        asked = serving_request(_serving_cells(given, "H100"), subject)  # every card takes the place of this one
        known_words(given, size_serving(asked).missing)
        cards = [serving_request(_serving_cells(given, card), subject).gpu for card in named]
        found = search_answers(subject, asked, traffic, among=cards, most=at_most(given))
    else:
        requests = [serving_request(_serving_cells(given, card), subject) for card in named]
        found = tuple(answer(subject, one, traffic, advise=not compared) for one in requests)
        known_words(given, found[0].budget.missing)
    if format_ == "json":
        say_json([answer_json(one) for one in found] if compared or given["search"] else answer_json(found[0]))
    elif given["search"]:
        say(search_text(found))
    elif compared:
        say(comparison_text(found))
    else:
        say(answer_text(found[0], input_tokens=given["input_len"], output_tokens=given["output_len"]))
    good = any(one.verdict in ("fits", "marginal") for one in found)
    return Exit.CLEAN if good else Exit.FINDINGS


def _serving_cells(given: Mapping[str, Any], gpu: str) -> dict[str, str]:
    """Options as the cells of a row, so that a question means the same in a table and here."""
    count, pipeline = given["count"], given["pp"]
    tensor = given["tp"] or max(1, count // pipeline)
    if given["tp"] is None and count % pipeline:
        raise OperationFailed(f"--count {count} cannot be divided into {pipeline} stages", help="give --tp as well")
    cells = {
        "gpu": gpu,
        "engine": given["engine"],
        "tp": tensor,
        "pp": pipeline,
        "dtype": given["dtype"],
        "quant": given["quantization"],
        "kv_cache_dtype": given["kv_cache_dtype"],
        "max_model_len": given["max_model_len"],
        "max_num_seqs": given["max_num_seqs"],
        "gpu_mem_util": given["gpu_memory_utilization"],
    }
    return {column: str(value) for column, value in cells.items() if value is not None}


def _traffic(given: Mapping[str, Any]) -> Any:
    from compiler.sizing.catalogue_files import CatalogueError
    from compiler.sizing.prices import catalogue_prices, overridden, read_prices
    from llmops.sizing.answers import Traffic

    prices = catalogue_prices()
    file: Path | None = given["prices"]
    if file is not None:
        try:
            prices = overridden(prices, read_prices(file.read_text(encoding="utf-8"), place=str(file)))
        except (CatalogueError, UnicodeDecodeError) as error:
            raise OperationFailed(f"the price list cannot be read: {error}", exit_code=Exit.FINDINGS) from error
    return Traffic(
        input_tokens=given["input_len"],
        output_tokens=given["output_len"],
        concurrency=given["concurrency"],
        duty=given["duty"],
        prices=prices,
    )


def _train(subject: Any, given: Mapping[str, Any], format_: str) -> int:
    from compiler.sizing.formats import named_format
    from compiler.sizing.training_words import read_precision
    from llmops.cli.size_text import training_text
    from llmops.sizing.answers import answer_training, training_json
    from llmops.sizing.training_rows import training_question

    quantization, dtype = given["quantization"] or "", given["dtype"] or ""
    unknown = [
        name
        for name, found in (("quantization", named_format(quantization)), ("dtype", read_precision(dtype)))
        if not found
    ]
    known_words(given, unknown)
    cells = {
        "gpu": given["gpu"],
        "method": given["train"],
        "n_gpus": given["count"],
        "dtype": given["dtype"],
        "quant": given["quantization"],
        "seq_len": given["seq_len"],
        "micro_batch": given["micro_batch"],
        "optimizer": given["optimizer"],
        "sharding": given["sharding"],
        "grad_ckpt": given["grad_ckpt"],
        "lora_r": given["lora_r"],
    }
    question = training_question({name: str(value) for name, value in cells.items() if value is not None}, subject)
    found = answer_training(subject, question, given["gpu"] or "GPU")
    if format_ == "json":
        say_json(training_json(found))
    else:
        say(training_text(found))
    return Exit.CLEAN


@command.command()
@click.argument("rows", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Write predictions here.")
def batch(rows: Path, out: Path) -> None:
    """Size every row of a table ROWS.csv: the same rows, with predictions behind them.

    The column `task` says which: serving, training or throughput. Empty cells take the engine version's default. A row
    that cannot be read gets the verdict `unknown`, with the reason under `missing`.

    \b
    Example:
      llmops size batch ROWS.csv --out PREDICTIONS.csv
    """
    from llmops.sizing.predictions import OUTPUT_COLUMNS, Predictions
    from llmops.sizing.rows import read_table, write_table

    if out.resolve() == rows.resolve():
        raise OperationFailed(f"{out} is the table itself", help="write the predictions to a file of their own")
    table = read_table(rows)
    own = [index for index, name in enumerate(table.columns) if name not in OUTPUT_COLUMNS]
    if len(own) < len(table.columns):
        both = ", ".join(f"`{name}`" for name in table.columns if name in OUTPUT_COLUMNS)
        tell(f"{rows} has {both} already: predictions stand under these names, and its own cells are left out")
    predictions = Predictions(beside=rows.parent)
    found = [predictions.predict(row) for row in table.rows]
    write_table(
        out,
        (*(table.columns[index] for index in own), *OUTPUT_COLUMNS),
        (
            (*(row.raw[index] for index in own), *(cells.get(column, "") for column in OUTPUT_COLUMNS))
            for row, cells in zip(table.rows, found, strict=True)
        ),
    )
    verdicts = Counter(cells.get("verdict") or cells.get("regime", "") for cells in found)
    say(f"{out}: {len(found)} row{'s' * (len(found) != 1)}")
    for verdict, count in sorted(verdicts.items()):
        tell(f"  {count:6} {verdict}")


_HELP = "`llmops size model --help` has examples"

_FACTS: tuple[tuple[str, str], ...] = (
    ("--model", "model"),
    ("--gpu", "gpu"),
    ("--engine", "engine"),
    ("--tp", "tp"),
    ("--pp", "pp"),
    ("--max-model-len", "max_model_len"),
    ("--max-num-seqs", "max_num_seqs"),
    ("--gpu-memory-utilization", "gpu_mem_util"),
    ("--quantization", "quant"),
    ("--kv-cache-dtype", "kv_cache_dtype"),
    ("--dtype", "dtype"),
)
"""Options of `calibrate`, and the cells that they fill where the log does not."""


@command.command()
@click.argument(
    "logs", nargs=-1, required=True, metavar="LOG...", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@_all(
    tuple(click.option(option, cell, metavar="VALUE", help="Where the log does not tell.") for option, cell in _FACTS)
)
@_format
def calibrate(logs: tuple[Path, ...], format_: str, **given: str | None) -> None:
    """Read start-up logs of vLLM, SGLang, TGI or TensorRT-LLM, and set what they measured beside the prediction.

    \b
    Example:
      llmops size calibrate vllm.log --gpu L4
      llmops size calibrate logs/*.log --format json
    """
    from llmops.cli.calibration_text import calibration_text
    from llmops.sizing.calibration import Calibration, calibration_json

    facts = {cell: value for cell, value in given.items() if value is not None}
    engine_with_version(facts.get("engine", ""))
    found: list[Calibration] = []
    failures: list[OperationFailed] = []
    for log in logs:
        try:
            found.append(_calibrated(log, facts))
        except OperationFailed as error:
            failures.append(error)
    if len(logs) == len(failures) == 1:
        raise failures[0]
    if format_ == "json":
        say_json([calibration_json(one) for one in found])
    elif found:
        say("\n\n".join(calibration_text(one) for one in found))
    for failure in failures:
        print_failure(failure)
    sys.exit(Exit.FINDINGS if failures else Exit.CLEAN)


def _calibrated(log: Path, facts: Mapping[str, str]) -> Any:
    from llmops.sizing.calibration import calibrate as compare
    from llmops.sizing.cells import UnreadableCellError
    from llmops.sizing.logs import read_log
    from llmops.sizing.subjects import UnknownSubjectError

    try:
        found = compare(log, read_log(log), facts)
    except OSError as error:
        raise OperationFailed(f"{log}: {error.strerror or error}", help="mend that, or leave it out") from error
    except (UnknownSubjectError, UnreadableCellError) as error:
        help_ = "the log does not tell it rightly: say it with an option, such as `--gpu L4` or `--model NAME`"
        raise OperationFailed(f"{log}: {error}", help=help_) from error
    words = {"quantization": "quant", "dtype": "dtype", "kv_cache_dtype": "kv_cache_dtype"}
    known_words({name: facts.get(cell) for name, cell in words.items()}, found.budget.missing)
    return found
