"""Edits of the quickstart's spec, at least one for every field that any target reads, and what each changes.

Used by the tests that ask of a target whether it honours, refuses or explains each field. Documents that an edit may
name instead of the quickstart's own are added to the changed and the unchanged spec alike, so that an edit is sound
and its effect is its own.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from compiler.spec_fields import all_paths
from llmops_spec.kinds import KINDS

ROOT = Path(__file__).parents[2]
Change = tuple[str, str, str, object]
"""Kind, resource, path below the document, value."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    change: Change
    field: str
    """The field that it is about, such as `Dataset.spec.splits.*.path`."""
    shared: Change | None = None
    """A change that the unchanged spec gets too."""


def edit(kind: str, name: str, path: str, value: object, *more: object) -> Edit:
    """`path` is below `spec`. Then the field, where the path through a list or mapping has another name, and `shared`,
    below `spec` too."""
    field, shared = (*more, None, None)[:2]
    return Edit(
        change=(kind, name, f"spec.{path}", value),
        field=f"{kind}.spec.{field or path}",
        shared=(shared[0], shared[1], f"spec.{shared[2]}", shared[3]) if isinstance(shared, tuple) else None,
    )


LLAMA = {"hiddenSize": 192, "layers": 2, "heads": 4, "keyValueHeads": 4, "feedForwardSize": 512}
RAIL = {"onError": "closed", "canary": "a", "benign": "b"}
OTHER_PROMPT = ("Prompt", "support-training", "output.maxTokens", 7)

DATA = [
    edit("Dataset", "support", "columns.answer.type", "integer", "columns.*.type"),
    edit("Dataset", "support", "columns.answer.personalData", True, "columns.*.personalData"),
    edit("Dataset", "support", "columns.answer.required", False, "columns.*.required"),
    edit("Dataset", "support", "splits.heldout.path", "data/corpus.jsonl", "splits.*.path"),
    edit("Dataset", "support", "splits.heldout.rows", 7, "splits.*.rows"),
    edit("Dataset", "support", "splits.heldout.clusters", 7, "splits.*.clusters"),
    edit("Dataset", "support", "itemColumn", "question_id"),
    edit("Dataset", "support", "clusterColumn", "intent"),
    edit("Dataset", "support", "inputColumns", ["intent"]),
    edit("Dataset", "support", "targetColumn", "intent"),
    edit("Dataset", "support", "transforms", [{"redact": {"columns": ["question"]}}], "transforms.*.redact.columns"),
    edit("Dataset", "support", "limits.duplicates", 0.5),
    edit("Dataset", "support", "limits.leakage", 0.5),
]

MODELS = [
    *(edit("Model", "tiny-llama", f"from.scratch.llama.{name}", value * 2) for name, value in LLAMA.items()),
    edit("Model", "tiny-llama", "from.scratch.llama.initializerRange", 0.5),
    edit("Model", "tiny-llama", "from.scratch.tokenizer.vocabularySize", 999),
    edit("Model", "tiny-llama", "from.scratch.tokenizer.dataset", "support"),
    edit("Model", "tiny-llama", "from.scratch.tokenizer.columns", ["question"]),
    edit("Model", "tiny-llama", "from.scratch.tokenizer.split", "more"),
    edit("Model", "tiny-llama", "from.scratch.seed", 3),
    edit("Model", "tiny-llama", "contextLength", 512),
    edit("Model", "tiny-llama", "chatTemplate", "other.jinja"),
    edit("Model", "support-base", "from", {"path": "weights"}, "from.path"),
    edit("Model", "support-base", "from.training", "other-pretrain"),
    edit("Model", "support-lora", "adapterOf", "other-base"),
]

