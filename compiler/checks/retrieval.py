"""Retrieval: models that embed, a collection that the same model wrote, passages that fit where they go.

Reports `model-task`, `retrieval-variable`, `retrieval-budget`, `chunk-size`, `collection-mismatch`, `reranking`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.model_facts import ModelFacts, longest, model_facts
from compiler.checks.question import FileCheck, GraphCheck
from compiler.diagnostics.catalogue import (
    CHUNK_SIZE,
    COLLECTION_MISMATCH,
    MODEL_TASK,
    RERANKING,
    RETRIEVAL_BUDGET,
    RETRIEVAL_VARIABLE,
)
from compiler.diagnostics.model import Diagnostic, Label
from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import ResourceGraph, ResourceNode
from compiler.ports import Reader
from compiler.source import Span
from llmops_spec.evaluation import Evaluation
from llmops_spec.model import Model
from llmops_spec.prompt import Prompt
from llmops_spec.retriever import Retriever
from llmops_spec.service import Retrieval, Service
from llmops_spec.training import Training

MARKS_AROUND_A_PASSAGE = 2
"""Begin and end, which embedding models put around a text."""


def models_have_their_task(graph: ResourceGraph) -> Iterator[Diagnostic]:
    """One finding for a model and a task that it does not have, at the first place that names it."""
    roles: dict[tuple[str, tuple[str, ...]], list[tuple[Span, str]]] = {}
    for place, described, name, wanted in _roles(graph):
        roles.setdefault((name, wanted), []).append((place, described))
    for (name, wanted), ((place, described), *others) in roles.items():
        model, node = graph.get(Model, name), graph.node(Model, name)
        if model is None or node is None or model.spec.task in wanted:
            continue
        span = node.span("spec", "task") if node.has("spec", "task") else node.key_span("spec")
        tasks = " or ".join(f"`{one}`" for one in wanted)
        yield MODEL_TASK.at(
            place,
            f"{described} needs a model of task {tasks}, and `{name}` is `{model.spec.task}`",
            related=[
                Label(span=span, text=f"task {model.spec.task}"),
                *(Label(span=other, text=f"{said} too") for other, said in others),
            ],
            help=_another(described, model.spec.task, wanted[0]),
        )


def declared_tasks_are_the_weights(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    """An encoder has no next token, whatever is declared. A model that writes may well be used for its vectors."""
    for node, model in graph.of(Model):
        facts = model_facts(graph, files, node.name)
        if model.spec.task != "causal" or not isinstance(facts, ModelFacts) or facts.architecture.task != "encoder":
            continue
        declared = node.has("spec", "task")
        yield MODEL_TASK.at(
            node.span("spec", "task") if declared else node.key_span("spec", "from"),
            f"model `{node.name}` is taken for one that writes text, and its weights are an encoder's",
            label="" if declared else "no `task` is declared, so it is `causal`",
            note=f"`{facts.architecture.class_name}`, from {facts.origin}",
            help="declare `task: embedding`, `reranker` or `encoder`, as its card says",
        )


def _another(described: str, task: str, wanted: str) -> str:
    endpoint = {"embedding": "embeddings", "reranker": "rerank"}.get(task)
    if wanted == "causal" and described.startswith("endpoint") and endpoint is not None:
        return f"write `api: {{endpoints: [{endpoint}]}}`, or name another model"
    return f"name another model, or declare `task: {wanted}` if that is what it computes"


def _roles(graph: ResourceGraph) -> Iterator[tuple[Span, str, str, tuple[str, ...]]]:
    """Every place that names a model for what it computes: where, what it is for, the model, the tasks that will do."""
    for node, retriever in graph.of(Retriever):
        yield node.span("spec", "embedding"), "a retriever's `embedding`", retriever.spec.embedding, ("embedding",)
        if retriever.spec.reranker is not None:
            yield node.span("spec", "reranker"), "a retriever's `reranker`", retriever.spec.reranker, ("reranker",)
    for node, service in graph.of(Service):
        if service.spec.prompt is not None or service.spec.steps:
            yield node.span("spec", "model"), "a service with a prompt", service.spec.model, ("causal",)
        yield from _offered(node, service)
    for node, evaluation in graph.of(Evaluation):
        place = node.span("spec", "subject", "model")
        yield place, "an evaluation of answers", evaluation.spec.subject.model, ("causal",)
    for node, training in graph.of(Training):
        yield node.span("spec", "base"), "a training on texts", training.spec.base, ("causal",)


def _offered(node: ResourceNode, service: Service) -> Iterator[tuple[Span, str, str, tuple[str, ...]]]:
    """What callers may ask of the model itself; beside rails, `uncovered-route` speaks of what is no chat."""
    chats = service.spec.prompt is not None or bool(service.spec.steps)
    for index, endpoint in enumerate(service.spec.api.endpoints):
        wanted = {"embeddings": ("embedding",), "rerank": ("reranker",)}.get(endpoint, ("causal",))
        if not chats or (wanted != ("causal",) and not service.spec.guardrails):
            place = ("spec", "api", "endpoints", index)
            yield (
                node.span(*place) if node.has(*place) else node.span("spec", "model"),
                f"endpoint `{endpoint}`",
                service.spec.model,
                wanted,
            )


def retrieval_fills_the_prompt(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        retrieval = service.spec.retrieval
        if retrieval is not None and service.spec.prompt is None:
            yield RETRIEVAL_VARIABLE.at(
                node.key_span("spec", "retrieval"),
                f"service `{node.name}` has no prompt that passages could be put into",
                note="retrieval fills a variable of `prompt`; the steps of a chain are filled by their `inputs`"
                if service.spec.steps
                else "",
                help="remove `retrieval`, or serve one `prompt`" if service.spec.steps else "add `prompt: …`",
            )
        prompt, written = graph.get(Prompt, service.spec.prompt), graph.node(Prompt, service.spec.prompt)
        if retrieval is None or prompt is None or written is None:
            continue
        for key, name in (("query", retrieval.query), ("into", retrieval.into)):
            if name not in prompt.spec.variables:
                yield RETRIEVAL_VARIABLE.at(
                    node.span("spec", "retrieval", key),
                    f"`{name}` is not a variable of prompt `{written.name}`",
                    related=[Label(span=written.key_span("spec", "variables"), text="its variables")],
                    help=did_you_mean(name, prompt.spec.variables),
                )
        yield from _fit_for_text(node, retrieval, prompt, written)
        retriever, declared = graph.get(Retriever, retrieval.retriever), graph.node(Retriever, retrieval.retriever)
        variable = prompt.spec.variables.get(retrieval.into)
        if retriever is None or declared is None or variable is None:
            continue
        needed = retriever.spec.top_k * retriever.spec.chunking.tokens
        if needed > variable.max_tokens:
            yield RETRIEVAL_BUDGET.at(
                written.span("spec", "variables", retrieval.into, "maxTokens"),
                f"retriever `{declared.name}` finds up to {needed} tokens, and variable `{retrieval.into}` takes"
                f" {variable.max_tokens}",
                related=[
                    Label(span=declared.span("spec", "topK"), text="so many passages"),
                    Label(span=declared.span("spec", "chunking", "tokens"), text="of so many tokens"),
                ],
                note=f"{retriever.spec.top_k} passages × {retriever.spec.chunking.tokens} tokens = {needed}"
                f" > {variable.max_tokens}",
                help=f"set `topK: {variable.max_tokens // retriever.spec.chunking.tokens}`"
                if variable.max_tokens >= retriever.spec.chunking.tokens
                else f"set `maxTokens: {needed}`, if the model's context has room for it",
            )


def _fit_for_text(
    node: ResourceNode, retrieval: Retrieval, prompt: Prompt, written: ResourceNode
) -> Iterator[Diagnostic]:
    """Passages are text of documents: not another variable's question, not a number, and not to be trusted."""
    variable, place = prompt.spec.variables.get(retrieval.into), node.span("spec", "retrieval", "into")
    if retrieval.query == retrieval.into:
        said = f"passages would take the place of the question that they were found with, `{retrieval.query}`"
        yield RETRIEVAL_VARIABLE.at(place, said, help="add a variable for the passages, and name it here")
    elif variable is not None and variable.type != "string":
        yield RETRIEVAL_VARIABLE.at(
            place,
            f"passages are text, and variable `{retrieval.into}` is of type {variable.type}",
            related=[Label(span=written.span("spec", "variables", retrieval.into, "type"), text="its type")],
            help="declare `type: string` for it",
        )
    elif variable is not None and variable.trust == "trusted":
        yield RETRIEVAL_VARIABLE.at(
            place,
            f"passages are whatever somebody wrote into a document, and variable `{retrieval.into}` is trusted",
            related=[Label(span=written.span("spec", "variables", retrieval.into, "trust"), text="trusted")],
            help="declare `trust: untrusted` for it, and use it in user messages only",
        )


