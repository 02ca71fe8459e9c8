"""Compile a project that lives in memory: the files of a case, and around them what every project needs.

Used by the literate cases and by unit tests of checks. A resource of the *cast* (`cast/*.yaml`) is added where the
case names it and does not define it, so that a case shows only what it is about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from backends.kubernetes.backend import KubernetesBackend
from backends.kubernetes.checks import CarriedMetadata, ClusterSite
from backends.local.backend import LocalBackend
from compiler.graph import ResourceGraph
from compiler.passes.lower import stated_fields
from compiler.pipeline import Compilation, Toolbox, compile_project
from compiler.ports import (
    Ability,
    Backend,
    Check,
    Denial,
    Facts,
    FieldAbility,
    FileFact,
    KubernetesObject,
    Lowered,
    Made,
    PolicyEngine,
    Reader,
)
from llmops import discovery
from llmops_spec.digests import digest_bytes
from tests.harness.configurations import EIGHT_BILLION, EMBEDDER, RERANKER, model_folder

HEAD = "apiVersion: llmops.dev/v1alpha1\n"
PROJECT = HEAD + "kind: Project\nmetadata: {name: example}\n"
ENVIRONMENT = HEAD + "kind: Environment\nmetadata: {name: local}\nspec: {target: {local: {}}}\n"
CAST = Path(__file__).parent / "cast"
CAST_FILES: Mapping[str, bytes] = {
    "data/faq-train.jsonl": b'{"question": "train"}\n',
    "data/faq-heldout.jsonl": b'{"question": "held out"}\n',
    "data/corpus.jsonl": b'{"text": "corpus"}\n',
    "templates/chat.jinja": b"{% for message in messages %}{{ message.content }}{% endfor %}",
    **model_folder("models/eight-billion", EIGHT_BILLION),
    **model_folder("models/small-embedder", EMBEDDER),
    **model_folder("models/small-reranker", RERANKER),
}
ZEROS = "0" * 64
REAL: Mapping[str, Backend] = {"local": LocalBackend(), "kubernetes": KubernetesBackend()}


class MemoryReader(Reader):
    """A file whose content is an `OSError` raises it."""

    def __init__(self, files: Mapping[str, bytes | OSError]) -> None:
        self.files = dict(files)

    def list_files(self) -> Sequence[str]:
        return sorted(self.files)

    def read(self, path: str) -> bytes:
        content = self.files.get(path, FileNotFoundError(2, "No such file or directory"))
        if isinstance(content, OSError):
            raise content
        return content

    def fact(self, path: str) -> FileFact | None:
        content = self.files.get(path)
        if not isinstance(content, bytes):
            return None
        return FileFact(path=path, digest=digest_bytes(content), bytes=len(content))


@dataclass(frozen=True, kw_only=True)
class HonouringBackend:
    """A target that honours every field and adds nothing; a `Backend` by shape."""

    target: str
    own_checks: tuple[Check, ...] = ()
    stated: Mapping[str, FieldAbility] = field(default_factory=dict)

    def abilities(self) -> Mapping[str, FieldAbility]:
        return self.stated

    def checks(self) -> Sequence[Check]:
        return self.own_checks

    def lower(self, graph: ResourceGraph, make: Callable[[], Made]) -> Lowered:
        """The steps that make artifacts, where every field is one that the real target honours today."""
        real = REAL[self.target]
        if any(one.ability.ability is Ability.UNSUPPORTED for one in stated_fields(graph, real)):
            return Lowered(steps=())
        return Lowered(steps=tuple(make().steps))

    def emit(self, graph: ResourceGraph, lowered: Lowered) -> Mapping[str, bytes]:
        return {}


class NoPolicies(PolicyEngine):
    """Everything is allowed."""

    def digest(self) -> str:
        return ZEROS

    def judge(self, graph: ResourceGraph, objects: Sequence[KubernetesObject]) -> Iterable[Denial]:
        return ()


class AnyKey(dict[str, str]):
    """Versions and digests of a package that has every library and every area."""

    def __missing__(self, key: str) -> str:
        return ZEROS


def compile_files(
    files: Mapping[str, bytes | OSError],
    *,
    checks: Sequence[Check] | None = None,
    stated: Mapping[str, FieldAbility] | None = None,
    whole: bool = False,
) -> Compilation:
    """Compile the files with what they need around them; `whole` takes them as they are."""
    every = dict(files) if whole else complete(files)
    cluster: tuple[Check, ...] = (ClusterSite(), CarriedMetadata())
    tools = Toolbox(
        reader=MemoryReader(every),
        checks=discovery.checks() if checks is None else checks,
        backends={
            "local": HonouringBackend(target="local", stated=stated or {}),
            "kubernetes": HonouringBackend(target="kubernetes", own_checks=cluster, stated=stated or {}),
        },
        policies=NoPolicies(),
        facts=Facts(versions=AnyKey(), code=AnyKey(), policies=ZEROS),
    )
    return compile_project(tools)


def complete(files: Mapping[str, bytes | OSError]) -> dict[str, bytes | OSError]:
    """The files, a project and an environment where they have none, and the members of the cast that they name.

    Files with a `llmops.yaml` of their own get no environment.
    """
    text = "\n---\n".join(
        content.decode("utf-8", errors="replace")
        for path, content in files.items()
        if isinstance(content, bytes) and path.endswith((".yaml", ".yml"))
    )
    members = [document for _, document in _members_named(text)]
    if "llmops.yaml" not in files and not re.search(r"^kind: Environment\b", text, re.MULTILINE):
        members.append(ENVIRONMENT)
    around: dict[str, bytes | OSError] = {"llmops.yaml": PROJECT.encode()}
    if members:
        around["cast.yaml"] = "---\n".join(members).encode()
    return {**CAST_FILES, **around, **files}


def _members_named(text: str) -> list[tuple[str, str]]:
    """Members of the cast that a text names, and those that they name; not those that the text defines."""
    found: dict[str, str] = {}
    defined = set(_definitions(text))
    searched = text
    while True:
        more = {
            name: document
            for name, (kind, document) in _cast().items()
            if name not in found and (kind, name) not in defined and re.search(rf"(?<![\w-]){name}(?![\w-])", searched)
        }
        if not more:
            return sorted(found.items())
        found |= more
        searched = "\n".join(more.values())


@cache
def _cast() -> dict[str, tuple[str, str]]:
    """Name to kind and document. Names are unique in the whole cast."""
    members: dict[str, tuple[str, str]] = {}
    for path in sorted(CAST.glob("*.yaml")):
        for document in path.read_text(encoding="utf-8").split("---\n"):
            ((kind, name),) = _definitions(document)
            members[name] = (kind, document)
    return members


def _definitions(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^kind: (\w+).*\nmetadata: *(?:\{|\n +)name: ([a-z0-9-]+)", text, re.MULTILINE)
