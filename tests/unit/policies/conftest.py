"""Graphs for policy tests, made by the compiler's own passes from YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from compiler.diagnostics.model import DiagnosticSink
from compiler.graph import ResourceGraph
from compiler.passes.load import load
from compiler.passes.parse import parse
from compiler.passes.resolve import resolve
from compiler.ports import FileFact, Reader
from llmops_spec.digests import digest_bytes

MakeGraph = Callable[..., ResourceGraph]

PROJECT = "apiVersion: llmops.dev/v1alpha1\nkind: Project\nmetadata: {name: demo}\n"


class TextReader(Reader):
    """Files that are given as text."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def list_files(self) -> Sequence[str]:
        return sorted(self._files)

    def read(self, path: str) -> bytes:
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path].encode()

    def fact(self, path: str) -> FileFact | None:
        if path not in self._files:
            return None
        data = self.read(path)
        return FileFact(path=path, digest=digest_bytes(data), bytes=len(data))


@pytest.fixture
def make_graph() -> MakeGraph:
    """`make_graph(text, tier="production", target="{local: {}}", sound=True)`: documents without `apiVersion`."""

    def make(text: str, *, tier: str = "development", target: str = "{local: {}}", sound: bool = True) -> ResourceGraph:
        environment = f"kind: Environment\nmetadata: {{name: here}}\nspec: {{target: {target}, tier: {tier}}}"
        documents = [one for one in (environment, *text.split("\n---\n")) if one.strip()]
        spec = "\n---\n".join(f"apiVersion: llmops.dev/v1alpha1\n{one.strip()}\n" for one in documents)
        sink = DiagnosticSink()
        sources = load(TextReader({"llmops.yaml": PROJECT, "spec.yaml": spec}), sink)
        assert sources is not None
        graph = resolve(parse(sources, sink), "here", sink)
        assert graph is not None, sink.findings()
        assert sink.has_errors is not sound, sink.findings()
        return graph

    return make