TRAININGS = [
    edit("Training", "support-tune", "base", "tiny-llama"),
    edit("Training", "support-tune", "dataset", "support-corpus"),
    edit("Training", "support-tune", "split", "more"),
    edit("Training", "support-tune", "method", "full"),
    edit("Training", "support-pretrain", "textColumn", "item_id"),
    edit("Training", "support-tune", "prompt", "support-answer", None, ("Prompt", "support-answer", *OTHER_PROMPT[2:])),
    *(
        edit("Training", "support-tune", f"hyperParameters.{name}", value)
        for name, value in {
            "learningRate": 0.1,
            "steps": 3,
            "batchSize": 3,
            "sequenceLength": 64,
            "warmupSteps": 3,
            "weightDecay": 0.2,
            "adamBeta2": 0.5,
            "finalLearningRateRatio": 0.5,
            "maxGradientNorm": 0.5,
        }.items()
    ),
    *(
        edit("Training", "support-tune", f"lora.{name}", value)
        for name, value in {
            "rank": 4,
            "alpha": 4,
            "dropout": 0.5,
            "targetModules": ["q_proj"],
            "savedModules": ["lm_head"],
        }.items()
    ),
    edit("Training", "support-tune", "seed", 9),
    edit("Training", "support-tune", "compute.device", "cuda"),
    edit("Training", "support-tune", "compute.threads", 4),
]

PROMPTS_AND_RAILS = [
    edit("Prompt", "support-answer", "messages.0.role", "user", "messages.*.role"),
    edit("Prompt", "support-answer", "messages.0.content", "Say nothing.", "messages.*.content"),
    edit("Prompt", "support-answer", "variables.question.type", "integer", "variables.*.type"),
    edit("Prompt", "support-answer", "variables.question.trust", "trusted", "variables.*.trust"),
    edit("Prompt", "support-answer", "variables.question.maxTokens", 7, "variables.*.maxTokens"),
    edit("Prompt", "support-answer", "output.maxTokens", 7),
    edit("Prompt", "support-answer", "output.labels", ["yes it is", "not at all"]),
    *(
        edit("Guardrail", "support-rails", side, [{**RAIL, **part}], f"{side}.*.{field}")
        for side in ("input", "output")
        for field, part in {
            "maxLength.characters": {"maxLength": {"characters": 7}},
            "denyPattern.patterns": {"denyPattern": {"patterns": ["x"]}},
            "personalData": {"personalData": {}, "timeoutMilliseconds": 77},
            "guardrailsAi.validator": {"guardrailsAi": {"validator": "other/one"}},
            "guardrailsAi.parameters": {"guardrailsAi": {"validator": "other/one", "parameters": {"p": 1}}},
            "onFail": {"personalData": {}, "onFail": "redact"},
            "onError": {"personalData": {}, "onError": "open"},
            "timeoutMilliseconds": {"personalData": {}, "timeoutMilliseconds": 7},
            "canary": {"personalData": {}, "canary": "c"},
            "benign": {"personalData": {}, "benign": "c"},
        }.items()
    ),
    edit("Guardrail", "support-rails", "refusal", "No."),
]

EVALUATIONS = [
    edit("Evaluation", "support-eval", "subject.model", "support-base"),
    edit("Evaluation", "support-eval", "subject.prompt", "support-training", None, OTHER_PROMPT),
    edit("Evaluation", "support-eval", "subject.guardrails", []),
    edit("Evaluation", "support-eval", "subject.requests.bodyBytes", 2048),
    edit("Evaluation", "support-eval", "subject.requests.timeoutSeconds", 7.5),
    edit("Evaluation", "support-eval", "dataset", "other-rows"),
    edit("Evaluation", "support-eval", "splits", ["heldout"]),
    edit("Evaluation", "support-eval", "metrics.0.name", "label-accuracy", "metrics.*.name"),
    edit("Evaluation", "support-eval", "metrics.0.ignoreCase", True, "metrics.*.ignoreCase"),
    edit("Evaluation", "support-eval", "sampling.temperature", 0.5),
    edit("Evaluation", "support-eval", "sampling.seed", 5),
    edit("Evaluation", "support-eval", "draws", 2),
]