def passages_fit_the_model(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, retriever in graph.of(Retriever):
        chunking = retriever.spec.chunking
        if chunking.overlap >= chunking.tokens:
            yield CHUNK_SIZE.at(
                node.span("spec", "chunking", "overlap"),
                f"passages of {chunking.tokens} tokens overlap by {chunking.overlap}",
                related=[Label(span=node.span("spec", "chunking", "tokens"), text="the longest passage")],
                note="each passage must begin after the one before it",
                help=f"set `overlap` below {chunking.tokens}, such as {chunking.tokens // 8}",
            )
        limit = longest(graph, files, retriever.spec.embedding)
        if limit is None or chunking.tokens + MARKS_AROUND_A_PASSAGE <= limit.tokens:
            continue
        length = limit.tokens
        yield CHUNK_SIZE.at(
            node.span("spec", "chunking", "tokens"),
            f"passages of {chunking.tokens} tokens do not fit into model `{retriever.spec.embedding}`, which reads"
            f" {length}",
            related=[Label(span=limit.place, text=limit.said)],
            note=f"{chunking.tokens} + {MARKS_AROUND_A_PASSAGE} marks > {length}; what is cut off is never found",
            help=f"set `tokens: {length - MARKS_AROUND_A_PASSAGE}` at most",
        )


def collections_hold_the_same_vectors(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, retriever in graph.of(Retriever):
        collection = retriever.spec.store.collection
        if collection is None:
            continue
        place = ("spec", "store", "pgvector" if retriever.spec.store.pgvector is not None else "qdrant")
        if graph.dangles(node, "spec", "embedding") or graph.dangles(node, *place):
            continue
        if collection.embedding != retriever.spec.embedding:
            yield COLLECTION_MISMATCH.at(
                node.span("spec", "embedding"),
                f"collection `{collection.collection}` was written by `{collection.embedding}`, and is asked with"
                f" `{retriever.spec.embedding}`",
                related=[Label(span=node.span(*place, "embedding"), text="wrote the collection")],
                note="vectors of two models mean nothing to each other, even where their lengths agree",
                help=f"write `embedding: {collection.embedding}`, or build a collection anew",
            )
            continue
        facts = model_facts(graph, files, retriever.spec.embedding)
        if isinstance(facts, ModelFacts) and facts.architecture.hidden_size != collection.dimension:
            yield COLLECTION_MISMATCH.at(
                node.span(*place, "dimension"),
                f"collection `{collection.collection}` holds vectors of {collection.dimension} numbers, and model"
                f" `{collection.embedding}` writes {facts.architecture.hidden_size}",
                related=[Label(span=node.span("spec", "embedding"), text=facts.origin)],
                help=f"write `dimension: {facts.architecture.hidden_size}`, or name the model that wrote it",
            )


def rerankers_have_candidates(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, retriever in graph.of(Retriever):
        spec = retriever.spec
        if spec.reranker is None and spec.candidates is not None:
            yield RERANKING.at(
                node.key_span("spec", "candidates"),
                f"retriever `{node.name}` asks for candidates, and has no reranker that orders them",
                help="remove `candidates`, or add `reranker: …`",
            )
        elif spec.reranker is not None and (spec.candidates is None or spec.candidates <= spec.top_k):
            yield RERANKING.at(
                node.span("spec", "candidates") if spec.candidates else node.key_span("spec", "reranker"),
                f"the reranker of retriever `{node.name}` has no choice: it keeps {spec.top_k} of"
                f" {spec.candidates or spec.top_k} passages",
                related=[Label(span=node.span("spec", "topK"), text="kept")],
                help=f"set `candidates` above {spec.top_k}, such as {spec.top_k * 5}",
            )


CHECKS = (
    GraphCheck(name="model-task", ask=models_have_their_task),
    FileCheck(name="model-task-weights", ask=declared_tasks_are_the_weights),
    GraphCheck(name="retrieval-variables", ask=retrieval_fills_the_prompt),
    FileCheck(name="retrieval-passages", ask=passages_fit_the_model),
    FileCheck(name="retrieval-collection", ask=collections_hold_the_same_vectors),
    GraphCheck(name="retrieval-reranking", ask=rerankers_have_candidates),
)
