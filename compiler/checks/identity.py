"""Identity: remote things are one state of themselves, and nothing runs that was not let in by name.

Reports `floating-alias`, `remote-code`, `gated-model`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from compiler.checks.question import GraphCheck
from compiler.diagnostics.catalogue import FLOATING_ALIAS, GATED_MODEL, REMOTE_CODE
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.source import Span
from llmops_spec.dataset import Dataset
from llmops_spec.lock import SealedEntry
from llmops_spec.model import FromHosted, Model

_OPENAI = r"-\d{4}-\d{2}-\d{2}$|-\d{4}$|^ft:|^text-embedding-(3-small|3-large|ada-002)$"
"""Snapshots are dated; a fine-tune is one, and models of vectors have none but themselves."""
_CLAUDE = r"claude-[a-z]+-(4-[6-9]|[5-9](-\d)?)"
"""From 4.6 on, names without a date are of one state (Anthropic, "Model IDs and versioning")."""
DATED = {
    "openai": (_OPENAI, "`gpt-4o-2024-08-06`"),
    "azure": (_OPENAI, "`gpt-4o-2024-08-06`"),
    "anthropic": (rf"-\d{{8}}$|^{_CLAUDE}$", "`claude-sonnet-4-5-20250929` or `claude-sonnet-4-6`"),
    "google": (r"-\d{3}$|-\d{2}-\d{2,4}$|@\d+$|^gemini-\d+\.\d+-(pro|flash|flash-lite)$", "`gemini-2.0-flash-001`"),
    "mistral": (r"-\d{4}$", "`mistral-large-2411`"),
    "bedrock": (rf"[.-]v?\d+:\d+$|-v\d+$|anthropic\.{_CLAUDE}$", "`anthropic.claude-3-5-sonnet-20241022-v2:0`"),
}
"""Provider to how its names of one state end, by its own model list, with an example."""


def hosted_models_are_one_state(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, model in graph.of(Model):
        hosted = model.spec.from_.hosted
        if hosted is not None:
            yield from _floating(node, hosted)


def _floating(node: ResourceNode, hosted: FromHosted) -> Iterator[Diagnostic]:
    ending, example = DATED[hosted.provider]
    if re.search(ending, hosted.snapshot):
        return
    yield FLOATING_ALIAS.at(
        node.span("spec", "from", "hosted", "snapshot"),
        f"`{hosted.snapshot}` is no snapshot of {hosted.provider}, but a name that the provider moves",
        label="an alias",
        note="what the gate measured and what is served next month are then two models",
        help=f"name one state, as in {example}",
    )


def remote_code_is_let_in_by_name(graph: ResourceGraph) -> Iterator[Diagnostic]:
    allowed = graph.project.spec.remote_code
    for node, model in graph.of(Model):
        if not model.spec.trust_remote_code:
            continue
        remote = model.spec.from_.hugging_face
        if remote is None:
            yield REMOTE_CODE.at(
                node.span("spec", "trustRemoteCode"),
                f"model `{node.name}` would run code of a repository, and comes from none",
                related=[Label(span=node.key_span("spec", "from"), text="where it comes from")],
                help="remove `trustRemoteCode`",
            )
        elif remote.repository not in allowed:
            yield REMOTE_CODE.at(
                node.span("spec", "trustRemoteCode"),
                f"code of `{remote.repository}` would run, and the project does not let it in",
                related=[Label(span=node.span("spec", "from", "huggingFace", "repository"), text="the repository")],
                note="it runs with the rights of the training job and of the engine, and reads what they read",
                help=f"read it at the locked commit, then add `remoteCode: [{remote.repository}]` to the Project;"
                " or use an architecture that the engine itself brings",
            )


def gated_models_have_a_token(graph: ResourceGraph) -> Iterator[Diagnostic]:
    if graph.project.spec.sources.hub.token is not None:
        return
    gated = list(_gated(graph))
    if not gated:
        return
    (place, what, entry), *others = gated  # one token opens them all, so one is missing
    yield GATED_MODEL.at(
        place,
        f"{what} are given to those alone who accepted their terms, and the project names no token",
        related=[
            Label(span=graph.lock.span(entry), text="gated, as it was locked"),
            *(Label(span=other, text="gated too") for other, _, _ in others),
        ],
        note="the lock holds digests, not bytes: every machine that fetches them must show a token",
        help="add `sources: {hub: {token: {env: HF_TOKEN}}}` to the Project",
    )


def _gated(graph: ResourceGraph) -> Iterator[tuple[Span, str, SealedEntry]]:
    """Weights, then rows, that were gated when they were locked, and where their repository is named."""
    for node, model in graph.of(Model):
        entry = graph.lock.model(model)
        if entry is not None and entry.gated:
            yield node.span("spec", "from", "huggingFace", "repository"), f"the weights of model `{node.name}`", entry
    for node, dataset in graph.of(Dataset):
        for name, split in dataset.spec.splits.items():
            rows = graph.lock.split(node.name, name, split)
            if rows is not None and rows.gated:
                place = node.span("spec", "splits", name, "source", "huggingFace", "repository")
                yield place, f"the rows of dataset `{node.name}`", rows


CHECKS = (
    GraphCheck(name="gated-model", ask=gated_models_have_a_token),
    GraphCheck(name="hosted-snapshot", ask=hosted_models_are_one_state),
    GraphCheck(name="remote-code", ask=remote_code_is_let_in_by_name),
)