GATES = [
    edit("Gate", "support-quality", "evaluation", "other-eval"),
    *(
        edit("Gate", "support-quality", "criteria", [{"metric": "rouge-l", **part}], f"criteria.*.{field}")
        for field, part in {
            "metric": {"atLeast": 0.1},
            "slice": {"atLeast": 0.1, "slice": "heldout"},
            "atLeast": {"atLeast": 0.2},
            "atMost": {"atMost": 0.1},
            "quantile": {"atMost": 0.1, "quantile": 0.9},
            "nonInferiorTo.model": {"nonInferiorTo": {"model": "support-base"}, "margin": 0.1},
            "nonInferiorTo.record": {"nonInferiorTo": {"record": "data/corpus.jsonl"}, "margin": 0.1},
            "nonInferiorTo.constant": {"nonInferiorTo": {"constant": "majority-class"}, "margin": 0.1},
            "margin": {"nonInferiorTo": {"model": "support-base"}, "margin": 0.2},
            "betterThan.model": {"betterThan": {"model": "support-base"}},
            "betterThan.record": {"betterThan": {"record": "data/corpus.jsonl"}},
            "betterThan.constant": {"betterThan": {"constant": "majority-class"}},
            "neverFail": {"neverFail": ["one"]},
        }.items()
    ),
    edit("Gate", "support-quality", "alpha", 0.01),
    edit("Gate", "support-quality", "combine", "block-if-any-shown-worse"),
    edit("Gate", "support-quality", "onInconclusive", "warn"),
    edit("Gate", "support-quality", "limits.unscorable", 0.5),
    edit("Gate", "support-quality", "limits.errored", 0.5),
]

SERVICES = [
    edit("Service", "support", "model", "support-base"),
    edit("Service", "support", "prompt", "support-training", None, OTHER_PROMPT),
    edit("Service", "support", "guardrails", []),
    edit("Service", "support", "gates", ["support-quality"]),
    *(
        edit(kind, name, f"{below}engine.transformers.{field}", value)
        for kind, name, below in (("Service", "support", ""), ("Evaluation", "support-eval", "subject."))
        for field, value in {
            "device": "cuda",
            "threads": 3,
            "dtype": "bfloat16",
            "maxBatchSize": 3,
            "maxQueuedRequests": 3,
        }.items()
    ),
    edit("Service", "support", "requests.bodyBytes", 2048),
    edit("Service", "support", "requests.timeoutSeconds", 7.5),
    edit("Service", "support", "smoke", {"question": "Else?"}),
]

EDITS = [*DATA, *MODELS, *TRAININGS, *PROMPTS_AND_RAILS, *EVALUATIONS, *GATES, *SERVICES]
"""What every target is asked; fields of environments, and what only a cluster has, are for each target's own test."""


