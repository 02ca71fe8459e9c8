"""`llmops size`: memory, throughput and cost of models, by arithmetic that is printed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from llmops.cli.console import say, tell
from llmops.errors import OperationFailed


@click.group()
def command() -> None:
    """Will it fit, how much will it hold, and what will it cost? Works offline, by arithmetic that is printed."""


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
    predictions = Predictions(beside=rows.parent)
    found = [predictions.predict(row) for row in table.rows]
    write_table(
        out,
        (*table.columns, *OUTPUT_COLUMNS),
        (
            (*row.raw, *(cells.get(column, "") for column in OUTPUT_COLUMNS))
            for row, cells in zip(table.rows, found, strict=True)
        ),
    )
    verdicts = Counter(cells.get("verdict") or cells.get("regime", "") for cells in found)
    say(f"{out}: {len(found)} row{'s' * (len(found) != 1)}")
    for verdict, count in sorted(verdicts.items()):
        tell(f"  {count:6} {verdict}")
