"""`llmops init`: write a project that works, from nothing or from the user's rows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from llmops.cli.console import say, style, table
from llmops.starting.columns import Wishes
from llmops.starting.start import Request, Started, start

_SHOWN = 8
"""How many names a line lists."""


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=True))
@click.option("--data", metavar="FILE", type=click.Path(path_type=Path), help="Your rows: JSONL, or CSV with a header.")
@click.option("--task", type=click.Choice(["label", "answer"]), help="Choose a label of few, or answer in free text.")
@click.option("--input", "input_", metavar="COLUMN", help="What the model is given.")
@click.option("--target", metavar="COLUMN", help="What it should answer.")
@click.option("--cluster", metavar="COLUMN", help="What rows share that are not independent, such as a customer.")
@click.option("--item", metavar="COLUMN", help="A unique id of each row.")
@click.option("--floor", type=float, help="What must be shown at least: label accuracy, or ROUGE-L of answers, 0 to 1.")
@click.option("--licence", metavar="SPDX", help="Licence of the rows and of what is trained on them.")
@click.option("--owner", metavar="TEAM", help="Who answers for all of it.")
@click.option("--name", metavar="NAME", help="Name of the project and its service; the folder's name without it.")
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path,
    data: Path | None,
    floor: float | None,
    licence: str | None,
    owner: str | None,
    name: str | None,
    input_: str | None,
    **wishes: str | None,
) -> None:
    """Write a project into DIR: from your rows with --data, else around a small data set that comes along.

    Columns are recognised, and each is told with the reason; the options overrule it. Nothing is trained yet.

    \b
    Example:
      llmops init tickets --data tickets.csv --target category --floor 0.7
      llmops -C tickets apply --env local
    """
    here: Path | None = ctx.obj
    asked = Request(
        folder=folder if here is None else here / folder,
        data=data,
        wishes=Wishes(input=input_, **wishes),  # pyright: ignore[reportArgumentType]  # click checked the choice
        floor=floor,
        licence=licence,
        owner=owner,
        name=name,
    )
    made = start(asked)
    say(_columns(made))
    say()
    for line in (*_rows(made), *_gate(made), _rail(made)):
        say(line)
    say()
    say(
        f"wrote {style(str(asked.folder), 'green')}; next: llmops -C {shlex.quote(str(asked.folder))} apply --env local"
    )


def _columns(made: Started) -> str:
    columns, names = made.columns, made.kept.names
    lines = [["taken for", "column", "why"]]
    for role, name in (
        ("input", columns.input),
        ("target", columns.target),
        ("item id", columns.item),
        ("cluster", columns.cluster),
    ):
        key = "item" if role == "item id" else role
        written = f" (written as `{names[name]}`)" if name is not None and names[name] != name else ""
        lines.append([role, name if name is not None else "-", columns.reasons[key] + written])
    taken = {columns.input, columns.target, columns.item, columns.cluster}
    for name, written in names.items():
        if name not in taken:
            lines.append(["kept", name, "not used" + (f" (written as `{written}`)" if written != name else "")])
    for name, count in made.table.nested.items():
        lines.append(["left out", name, f"lists or objects in {_count(count, 'row')}"])
    task = {"label": f"label ({len(made.labels)} labels)", "answer": "answer (free text)"}[columns.task]
    return f"task: {task}\n\n{table([[_printable(cell) for cell in line] for line in lines[1:]], heads=lines[0])}"


def _rows(made: Started) -> Iterator[str]:
    kept, split = made.kept, made.carried.split
    yield f"rows: {len(kept.rows)} of {len(made.table.rows)} kept"
    for reason, count in kept.left_out.items():
        yield f"  {count} left out: they {_printable(reason)}"
    if kept.conflicting:
        yield f"  {kept.conflicting} share their input with a row of another target; kept, but none can get all right"
    if split.seen_inputs:
        yield f"  {split.seen_inputs} left out of the held-out rows: their input also stands in training"
    for note in kept.notes:
        yield f"  {_printable(note)}"
    if kept.personal:
        yield f"  personal data in {_listed(kept.personal)}: marked, and redacted before anything reads the rows"
    train, heldout = split.clusters(kept.cluster) if kept.cluster is not None else (None, None)
    yield f"split: {_part(len(split.train), train)} to train on, {_part(len(split.heldout), heldout)} held out"
    if made.unmeasured:
        yield f"  only in training, so nothing is measured of them: {_listed(made.unmeasured)}"
    if made.columns.task == "answer" and made.known_answers < 1:
        yield (
            f"  {1 - made.known_answers:.0%} of the held-out answers never stand in training: a model this small has"
            " to make them up"
        )


def _gate(made: Started) -> Iterator[str]:
    carried = made.carried
    label = made.columns.task == "label"
    metric = "label-accuracy" if label else "rouge-l"
    than = "always answering the commonest label" if label else "the untuned base"
    yield f"gate: {metric} shown better than {than}"
    if carried.floor is not None:
        yield f"  and at least {carried.floor:g}: {carried.floor_reason}"
    if label:
        yield f"  always answering the commonest label is right in {carried.majority:.0%} of the held-out rows"
    yield f"  held-out {carried.units}: at most {carried.most_shown:.2f} can be shown at 95 %"
    yield f"licence: {made.identity.licence}, owner: {made.identity.owner} (change them in the YAML files)"


def _rail(made: Started) -> str:
    return (
        f"input rail: questions above {made.input_characters:,} characters get the declining answer, whatever the model"
        " (`maxLength` in rails.yaml)"
    )


def _part(rows: int, clusters: int | None) -> str:
    return _count(rows, "row") + (f" ({_count(clusters, 'cluster')})" if clusters is not None else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    found = [f"`{_printable(one)}`" for one in names]
    return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def _printable(text: str) -> str:
    """A user's text on one line of a terminal, without control characters."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