RAIL_CALLS = {"personalData": {}, **RAIL, "toolCalls": True}
_ENGINES = {
    "vllm": {"version": "0.10.0"},
    "sglang": {"version": "0.5.0"},
    "triton": {"version": "25.06", "backend": "vllm", "backendVersion": "0.10.0"},
    "hosted": {},
    "container": {"image": "other/engine"},
}
UNMADE = {
    **{
        f"{kind}.spec.{below}engine.{name}": edit(kind, resource, f"{below}engine", {name: value})
        for kind, resource, below in (("Service", "support", ""), ("Evaluation", "support-eval", "subject."))
        for name, value in _ENGINES.items()
    },
    "Model.spec.from.hosted": edit(
        "Model", "support-base", "from", {"hosted": {"provider": "openai", "snapshot": "gpt-4o-2024-08-06"}}
    ),
    "Model.spec.from.compress": edit(
        "Model", "support-base", "from", {"compress": {"model": "tiny-llama", "prune": {"sparsity": 0.5}}}
    ),
    "Model.spec.trustRemoteCode": edit("Model", "support-base", "trustRemoteCode", True),
    **{
        f"Model.spec.task={task}": edit("Model", "support-base", "task", task)
        for task in ("encoder", "embedding", "reranker")
    },
    **{
        f"Guardrail.spec.{side}.toolCalls": edit("Guardrail", "support-rails", side, [RAIL_CALLS])
        for side in ("input", "output")
    },
    "Prompt.spec.output.schema": edit("Prompt", "support-answer", "output.schema", {"topic": {}}),
    **{f"Training.spec.method={one}": edit("Training", "support-tune", "method", one) for one in ("qlora", "dpo")},
    "Training.spec.preferences": edit(
        "Training", "support-tune", "preferences", {"chosen": "answer", "rejected": "question"}
    ),
    "Training.spec.distribution": edit("Training", "support-tune", "distribution", {"gpu": {"type": "H100"}}),
    **{
        f"Service.spec.{field}": edit("Service", "support", field, value)
        for field, value in {
            "adapters": ["support-lora"],
            "retrieval": {"retriever": "passages", "query": "question", "into": "question"},
            "gpu": {"type": "L4"},
            "parallelism": {"tensor": 1},
            "nodes": 2,
            "scaling": {"min": 1, "max": 2, "target": {"metric": "queued-requests", "value": 8}},
            "rollout": {"blueGreen": {}},
            "startupSeconds": 600,
            "api": {"tools": False},
            "route": dict.fromkeys(("backend", "pool", "picker"), "inference.networking.k8s.io/v1")
            | {"gateway": "public"},
        }.items()
    },
    **{
        f"Service.spec.workload={one}": edit("Service", "support", "workload", one)
        for one in ("leader-worker-set", "kserve", "ray")
    },
    "Service.spec.steps": Edit(
        change=(
            "Service",
            "support",
            "spec",
            {
                "model": "support-lora",
                "steps": [{"name": "one", "prompt": "support-answer", "inputs": {"question": "request.question"}}],
            },
        ),
        field="Service.spec.steps",
    ),
    "Retriever.spec": edit("Service", "support", "api", {"tools": False}),
    "Project.spec.sources.hub.token.kubernetesSecret": edit(
        "Project", "quickstart", "sources", {"hub": {"token": {"kubernetesSecret": {"name": "hub", "key": "token"}}}}
    ),
}
"""What every target refuses, as `compiler.unmade` has it, with an edit that writes it. The retriever is one of the
alternatives' documents in `add_retriever`."""
LOCKED = {
    **{f"Model.spec.from.huggingFace.{part}": "compiler.checks.locked" for part in ("repository", "revision")},
    **{f"Model.spec.from.http.{part}": "llmops.lock.resolving" for part in ("url", "files")},
    **{f"Model.spec.from.s3.{part}": "llmops.lock.objects" for part in ("uri", "endpoint", "region")},
    **{
        f"Dataset.spec.splits.*.source.huggingFace.{part}": "llmops.lock.resolving"
        for part in ("repository", "revision", "file")
    },
    "Dataset.spec.splits.*.source.http.url": "llmops.lock.resolving",
    **{f"Dataset.spec.splits.*.source.s3.{part}": "llmops.lock.objects" for part in ("uri", "endpoint", "region")},
    "Project.spec.sources.allowedHosts": "llmops.lock.resolving",
    "Project.spec.sources.hub.endpoint": "llmops.lock.resolving",
    **{f"Project.spec.sources.hub.token.{part}": "llmops.io.secrets" for part in ("env", "file")},
}
"""Where bytes come from: read by `llmops lock`, by the checks of the lock, and by `fetch` steps."""
CHECKED = {
    "Model.spec.task": "compiler.checks.on_engines",
    "Service.spec.workload": "compiler.checks.on_engines",
    "Project.spec.remoteCode": "compiler.checks.identity",
    **LOCKED,
}
"""Fields of which some values are refused by every target, or that only a check reads."""


def add_retriever(spec: Any) -> None:
    """A document of the one kind that no target makes anything of."""
    part = {"corpus": "support-corpus", "textColumn": "text", "chunking": {"tokens": 64}, "embedding": "support-base"}
    spec.documents.append(
        {
            "apiVersion": "llmops.dev/v1alpha1",
            "kind": "Retriever",
            "metadata": {"name": "passages", "owner": "team-support"},
            "spec": {**part, "topK": 4},
        }
    )


