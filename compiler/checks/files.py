"""Files and folders that the spec names are there.

Reports `missing-file`. What stands in a model's folder is for the model checks.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import PurePosixPath

from compiler.checks.chat_templates import engine_template
from compiler.checks.data import FORMATS
from compiler.checks.question import FileCheck
from compiler.diagnostics.catalogue import MISSING_FILE
from compiler.diagnostics.model import Diagnostic
from compiler.diagnostics.suggestions import nearest
from compiler.graph import ResourceGraph
from compiler.ports import Reader
from compiler.source import Span
from llmops_spec.dataset import Dataset
from llmops_spec.gate import Gate
from llmops_spec.model import Model
from llmops_spec.service import Service


def files_exist(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for path, what, place in _named_files(graph):
        if files.fact(path) is None:
            yield MISSING_FILE.at(
                place, f"there is no {what} `{path}` in the project", label="named here", help=_help(path, files)
            )
    for node, model in graph.of(Model):
        path = model.spec.from_.path
        if path is None or folder_files(path, files):
            continue
        said = "is a file, and a model is a folder" if files.fact(path) else "is not in the project"
        yield MISSING_FILE.at(
            node.span("spec", "from", "path"),
            f"the model folder `{path}` {said}",
            label="named here",
            help="name the folder that holds `config.json` and the `.safetensors` files",
        )


def folder_files(path: str, files: Reader) -> list[str]:
    """Names of the files that lie directly in a folder."""
    return [one for one in files_below(path, files) if "/" not in one]


def files_below(path: str, files: Reader) -> list[str]:
    """Names of the files in a folder at any depth, relative to it, sorted. The reader's list is sorted, so that a
    project of many folders is not walked once for each of them."""
    folder, every = str(PurePosixPath(path)), files.list_files()
    prefix = "" if folder == "." else f"{folder}/"
    start = bisect_left(every, prefix)
    stop = bisect_left(every, f"{prefix}{chr(sys.maxunicode)}", start)
    return [one.removeprefix(prefix) for one in every[start:stop]]


def _data_files(graph: ResourceGraph) -> Iterator[tuple[str, str, Span]]:
    for node, dataset in graph.of(Dataset):
        for name, split in dataset.spec.splits.items():
            # any other format is `unsupported-data-format`
            if split.path is not None and PurePosixPath(split.path).suffix in FORMATS:
                yield split.path, "data file", node.span("spec", "splits", name, "path")


def _named_files(graph: ResourceGraph) -> Iterator[tuple[str, str, Span]]:
    yield from _data_files(graph)
    for node, model in graph.of(Model):
        if model.spec.chat_template is not None:
            yield model.spec.chat_template, "chat template", node.span("spec", "chatTemplate")
    for node, service in graph.of(Service):
        if (template := engine_template(node, service)) is not None:
            yield template[0], "chat template", template[1]
    for node, gate in graph.of(Gate):
        for index, criterion in enumerate(gate.spec.criteria):
            if criterion.baseline is not None and criterion.baseline.record is not None:
                key = "nonInferiorTo" if criterion.non_inferior_to else "betterThan"
                place = node.span("spec", "criteria", index, key, "record")
                yield criterion.baseline.record, "evaluation record", place


def _help(path: str, files: Reader) -> str:
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        return "paths are relative to the project's root and stay below it"
    suffix = PurePosixPath(path).suffix
    near = nearest(path, (one for one in files.list_files() if PurePosixPath(one).suffix == suffix))
    if near:
        return "did you mean " + " or ".join(f"`{one}`" for one in near) + "?"
    return "paths are relative to the project's root; add the file, or correct the path"


CHECKS = (FileCheck(name="files", ask=files_exist),)
