"""Every field of the spec has an effect on what a cluster is given, is refused there, or is read by others."""

from __future__ import annotations

import pytest

from backends.kubernetes.backend import ABILITIES
from compiler.ports import Ability
from compiler.spec_fields import all_paths
from llmops_spec.kinds import KINDS

READ_ELSEWHERE = {
    "Dataset.spec.licence": "policies",
    "Model.spec.licence": "policies",
    "Environment.spec.tier": "policies",
    "Project.spec.protectedBranch": "backends.ci",
    "Model.spec.from.huggingFace.repository": "compiler.checks.models",
    "Model.spec.from.huggingFace.revision": "compiler.checks.models",
    "Project.spec.include": "compiler.passes.load",
    "Project.spec.exclude": "compiler.passes.load",
}
"""Fields that change no step and no object of a cluster. May only shrink, or grow with its reader's name."""

LLAMA = {"hiddenSize": 192, "layers": 2, "heads": 4, "keyValueHeads": 4, "feedForwardSize": 512}
RAIL = {"onError": "closed", "canary": "a", "benign": "b"}
EDITS = [
    ("Environment", "staging", "target.kubernetes.namespace", "elsewhere"),
    ("Environment", "staging", "target.kubernetes.version", "1.35"),
    ("Environment", "staging", "store.pvc.claim", "other-claim"),
    ("Environment", "staging", "images.runtime", "other/image"),
    ("Environment", "staging", "images.engine", "other/image"),
    ("Environment", "staging", "tracking", {"mlflow": {"uri": "http://mlflow:5000"}}, "tracking.mlflow.uri"),
    (
        "Environment",
        "staging",
        "tracking",
        {"mlflow": {"uri": "http://mlflow:5000", "experiment": "other"}},
        "tracking.mlflow.experiment",
    ),
    ("Environment", "staging", "overrides", {"Service": {"support": {"replicas": 5}}}),
    ("Dataset", "support", "columns.answer.type", "integer", "columns.*.type"),
    ("Dataset", "support", "columns.answer.personalData", True, "columns.*.personalData"),
    ("Dataset", "support", "columns.answer.required", False, "columns.*.required"),
    ("Dataset", "support", "splits.heldout.path", "data/corpus.jsonl", "splits.*.path"),
    ("Dataset", "support", "splits.heldout.rows", 7, "splits.*.rows"),
    ("Dataset", "support", "splits.heldout.clusters", 7, "splits.*.clusters"),
    ("Dataset", "support", "itemColumn", "question_id"),
    ("Dataset", "support", "clusterColumn", "intent"),
    ("Dataset", "support", "inputColumns", ["intent"]),
    ("Dataset", "support", "targetColumn", "intent"),
    ("Dataset", "support", "transforms", [{"redact": {"columns": ["question"]}}], "transforms.*.redact.columns"),
    ("Dataset", "support", "limits.duplicates", 0.5),
    ("Dataset", "support", "limits.leakage", 0.5),
    *(("Model", "tiny-llama", f"from.scratch.llama.{name}", value * 2) for name, value in LLAMA.items()),
    ("Model", "tiny-llama", "from.scratch.llama.initializerRange", 0.5),
    ("Model", "tiny-llama", "from.scratch.tokenizer.vocabularySize", 999),
    ("Model", "tiny-llama", "from.scratch.tokenizer.dataset", "support"),
    ("Model", "tiny-llama", "from.scratch.tokenizer.columns", ["question"]),
    ("Model", "tiny-llama", "from.scratch.tokenizer.split", "nowhere"),
    ("Model", "tiny-llama", "from.scratch.seed", 3),
    ("Model", "tiny-llama", "contextLength", 512),
    ("Model", "tiny-llama", "chatTemplate", "other.jinja"),
    ("Model", "support-base", "from", {"path": "weights"}, "from.path"),
    ("Model", "support-base", "from.training", "support-tune"),
    ("Model", "support-lora", "adapterOf", "tiny-llama"),
    ("Prompt", "support-answer", "messages.0.role", "user", "messages.*.role"),
    ("Prompt", "support-answer", "messages.0.content", "Say nothing.", "messages.*.content"),
    ("Prompt", "support-answer", "variables.question.type", "integer", "variables.*.type"),
    ("Prompt", "support-answer", "variables.question.trust", "trusted", "variables.*.trust"),
    ("Prompt", "support-answer", "variables.question.maxTokens", 7, "variables.*.maxTokens"),
    ("Prompt", "support-answer", "output.maxTokens", 7),
    ("Prompt", "support-answer", "output.labels", ["yes it is", "not at all"]),
    ("Training", "support-tune", "base", "tiny-llama"),
    ("Training", "support-tune", "dataset", "support-corpus"),
    ("Training", "support-tune", "split", "heldout"),
    ("Training", "support-tune", "method", "full"),
    ("Training", "support-pretrain", "textColumn", "item_id"),
    (
        "Training",
        "support-tune",
        "prompt",
        "support-answer",
        "prompt",
        ("Prompt", "support-answer", "output.maxTokens", 7),
    ),
    *(
        ("Training", "support-tune", f"hyperParameters.{name}", value)
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
        ("Training", "support-tune", f"lora.{name}", value)
        for name, value in {
            "rank": 4,
            "alpha": 4,
            "dropout": 0.5,
            "targetModules": ["q_proj"],
            "savedModules": ["lm_head"],
        }.items()
    ),
    ("Training", "support-tune", "seed", 9),
    ("Training", "support-tune", "compute.device", "cuda"),
    ("Training", "support-tune", "compute.threads", 4),
    *(
        ("Guardrail", "support-rails", side, [{**RAIL, **part}], f"{side}.*.{field}")
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
    ("Guardrail", "support-rails", "refusal", "No."),
    ("Evaluation", "support-eval", "subject.model", "support-base"),
    (
        "Evaluation",
        "support-eval",
        "subject.prompt",
        "support-training",
        "subject.prompt",
        ("Prompt", "support-training", "output.maxTokens", 7),
    ),
    ("Evaluation", "support-eval", "subject.guardrails", []),
    ("Evaluation", "support-eval", "dataset", "support-corpus"),
    ("Evaluation", "support-eval", "splits", ["heldout"]),
    ("Evaluation", "support-eval", "metrics.0.name", "label-accuracy", "metrics.*.name"),
    ("Evaluation", "support-eval", "metrics.0.ignoreCase", True, "metrics.*.ignoreCase"),
    ("Evaluation", "support-eval", "sampling.temperature", 0.5),
    ("Evaluation", "support-eval", "sampling.seed", 5),
    ("Evaluation", "support-eval", "draws", 2),
    ("Gate", "support-quality", "evaluation", "missing"),
    *(
        ("Gate", "support-quality", "criteria", [{"metric": "rouge-l", **part}], f"criteria.*.{field}")
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
    ("Gate", "support-quality", "alpha", 0.01),
    ("Gate", "support-quality", "combine", "block-if-any-shown-worse"),
    ("Gate", "support-quality", "onInconclusive", "warn"),
    ("Gate", "support-quality", "limits.unscorable", 0.5),
    ("Gate", "support-quality", "limits.errored", 0.5),
    ("Service", "support", "model", "support-base"),
    (
        "Service",
        "support",
        "prompt",
        "support-training",
        "prompt",
        ("Prompt", "support-training", "output.maxTokens", 7),
    ),
    ("Service", "support", "guardrails", []),
    ("Service", "support", "gates", ["support-quality"]),
    *(
        (kind, name, f"{below}engine.transformers.{field}", value)
        for kind, name, below in (("Service", "support", ""), ("Evaluation", "support-eval", "subject."))
        for field, value in {
            "device": "cuda",
            "threads": 3,
            "dtype": "bfloat16",
            "maxBatchSize": 3,
            "maxQueuedRequests": 3,
        }.items()
    ),
    ("Service", "support", "requests.bodyBytes", 2048),
    ("Service", "support", "requests.timeoutSeconds", 7.5),
    ("Service", "support", "resources.cpu", "7"),
    ("Service", "support", "resources.memory", "7Gi"),
    ("Service", "support", "replicas", 4, "replicas", ("Environment", "staging", "overrides", {})),
    ("Service", "support", "smoke", {"question": "Else?"}),
]
"""Kind, resource, path below `spec`, value; then the field, where a path through a list or mapping names another,
and an edit that both the changed and the unchanged spec get."""


def outcome(compiled):
    steps = compiled.lowered.model_dump() if hasattr(compiled.lowered, "model_dump") else compiled.lowered
    return (compiled.errors, dict(compiled.files), steps.steps if steps else None)


BASE: dict[str, tuple] = {}
"""Outcome of the unchanged spec, by the edit that it shares with the changed one."""


def unchanged(spec, shared):
    key = repr(shared)
    if key not in BASE:
        BASE[key] = outcome(spec.compile())
    return BASE[key]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: f"{edit[0]}.{edit[3 + 1] if len(edit) > 4 else edit[2]}")
def test_the_field_has_an_effect(new_spec, edit):
    kind, name, path, value, *rest = edit
    before, after = new_spec(), new_spec()
    for one in (before, after):
        one.data |= {"other.jinja": b"{{ messages }}", "weights/config.json": b"{}"}
        if len(rest) > 1:
            extra_kind, extra_name, extra_path, extra_value = rest[1]
            one.set(extra_kind, extra_name, f"spec.{extra_path}", extra_value)
    after.set(kind, name, f"spec.{path}", value)
    try:
        changed = outcome(after.compile())
    except (AssertionError, KeyError):
        return  # not sound; the compiler's checks, which do not run here, refuse it
    assert changed != unchanged(before, edit[-1] if len(rest) > 1 else None)


def test_no_field_is_forgotten():
    edited = {f"{kind}.spec.{rest[0] if rest else path}" for kind, _, path, _, *rest in EDITS}
    refused = {field for field, one in ABILITIES.items() if one.ability is Ability.UNSUPPORTED}
    fields = {
        ".".join((kind, *path))
        for kind, model in KINDS.items()
        for path in all_paths(model)
        if path[0] == "spec"
        and not any(other[: len(path)] == path and len(other) > len(path) for other in all_paths(model))
    }
    open_ = {
        one for one in fields - edited - set(READ_ELSEWHERE) if not any(one.startswith(f"{no}.") for no in refused)
    }
    assert open_ == {"Project.spec"} & open_
    assert edited <= fields
    assert set(READ_ELSEWHERE) <= fields


@pytest.mark.parametrize(
    ("kind", "name", "path", "value", "field"),
    [
        ("Environment", "staging", "spec.store", {"file": {"path": "x"}}, "spec.store.file"),
    ],
)
def test_what_a_cluster_cannot_honour_is_refused_at_the_field(spec, kind, name, path, value, field):
    found = spec.set(kind, name, path, value).compile().findings
    assert [(one.name, field in one.message) for one in found] == [("unsupported-field", True)]