def refused(new_spec: Callable[[], Any], field: str, environment: str) -> list[str]:
    """What the target says against a spec that writes the field, of those findings that say it is not honoured."""
    spec = new_spec()
    add_retriever(spec)
    spec.set(*UNMADE[field].change)
    written = field.partition(".")[2]
    said = f"`{written.replace('=', ': ')}`"
    errors = spec.compile(environment).errors
    return [one for one in errors if one.startswith("unsupported-field") and said in one]


def metadata_edits(resources: Mapping[str, str]) -> list[Edit]:
    """An edit of each piece of metadata of one resource of each kind."""
    values = {"owner": "other", "labels": {"a": "b"}, "annotations": {"a": "b"}, "description": "Something else."}
    return [
        Edit(change=(kind, name, f"metadata.{part}", value), field=f"{kind}.metadata.{part}")
        for kind, name in resources.items()
        for part, value in values.items()
    ]


def add_alternatives(spec: Any) -> None:
    """What edits name: another training, base, evaluation, dataset, split, template."""
    spec.data |= {"other.jinja": b"{{ messages }}", "weights/config.json": b"{}"}
    for kind, name, copied, path, value in (
        ("Training", "other-pretrain", "support-pretrain", "spec.seed", 9),
        ("Model", "other-base", "support-base", "spec.from", {"path": "weights"}),
        ("Evaluation", "other-eval", "support-eval", "spec.draws", 3),
        ("Dataset", "other-rows", "support", "spec.splits.heldout.path", "data/corpus.jsonl"),
    ):
        spec.documents.append(copy.deepcopy(spec.document(kind, copied)))
        spec.documents[-1]["metadata"]["name"] = name
        spec.set(kind, name, path, value)
    for dataset in ("support-corpus", "support-tuning"):
        spec.set("Dataset", dataset, "spec.splits.more", {"path": "data/heldout.jsonl", "rows": 5})


def errors_and_differences(new_spec: Callable[[], Any], one: Edit, environment: str) -> tuple[list[str], bool]:
    """What the target says against the edited spec, and whether anything that it makes differs."""
    before, after = new_spec(), new_spec()
    for spec in (before, after):
        add_alternatives(spec)
        if one.shared is not None:
            spec.set(*one.shared)
    after.set(*one.change)
    unchanged, changed = before.compile(environment), after.compile(environment)
    assert unchanged.errors == []
    return changed.errors, changed.errors == [] and made(changed) != made(unchanged)


def made(compiled: Any) -> object:
    """All that is done with a spec. Its notes are not: they are there for fields with which nothing is done."""
    lowered = compiled.lowered
    return lowered.steps, lowered.jobs, lowered.standing, dict(compiled.files)


def fields(part: str) -> set[str]:
    """Every leaf below `spec` or `metadata` of any kind."""
    return {".".join((kind, *path)) for kind, model in KINDS.items() for path in _leaves(model) if path[0] == part}


@cache
def _leaves(model: Any) -> tuple[tuple[str, ...], ...]:
    paths = all_paths(model)
    return tuple(one for one in paths if not any(other[: len(one)] == one and other != one for other in paths))


def covered(field: str, stated: Iterable[str]) -> bool:
    """The field, or a part that holds it, is stated. Statements do not count the items of lists."""
    names = (field, field.replace(".*", ""))
    return any(name == one or name.startswith(f"{one}.") for one in stated for name in names)


def unread(readers: Mapping[str, str]) -> Iterator[str]:
    """Fields whose name does not stand in the source that is said to read them: a module, or a file of the project."""
    for field, reader in readers.items():
        last = field.rpartition(".")[2]
        snake = "".join(f"_{one.lower()}" if one.isupper() else one for one in last)
        path = ROOT / reader if "/" in reader else Path(str(importlib.import_module(reader).__file__))
        text = path.read_text(encoding="utf-8")
        if f".{snake}" not in text and f".{last}" not in text:
            yield field
