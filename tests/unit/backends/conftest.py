"""The quickstart's spec in memory, to be changed one value at a time and compiled for a cluster."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

from backends.kubernetes.backend import KubernetesBackend
from backends.local.backend import LocalBackend
from compiler.diagnostics.model import Diagnostic
from compiler.graph import ResourceGraph
from compiler.pipeline import Toolbox, compile_project, emit_files
from compiler.ports import Facts, FileFact, Lowered
from compiler.yaml_writer import write_yaml
from llmops_spec.catalogue.versions import TRAIN
from llmops_spec.digests import digest_bytes
from tests.harness.project import AnyKey

FACTS = Facts(versions=dict.fromkeys(TRAIN, "1.0"), code=AnyKey(), policies="0" * 64)

EXAMPLE = Path(__file__).parents[3] / "examples" / "quickstart"


@dataclass(kw_only=True)
class MemoryFiles:
    """A `Reader` over a mapping."""

    files: Mapping[str, bytes]

    def list_files(self) -> list[str]:
        return sorted(self.files)

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def fact(self, path: str) -> FileFact | None:
        data = self.files.get(path)
        return FileFact(path=path, digest=digest_bytes(data), bytes=len(data)) if data is not None else None


class NoPolicies:
    def digest(self) -> str:
        return "0" * 64

    def judge(self, graph, objects):
        return ()


@dataclass(frozen=True, kw_only=True)
class Compiled:
    graph: ResourceGraph
    lowered: Lowered | None
    findings: tuple[Diagnostic, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def errors(self) -> list[str]:
        return [f"{one.name}: {one.message}" for one in self.findings if one.severity == "error"]

    @property
    def standing(self) -> list[Mapping]:
        assert self.lowered is not None, self.errors
        return [one.body for one in self.lowered.standing]

    @property
    def jobs(self) -> list[Mapping]:
        assert self.lowered is not None, self.errors
        return [one.body for one in self.lowered.jobs]

    def one(self, kind: str, name_start: str) -> Mapping:
        found = [
            body
            for body in (*self.standing, *self.jobs)
            if body["kind"] == kind and body["metadata"]["name"].startswith(name_start)
        ]
        assert len(found) == 1, [body["metadata"]["name"] for body in found]
        return found[0]


@dataclass(kw_only=True)
class Spec:
    """Documents that can be edited: `spec.set("Service", "support", "spec.replicas", 3)`."""

    documents: list[dict]
    data: dict[str, bytes]

    def copy(self) -> Spec:
        return Spec(documents=copy.deepcopy(self.documents), data=dict(self.data))

    def document(self, kind: str, name: str) -> dict:
        return next(one for one in self.documents if one["kind"] == kind and one["metadata"]["name"] == name)

    def set(self, kind: str, name: str, path: str, value: object) -> Spec:
        here = self.document(kind, name)
        *parents, last = path.split(".")
        for part in parents:
            here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
        here[last] = value
        return self

    def remove(self, kind: str, name: str, path: str) -> Spec:
        here = self.document(kind, name)
        *parents, last = path.split(".")
        for part in parents:
            here = here[part]
        del here[last]
        return self

    def files(self) -> dict[str, bytes]:
        project = [one for one in self.documents if one["kind"] == "Project"]
        others = [one for one in self.documents if one["kind"] != "Project"]
        return {
            **self.data,
            "llmops.yaml": b"---\n".join(write_yaml(one) for one in project),
            "spec.yaml": b"---\n".join(write_yaml(one) for one in others),
        }

    def compile(self, environment: str = "staging") -> Compiled:
        tools = Toolbox(
            reader=MemoryFiles(files=self.files()),
            checks=(),
            backends={"kubernetes": KubernetesBackend(), "local": LocalBackend()},
            policies=NoPolicies(),
            facts=FACTS,
        )
        done = compile_project(tools, environment)
        assert environment in done.environments, done.findings
        one = done.environments[environment]
        files = emit_files(one) if one.lowered is not None else {}
        return Compiled(graph=one.graph, lowered=one.lowered, findings=done.findings, files=files)


@pytest.fixture(scope="session")
def _quickstart() -> Spec:
    documents: list[dict] = []
    data: dict[str, bytes] = {}
    for path in sorted(EXAMPLE.rglob("*")):
        name = path.relative_to(EXAMPLE).as_posix()
        if path.suffix == ".yaml" and not name.startswith("build/"):
            documents += [one for one in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader) if one]
        elif path.suffix in (".jsonl", ".jinja"):
            data[name] = path.read_bytes()[:4096]  # rows are digested here and not read
    return Spec(documents=documents, data=data)


@pytest.fixture
def spec(_quickstart: Spec) -> Spec:
    return _quickstart.copy()


@pytest.fixture(scope="session")
def staging(_quickstart: Spec) -> Compiled:
    return _quickstart.copy().compile()


@pytest.fixture(scope="session")
def new_spec(_quickstart: Spec) -> Callable[[], Spec]:
    """For properties, which may not use a fixture that changes."""
    return _quickstart.copy


@cache
def _schema(kind: str, api_version: str, version: str):
    """The strict schema of one kind, as `kubernetes-validate` carries it."""
    group, _, number = api_version.rpartition("/")
    folder = SCHEMAS / f"v{version}.0-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text())
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], number) if part)
    schema = json.loads((folder / f"{name}.json").read_text())
    place = "file:///api/_definitions.json"
    registry = jsonschema_rs.Registry([(place, {**definitions, "$id": place, "$schema": DIALECT})])
    return jsonschema_rs.validator_for({**schema, "$id": "file:///api/own.json", "$schema": DIALECT}, registry=registry)


DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"


@pytest.fixture(scope="session")
def schema_errors() -> Callable[[Mapping, str], list[str]]:
    def errors(body: Mapping, version: str) -> list[str]:
        found = _schema(body["kind"], body["apiVersion"], version).iter_errors(body)
        return [
            f"{body['kind']} {body['metadata']['name']}: {'/'.join(map(str, one.instance_path))}: {one.message}"
            for one in found
        ]

    return errors
