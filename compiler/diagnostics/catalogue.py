"""Every kind of finding that the compiler itself can report, by the name that `llmops explain` takes.

Passes and checks import the constants; nothing is declared anywhere else in `compiler`. Policies' gates and the
back ends declare their own beside their checks, since arrows of import do not point there.
A name says the bad pattern. Each has a page of the same name in `pages/`, whose examples run as tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from compiler.diagnostics.model import Declared, DiagnosticName, Severity, declare

# --- load

MISSING_PROJECT: Final = declare("missing-project", "there is no sound Project document in `llmops.yaml` at the root")
UNREADABLE_FILE: Final = declare("unreadable-file", "a spec file that cannot be opened or read")
UNREADABLE_LOCK: Final = declare("unreadable-lock", "a `llmops.lock` of which nothing can be made")
EDITED_LOCK: Final = declare("edited-lock", "an entry of `llmops.lock` that was changed by hand or by a merge")

EMPTY_FILE: Final = declare("empty-file", "a spec file that holds no document", severity=Severity.WARNING)


# --- parse: YAML

NOT_UTF8: Final = declare("not-utf8", "a spec file that is not UTF-8 text")
BIDI_CONTROL: Final = declare("bidi-control", "an invisible character that changes the order in which text is shown")
MIXED_SCRIPT_KEY: Final = declare("mixed-script-key", "a key that mixes look-alike letters of several scripts")
YAML_SYNTAX: Final = declare("yaml-syntax", "text that is not YAML")
YAML_TAG: Final = declare("yaml-tag", "a YAML tag, which would change what a value is")
YAML_ANCHOR: Final = declare("yaml-anchor", "a YAML anchor or alias, which hides a value from where it is used")
YAML_MERGE_KEY: Final = declare("yaml-merge-key", "a YAML merge key (`<<`)")
YAML_DIRECTIVE: Final = declare("yaml-directive", "a YAML directive (`%YAML`, `%TAG`)")
YAML_TOO_LARGE: Final = declare("yaml-too-large", "a spec file above the size limit")
YAML_TOO_DEEP: Final = declare("yaml-too-deep", "values nested above the depth limit")
YAML_TOO_MANY_NODES: Final = declare("yaml-too-many-nodes", "a spec file with more values than the limit")
DUPLICATE_KEY: Final = declare("duplicate-key", "a key that is written twice in one mapping")
NON_STRING_KEY: Final = declare("non-string-key", "a mapping key that is not text")
NON_FINITE_NUMBER: Final = declare("non-finite-number", "a number that is infinite or not a number")

# --- parse: documents

FOREIGN_DOCUMENT: Final = declare("foreign-document", "a document of another API among the spec files")
UNKNOWN_KIND: Final = declare("unknown-kind", "a document whose `kind` does not exist")
MISSING_FIELD: Final = declare("missing-field", "a field that must be given and is not")
UNKNOWN_KEY: Final = declare("unknown-key", "a key that the kind does not have")
WRONG_TYPE: Final = declare("wrong-type", "a value of another type than the field's")
INVALID_VALUE: Final = declare("invalid-value", "a value outside of what the field allows")
ONE_OF: Final = declare("one-of", "a choice between alternatives with none or several of them given")
INLINE_SECRET: Final = declare("inline-secret", "a secret's value in the spec, where a reference to it should stand")

# --- resolve

DUPLICATE_RESOURCE: Final = declare("duplicate-resource", "two documents of one kind with the same name")
SEVERAL_PROJECTS: Final = declare("several-projects", "more than one Project document")
NO_ENVIRONMENT: Final = declare("no-environment", "a project without an Environment, or without the one asked for")
UNKNOWN_REFERENCE: Final = declare("unknown-reference", "a reference to a resource that is not defined")
REFERENCE_CYCLE: Final = declare("reference-cycle", "resources that are made from each other")
UNKNOWN_OVERRIDE: Final = declare("unknown-override", "an environment that overrides what is not there")

# --- check and lower

INTERNAL_CHECK_FAILURE: Final = declare("internal-check-failure", "a check that crashed: a bug of ours or of a plug-in")
UNSUPPORTED_FIELD: Final = declare("unsupported-field", "a field that the environment's target cannot honour")

STALE_PIPELINE: Final = declare("stale-pipeline", "a committed pipeline that differs from what the spec renders")
PIPELINE_WITHOUT_SOURCE: Final = declare(
    "pipeline-without-source",
    "a committed pipeline that is not told where llmops comes from",
    severity=Severity.WARNING,
)

# --- the base revision: what `plan`, `gate run` and `apply` find, and the spec alone does not show

BASE_CANNOT_RUN: Final = declare("base-cannot-run", "gates as they were reviewed that cannot judge a change")
NO_BASE: Final = declare("no-base", "a production environment that is applied from a folder without Git")

# --- checks: prompts

TEMPLATE_NOT_ALLOWED: Final = declare("template-not-allowed", "a prompt template outside of the prompt language")
UNDECLARED_VARIABLE: Final = declare("undeclared-variable", "a template that uses a variable which is not declared")
UNUSED_VARIABLE: Final = declare("unused-variable", "a declared variable that no message uses")
UNTRUSTED_IN_SYSTEM: Final = declare("untrusted-in-system", "untrusted text in a system message")
VARIABLE_NOT_A_COLUMN: Final = declare("variable-not-a-column", "a prompt variable that the rows do not have")
VARIABLE_COLUMN_TYPE: Final = declare("variable-column-type", "a prompt variable of another type than its column")
TARGET_IN_PROMPT: Final = declare("target-in-prompt", "a prompt that is given the answer")
SMOKE_VARIABLES: Final = declare("smoke-variables", "a smoke request that does not fill the prompt's variables")

# --- checks: data

UNKNOWN_COLUMN: Final = declare("unknown-column", "a column that the dataset does not have")
UNKNOWN_SPLIT: Final = declare("unknown-split", "a split that the dataset does not have")
CLUSTER_COUNT: Final = declare("cluster-count", "a split whose number of clusters does not fit the dataset")
OVERLAPPING_SPLITS: Final = declare("overlapping-splits", "held-out rows that are also trained on, by declaration")
TOO_FEW_ROWS: Final = declare("too-few-rows", "a split that declares more rows than its locked file holds")
UNSUPPORTED_DATA_FORMAT: Final = declare("unsupported-data-format", "a split file that is neither JSON Lines nor CSV")
MISSING_FILE: Final = declare("missing-file", "a file that the spec names and that is not there")

# --- checks: training

TRAINING_METHOD: Final = declare("training-method", "a training whose settings do not fit its method")
TRAINING_COLUMNS: Final = declare("training-columns", "a training whose columns do not fit its method")
BASE_IS_ADAPTER: Final = declare("base-is-adapter", "a training on top of an adapter")
MISSING_CHAT_TEMPLATE: Final = declare("missing-chat-template", "a chat prompt for a model without a chat template")
SEQUENCE_TOO_LONG: Final = declare("sequence-too-long", "training sequences longer than the model's context")
CONTEXT_BUDGET: Final = declare("context-budget", "a prompt whose budgets do not fit into the model's context")
MISSING_CONTEXT_LENGTH: Final = declare("missing-context-length", "random weights without a context length")

# --- checks: models

ADAPTER_BASE_MISMATCH: Final = declare("adapter-base-mismatch", "an adapter on another model than it was trained on")
UNLOCKED_ARTIFACT: Final = declare("unlocked-artifact", "remote weights or rows that `llmops.lock` does not pin")
UNSAFE_WEIGHTS: Final = declare("unsafe-weights", "weights in a format that runs code when it is loaded")
MISSING_WEIGHTS: Final = declare("missing-weights", "a model folder without weights or without its configuration")
MISSING_TOKENIZER: Final = declare("missing-tokenizer", "a model folder without its tokenizer")
UNTRAINED_MODEL: Final = declare("untrained-model", "random weights that are served or evaluated as they are")
ATTENTION_HEADS: Final = declare("attention-heads", "attention heads that do not divide the sizes they share")

# --- checks: evaluation and services

EVALUATION_TARGET_MISMATCH: Final = declare(
    "evaluation-target-mismatch", "a gate that measured something else than what is served"
)
METRIC_WITHOUT_TARGET: Final = declare(
    "metric-without-target", "a metric that compares with a reference which is not there"
)
METRIC_WITHOUT_LABELS: Final = declare("metric-without-labels", "label accuracy of a prompt without labels")

# --- checks: guardrails

RAIL_WITHOUT_CANARY: Final = declare(
    "rail-without-canary", "a rail that nothing proves awake: no canary, or no benign twin"
)
INEFFECTIVE_CANARY: Final = declare(
    "ineffective-canary", "a canary that its rail lets through, or a benign text it catches"
)
INVALID_PATTERN: Final = declare("invalid-pattern", "a pattern that is not a regular expression")
REDACT_WITHOUT_CORRECTION: Final = declare("redact-without-correction", "`redact` on a validator that corrects nothing")

# --- checks: chains

CHAIN_STEP: Final = declare(
    "chain-step", "a step that cannot be told from another, or asks for a model that the engine does not load"
)
CHAIN_INPUT: Final = declare("chain-input", "a step of a chain whose variables are not filled, or from nowhere")
CHAIN_TYPE: Final = declare("chain-type", "a step of a chain that passes a value of another type than the next takes")
CHAIN_TRUST: Final = declare("chain-trust", "text of a model or a caller in a variable that is declared trusted")
CHAIN_BUDGET: Final = declare("chain-budget", "a value that may be longer than the variable that receives it")
MISSING_PROMPT: Final = declare("missing-prompt", "a service that answers chats and has neither a prompt nor steps")

# --- checks: retrieval

MODEL_TASK: Final = declare("model-task", "a model in a place that needs a model of another task")
RETRIEVAL_VARIABLE: Final = declare(
    "retrieval-variable", "retrieval for a variable that the prompt does not have, or not for text"
)
RETRIEVAL_BUDGET: Final = declare("retrieval-budget", "passages that do not fit into the variable that receives them")
CHUNK_SIZE: Final = declare("chunk-size", "passages that overlap wholly, or do not fit into the embedding model")
COLLECTION_MISMATCH: Final = declare("collection-mismatch", "a collection of vectors that another model wrote")
RERANKING: Final = declare(
    "reranking", "a reranker without candidates to choose from, or candidates without a reranker"
)

# --- checks: scaling, roll-out and placement

SCALE_TO_ZERO: Final = declare("scale-to-zero", "scaling to zero by a metric that the scaled pods report themselves")
UNKNOWN_METRIC_NAME: Final = declare("unknown-metric-name", "scaling by a metric that nothing reports")
SCALING_METRIC: Final = declare(
    "scaling-metric", "scaling a streaming service by a metric that does not follow its load"
)
UNREACHABLE_TARGET: Final = declare("unreachable-target", "scaling at a value that the metric never reaches")
REPLICAS_AND_SCALING: Final = declare("replicas-and-scaling", "a fixed number of replicas beside scaling")
STUCK_ROLLOUT: Final = declare("stuck-rollout", "a roll-out that may neither add nor miss a replica")
WORKLOAD_MISMATCH: Final = declare("workload-mismatch", "an engine in a workload that cannot hold it")
HOSTED_MISMATCH: Final = declare(
    "hosted-mismatch", "a hosted model where weights are needed, or a hosted engine without one"
)
GPUS_AND_RANKS: Final = declare("gpus-and-ranks", "a replica with another number of GPUs than ranks")
NO_GPU_POOL: Final = declare("no-gpu-pool", "GPUs that no machine of the environment has")
GPU_QUOTA: Final = declare("gpu-quota", "services that need more GPUs while one rolls out than the quota allows")
CUDA_DRIVER: Final = declare("cuda-driver", "an engine built for a newer CUDA than the machines' driver runs")
VOLUME_ACCESS: Final = declare("volume-access", "a volume that cannot be mounted, or written, where pods need it")
API_MISMATCH: Final = declare("api-mismatch", "a route, a pool and a picker that speak different API versions")

UNCOVERED_ROUTE: Final = declare("uncovered-route", "a way into or out of a service that its rails do not see")

# --- checks: chat templates and identity

INVALID_CHAT_TEMPLATE: Final = declare("invalid-chat-template", "a chat template that does not parse")
TEMPLATE_MISMATCH: Final = declare(
    "template-mismatch", "a model served with another chat template than it was trained on"
)
FLOATING_ALIAS: Final = declare("floating-alias", "a hosted model by a name that its provider moves")
REMOTE_CODE: Final = declare("remote-code", "code of a model repository that the project does not let in")

GATED_MODEL: Final = declare("gated-model", "weights or rows behind terms, in a project that names no token")

# --- checks: what an engine is asked to load

ADAPTER_NOT_SERVED: Final = declare("adapter-not-served", "an adapter that the service's engine or model cannot carry")
ADAPTER_RANK: Final = declare("adapter-rank", "an adapter of a higher rank than the engine's slots")
ADAPTER_FEATURES: Final = declare("adapter-features", "an adapter that changes more than an engine's slots hold")
DRAFT_VOCABULARY: Final = declare("draft-vocabulary", "a draft model that writes another vocabulary than its target")
UNSUPPORTED_ARCHITECTURE: Final = declare("unsupported-architecture", "an engine version that does not know the model")
UNKNOWN_ENGINE_VERSION: Final = declare(
    "unknown-engine-version", "an engine version of which nothing is known", severity=Severity.WARNING
)
UNSUITABLE_PARSER: Final = declare("unsuitable-parser", "a parser that the version does not have, or of another family")
MISSING_PARSER: Final = declare("missing-parser", "tools without a parser of the calls")
CONTEXT_TOO_LONG: Final = declare(
    "context-too-long", "an engine or a model that is said to read more than the weights do"
)
STARTUP_BUDGET: Final = declare("startup-budget", "weights that load for longer than a pod may take to start")
COMPRESSION: Final = declare("compression", "a model that cannot be compressed in the way that is asked")

# --- checks: GPUs, numbers and memory

UNKNOWN_GPU: Final = declare("unknown-gpu", "a GPU that the catalogue does not know, or that is several")
MISSING_GPU: Final = declare("missing-gpu", "an engine that needs a GPU, in a service that asks for none")
DTYPE_NOT_ON_GPU: Final = declare("dtype-not-on-gpu", "weights in a number format that the GPU does not compute in")
QUANTIZATION_NOT_ON_GPU: Final = declare("quantization-not-on-gpu", "a weight format without kernels for the GPU")
QUANTIZATION_MISMATCH: Final = declare("quantization-mismatch", "a weight format that the checkpoint is not in")
UNEVEN_SHARDS: Final = declare("uneven-shards", "a model whose parts the ranks do not divide evenly")
EXPERT_RANKS: Final = declare("expert-ranks", "experts that cannot be dealt out over the ranks")
EMPTY_STAGES: Final = declare("empty-stages", "a pipeline with more stages than the model has layers")
DOES_NOT_FIT: Final = declare("does-not-fit", "a model that does not fit into the GPUs' memory")
MARGINAL_FIT: Final = declare(
    "marginal-fit", "a model that fits only if the estimate is right to its last bit", severity=Severity.WARNING
)
MISSING_FACTS: Final = declare("missing-facts", "arithmetic that cannot be done", severity=Severity.WARNING)
TRAINING_MEMORY: Final = declare(
    "training-memory", "a training that is likely to need more memory than its GPUs have", severity=Severity.WARNING
)

YAML_RULES: Final[Mapping[str, Declared]] = MappingProxyType(
    {
        one.name: one
        for one in (
            NOT_UTF8,
            BIDI_CONTROL,
            MIXED_SCRIPT_KEY,
            YAML_SYNTAX,
            YAML_TAG,
            YAML_ANCHOR,
            YAML_MERGE_KEY,
            YAML_DIRECTIVE,
            YAML_TOO_LARGE,
            YAML_TOO_DEEP,
            YAML_TOO_MANY_NODES,
            DUPLICATE_KEY,
            NON_STRING_KEY,
            NON_FINITE_NUMBER,
        )
    }
)
"""What `compiler.yaml_reader` reports, by its rule."""

DECLARED: Final[tuple[Declared, ...]] = tuple(one for one in tuple(vars().values()) if isinstance(one, Declared))
"""In the order of this file."""


def all_declared() -> Mapping[DiagnosticName, Declared]:
    """Every kind of finding of the compiler by its name, sorted."""
    return {one.name: one for one in sorted(DECLARED, key=lambda one: one.name)}
