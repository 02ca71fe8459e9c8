"""What the lock says of remote weights and rows: that they are pinned, load safely, and are as many as declared.

Reports `unlocked-artifact`, `unsafe-weights`, `missing-weights`, `too-few-rows`. Silent where the lock itself is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from compiler.checks.question import FileCheck, GraphCheck
from compiler.diagnostics.catalogue import MISSING_WEIGHTS, TOO_FEW_ROWS, UNLOCKED_ARTIFACT, UNSAFE_WEIGHTS
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.lockfile import Lock
from compiler.ports import Reader
from compiler.source import Span
from llmops_spec.catalogue.weights import is_pickled
from llmops_spec.dataset import Dataset, Split
from llmops_spec.lock import LockedModel, LockedSplit
from llmops_spec.model import Model
from llmops_spec.sources import RemoteFile, RemoteModel

_WEIGHTS = (".safetensors", ".gguf")


def remote_sources_are_locked(graph: ResourceGraph) -> Iterator[Diagnostic]:
    lock = graph.lock
    if not lock.readable:
        return
    for node, model in graph.of(Model):
        source = model.spec.from_.remote
        if source is not None and lock.model(model) is None:
            yield _unlocked(model_place(node, source), described(source), lock, lock.models_of(node.name))
    for node, dataset in graph.of(Dataset):
        for name, split in dataset.spec.splits.items():
            if split.source is not None and lock.split(node.name, name, split) is None:
                place = split_place(node, name, split.source)
                yield _unlocked(place, described(split.source), lock, lock.splits_of(node.name, name))


def _unlocked(place: Span, what: str, lock: Lock, others: Iterable[LockedModel | LockedSplit]) -> Diagnostic:
    """An entry of the same resource with another source is what it was locked to before it moved."""
    old = next(iter(others), None)
    return UNLOCKED_ARTIFACT.at(
        place,
        f"{what} is not in `llmops.lock`" if old is None else f"{what} is not what `llmops.lock` has",
        label="not locked to bytes",
        related=[_was(old, lock)] if old is not None else (),
        note="the same commit of this project could train, evaluate and serve other bytes tomorrow",
        help="run `llmops lock` and commit `llmops.lock`",
    )


def _was(old: LockedModel | LockedSplit, lock: Lock) -> Label:
    source = old.source if isinstance(old, LockedModel) else old.source.remote
    text = described(source) if source is not None else "a file of the project"
    return Label(span=lock.span(old), text=f"locked as {text}")


def described(source: RemoteModel | RemoteFile) -> str:
    """A source in a few words: `revision `main` of `some/model``, or an address."""
    hub = source.hugging_face
    if hub is not None:
        return f"revision `{hub.revision}` of `{hub.repository}`"
    address = source.http.url if source.http is not None else source.s3.uri if source.s3 is not None else ""
    return f"`{address}`"


def model_place(node: ResourceNode, source: RemoteModel) -> Span:
    return node.span("spec", "from", *_leaf(source))


def split_place(node: ResourceNode, split: str, source: RemoteFile) -> Span:
    return node.span("spec", "splits", split, "source", *_leaf(source))


def _leaf(source: RemoteModel | RemoteFile) -> tuple[str, str]:
    """The key that says which state is meant."""
    if source.hugging_face is not None:
        return ("huggingFace", "revision")
    return ("http", "url") if source.http is not None else ("s3", "uri")


def locked_weights_are_safe(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, model in graph.of(Model):
        entry = graph.lock.model(model)
        if entry is None or any(name.endswith(_WEIGHTS) for name in entry.files):
            continue
        place = model_place(node, entry.source)
        pickled = [name for name in entry.passed_over if is_pickled(name)]
        if pickled:
            yield UNSAFE_WEIGHTS.at(
                place,
                f"the weights of {described(entry.source)} are pickled: `{pickled[0]}`",
                note="unpickling runs whatever the file holds, with the rights of the training job and the engine",
                help="choose a revision, or a repository, that has `.safetensors` files",
            )
        else:
            yield MISSING_WEIGHTS.at(
                place,
                f"{described(entry.source)} holds no `.safetensors` file",
                related=[Label(span=graph.lock.span(entry), text="what was found there")],
                help="name a repository that holds weights",
            )


def locked_rows_are_enough(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, dataset in graph.of(Dataset):
        for name, split in dataset.spec.splits.items():
            entry = graph.lock.split(node.name, name, split)
            if entry is None or entry.rows >= split.rows or _moved(split, entry, files):
                continue
            yield TOO_FEW_ROWS.at(
                node.span("spec", "splits", name, "rows"),
                f"split `{name}` declares {split.rows} rows, and `{PurePosixPath(split.file).name}` holds {entry.rows}",
                related=[Label(span=graph.lock.span(entry), text="counted when it was locked")],
                note="gates are planned with the declared number, and `check-data` fails below it",
                help=f"declare `rows: {entry.rows}`, or add rows and run `llmops lock`",
            )


def _moved(split: Split, entry: LockedSplit, files: Reader) -> bool:
    """Whether a file of the project is another one than it was: then the count says nothing of it."""
    if split.path is None:
        return False
    fact = files.fact(split.path)
    return fact is None or fact.digest != entry.sha256


CHECKS = (
    GraphCheck(name="locked", ask=remote_sources_are_locked),
    GraphCheck(name="locked-weights", ask=locked_weights_are_safe),
    FileCheck(name="locked-rows", ask=locked_rows_are_enough),
)
