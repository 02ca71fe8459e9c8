"""Start a project from rows: recognise, keep, split, and write the spec around them.

Called by `llmops init`. Promises: the folder is there whole or not at all, and what is written validates.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

from compiler.yaml_writer import write_yaml
from llmops.errors import OperationFailed
from llmops.starting import folder
from llmops.starting.carry import Carried, carry, targets
from llmops.starting.columns import Columns, Task, Wishes, recognise
from llmops.starting.kept import Kept, keep, without_repeats
from llmops.starting.recipe import recipe
from llmops.starting.resources import (
    CHAT_TEMPLATE,
    CORPUS_COLUMN,
    CORPUS_FILE,
    HELDOUT_FILE,
    TRAIN_FILE,
    Identity,
    Plans,
    SpecFile,
    instruction_of,
    spec_files,
)
from llmops.starting.rows import Row, Table, read_table
from llmops_spec.authoring import to_document
from llmops_spec.personal_data import redact

DEFAULT_LICENCE = "LicenseRef-proprietary"
"""The rights in rows that a user brings are the user's to say; this claims none for anybody else."""
STARTER_LICENCE = "Apache-2.0"
_LONGEST_NAME = 40
"""Resource names have 50 characters at most, and suffixes need some."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asks for; None leaves it to us."""

    folder: Path
    data: Path | None = None
    wishes: Wishes = field(default_factory=Wishes)
    floor: float | None = None
    licence: str | None = None
    owner: str | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Started:
    """What was made, for telling."""

    identity: Identity
    table: Table
    columns: Columns
    kept: Kept
    carried: Carried
    labels: Sequence[str]
    unmeasured: Sequence[str]
    """Labels that only training rows have."""
    input_characters: int
    """Longer questions are declined by the input rail."""
    known_answers: float
    """Share of the held-out rows whose target also stands in training."""


def start(request: Request) -> Started:
    """Write the project.

    Raises:
        OperationFailed: the folder or the rows do not allow it. Nothing was written.
    """
    folder.refuse_unless_free(request.folder)
    identity = _identity(request)
    if request.floor is not None and not 0 < request.floor < 1:
        raise OperationFailed(f"a floor of {request.floor:g} is not between 0 and 1", help="write a share, such as 0.7")
    table = _table(request.data)
    rows = without_repeats(table.rows)
    columns = recognise(rows, request.wishes)
    kept = keep(rows, columns, repeated=len(table.rows) - len(rows))
    carried = carry(kept, columns.task, floor=request.floor, base=identity.called("base"))
    plans = _plans(identity, columns.task, kept, carried)
    folder.write(request.folder, _files(plans))
    return _started(plans, table, columns)


def project_name(folder_name: str) -> str:
    """A resource name from the name of a folder."""
    plain = unicodedata.normalize("NFKD", folder_name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_NAME].strip("-") or "project"


def _identity(request: Request) -> Identity:
    name = request.name if request.name is not None else project_name(request.folder.resolve().name)
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise OperationFailed(
            f"`{name}` cannot name a project",
            help=f"use at most {_LONGEST_NAME} small letters, digits and hyphens, such as `support-bot`",
        )
    owner = request.owner if request.owner is not None else f"team-{name}"
    if not owner.strip() or len(owner) > 100:  # the spec's limit
        raise OperationFailed("an owner has 1 to 100 characters", help="name the team that answers for it")
    licence = request.licence or (STARTER_LICENCE if request.data is None else DEFAULT_LICENCE)
    return Identity(name=name, owner=owner, licence=licence)


def _table(data: Path | None) -> Table:
    if data is not None:
        return read_table(data)
    with as_file(files("llmops.starting").joinpath("starter.jsonl")) as path:
        return read_table(path)


def _plans(identity: Identity, task: Task, kept: Kept, carried: Carried) -> Plans:
    train = carried.split.train
    corpus = _corpus(kept, train)
    instruction = instruction_of(task, kept)
    return Plans(
        identity=identity,
        task=task,
        kept=kept,
        carried=carried,
        recipe=recipe(kept, task, instruction=instruction, train_rows=len(train), corpus=corpus),
        instruction=instruction,
        labels=targets(train, kept.target) if task == "label" else [],
        corpus=corpus,
        smoke=redact(str(train[0][kept.input])),
    )


def _corpus(kept: Kept, train: Sequence[Row]) -> list[str]:
    """Training inputs, then training targets: each once, and no input beside its target."""
    texts = [str(row[kept.input]) for row in train] + targets(train, kept.target)
    return list({redact(text).strip(): text for text in reversed(texts)}.values())[::-1]


def _files(plans: Plans) -> dict[str, bytes]:
    made = plans.carried.split
    found = {one.path: _yaml(one) for one in spec_files(plans)}
    found[TRAIN_FILE] = _json_lines(made.train)
    found[HELDOUT_FILE] = _json_lines(made.heldout)
    found[CORPUS_FILE] = _json_lines([{CORPUS_COLUMN: text} for text in plans.corpus])
    found[CHAT_TEMPLATE] = files("llmops.starting").joinpath(CHAT_TEMPLATE).read_bytes()
    found[".gitignore"] = b".llmops/\nbuild/\n"
    return found


def _yaml(one: SpecFile) -> bytes:
    documents = [to_document(resource) for resource in one.resources]
    first = write_yaml(documents[0], heading=one.heading)
    return b"---\n".join([first, *(write_yaml(document) for document in documents[1:])])


def _json_lines(rows: Sequence[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _started(plans: Plans, table: Table, columns: Columns) -> Started:
    kept, made = plans.kept, plans.carried.split
    learned, measured = set(targets(made.train, kept.target)), set(targets(made.heldout, kept.target))
    return Started(
        identity=plans.identity,
        table=table,
        columns=columns,
        kept=kept,
        carried=plans.carried,
        labels=plans.labels,
        unmeasured=sorted(learned - measured) if plans.task == "label" else [],
        input_characters=plans.recipe.input_characters,
        known_answers=sum(str(row[kept.target]) in learned for row in made.heldout) / len(made.heldout),
    )
