"""The resources of a new project, as typed values: what `examples/quickstart` writes by hand.

Called by `start`, which writes them as YAML. Every name is derived from the project's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmops.starting.carry import METRIC, Carried
from llmops.starting.columns import Task
from llmops.starting.kept import Kept
from llmops.starting.recipe import SEQUENCE_LENGTH, Recipe
from llmops_spec.base import Metadata, Resource
from llmops_spec.dataset import Column, Dataset, DatasetSpec, Redact, Split, Transform
from llmops_spec.digests import digest_bytes
from llmops_spec.environment import Environment, EnvironmentSpec, LocalTarget, Mlflow, Target, Tracking
from llmops_spec.evaluation import Evaluation, EvaluationSpec, MetricUse, Subject
from llmops_spec.gate import Gate, GateSpec
from llmops_spec.guardrail import Guardrail, GuardrailSpec, MaxLength, PersonalData, Rail
from llmops_spec.model import ByteLevelBpe, FromScratch, Llama, Model, ModelSource, ModelSpec
from llmops_spec.project import Project
from llmops_spec.prompt import Message, Prompt, PromptOutput, PromptSpec, Variable
from llmops_spec.service import Service, ServiceSpec
from llmops_spec.training import HyperParameters, Lora, Training, TrainingSpec

CHAT_TEMPLATE = "chat.jinja"
TRAIN_FILE, HELDOUT_FILE, CORPUS_FILE = "data/train.jsonl", "data/heldout.jsonl", "data/corpus.jsonl"
CORPUS_COLUMN = "text"
_SENTENCE = "This text goes on and on, far beyond all that the model has ever been measured with. "


@dataclass(frozen=True, kw_only=True)
class Identity:
    name: str
    owner: str
    licence: str

    def metadata(self, suffix: str = "", description: str = "") -> Metadata:
        name = f"{self.name}-{suffix}" if suffix else self.name
        return Metadata(name=name, owner=self.owner, description=description)

    def called(self, suffix: str) -> str:
        return f"{self.name}-{suffix}"


@dataclass(frozen=True, kw_only=True)
class Plans:
    """All that the resources are made from."""

    identity: Identity
    task: Task
    kept: Kept
    carried: Carried
    recipe: Recipe
    instruction: str
    labels: Sequence[str]
    corpus: Sequence[str]
    smoke: str


@dataclass(frozen=True, kw_only=True)
class SpecFile:
    path: str
    heading: tuple[str, ...]
    resources: tuple[Resource, ...]


def instruction_of(task: Task, kept: Kept) -> str:
    """The system message. Column names alone are in it, and those are plain words by now."""
    text, target = kept.input.replace("_", " "), kept.target.replace("_", " ")
    return f"Name the {target} of the {text}." if task == "label" else f"Give the {target} to the {text}."


def spec_files(plans: Plans) -> list[SpecFile]:
    """Every YAML file of the project."""
    return [
        _file("llmops.yaml", Project(metadata=plans.identity.metadata()), heading="The root of the project."),
        _file(
            "data.yaml",
            _rows(plans),
            _corpus(plans),
            heading="The rows, and the contract that `check-data` holds them to. The corpus is what the base model"
            " reads: texts alone, and no input stands with its target.",
        ),
        _file(
            "models.yaml",
            *_models(plans),
            heading="A tiny Llama: random weights, then trained on the corpus, then tuned on the rows.",
        ),
        _file(
            "prompts.yaml",
            _prompt(plans),
            heading="What the model is tuned on and asked in service. Give the training a prompt of its own to change"
            " the service's wording without training again.",
        ),
        _file("training.yaml", *_trainings(plans), heading="How the two trained models are made."),
        _file("rails.yaml", _rails(plans), heading="What may go in and out. Each rail proves itself on its canary."),
        _file("evaluation.yaml", _evaluation(plans), heading="What is measured, on rows that no training has seen."),
        _file(
            "gates.yaml",
            _gate(plans),
            heading="A bar is passed when the data show it: the one-sided 95 % bound, and not the estimate, must"
            f" reach it. {plans.carried.units} held out show {plans.carried.most_shown:.2f} at most.",
        ),
        _file("service.yaml", _service(plans), heading="What runs, once its gate has passed."),
        _file(
            "environments/local.yaml", _environment(plans), heading="This machine: processes on loopback, no cluster."
        ),
    ]


def _file(path: str, *resources: Resource, heading: str) -> SpecFile:
    import textwrap

    return SpecFile(path=path, heading=tuple(textwrap.wrap(heading, 115)), resources=resources)


def _rows(plans: Plans) -> Dataset:
    kept, made = plans.kept, plans.carried.split
    train, heldout = made.clusters(kept.cluster) if kept.cluster is not None else (None, None)
    return Dataset(
        metadata=plans.identity.metadata(),
        spec=DatasetSpec(
            licence=plans.identity.licence,
            columns={
                name: Column(type=one.type, required=one.required, personal_data=one.personal)
                for name, one in kept.columns.items()
            },
            item_column=kept.item,
            cluster_column=kept.cluster,
            input_columns=[kept.input],
            target_column=kept.target,
            splits={
                "train": Split(path=TRAIN_FILE, rows=len(made.train), clusters=train),
                "heldout": Split(path=HELDOUT_FILE, rows=len(made.heldout), clusters=heldout),
            },
            transforms=[Transform(redact=Redact(columns=kept.personal))] if kept.personal else [],
        ),
    )


def _corpus(plans: Plans) -> Dataset:
    personal = bool({plans.kept.input, plans.kept.target} & set(plans.kept.personal))
    return Dataset(
        metadata=plans.identity.metadata("corpus"),
        spec=DatasetSpec(
            licence=plans.identity.licence,
            columns={CORPUS_COLUMN: Column(personal_data=personal)},
            splits={"train": Split(path=CORPUS_FILE, rows=len(plans.corpus))},
            transforms=[Transform(redact=Redact(columns=[CORPUS_COLUMN]))] if personal else [],
        ),
    )


def _models(plans: Plans) -> list[Model]:
    called, licence = plans.identity.called, plans.identity.licence
    scratch = FromScratch(
        llama=Llama(
            hidden_size=192, layers=2, heads=4, key_value_heads=4, feed_forward_size=512, initializer_range=0.07
        ),
        tokenizer=ByteLevelBpe(
            vocabulary_size=plans.recipe.vocabulary_size, dataset=called("corpus"), columns=[CORPUS_COLUMN]
        ),
    )
    context, template = plans.recipe.context_length, CHAT_TEMPLATE
    tiny = _from(ModelSource(scratch=scratch), licence, context_length=context, chat_template=template)
    base = _from(ModelSource(training=called("pretrain")), licence)
    tuned = _from(ModelSource(training=called("tune")), licence, adapter_of=called("base"))
    return [
        Model(metadata=plans.identity.metadata("tiny"), spec=tiny),
        Model(metadata=plans.identity.metadata("base"), spec=base),
        Model(metadata=plans.identity.metadata("lora"), spec=tuned),
    ]


def _from(
    source: ModelSource,
    licence: str,
    *,
    context_length: int | None = None,
    chat_template: str | None = None,
    adapter_of: str | None = None,
) -> ModelSpec:
    return ModelSpec(
        from_=source,  # pyright: ignore[reportCallIssue]  # pydantic takes the field's name beside its alias
        licence=licence,
        context_length=context_length,
        chat_template=chat_template,
        adapter_of=adapter_of,
    )  # pyright: ignore[reportCallIssue]


def _prompt(plans: Plans) -> Prompt:
    column = plans.kept.input
    return Prompt(
        metadata=plans.identity.metadata("prompt"),
        spec=PromptSpec(
            messages=[
                Message(role="system", content=plans.instruction),
                Message(role="user", content="{{ " + column + " }}"),
            ],
            variables={column: Variable(max_tokens=plans.recipe.input_tokens)},
            output=PromptOutput(max_tokens=plans.recipe.output_tokens, labels=list(plans.labels)),
        ),
    )


def _trainings(plans: Plans) -> list[Training]:
    called, sizes = plans.identity.called, plans.recipe
    pretrain = HyperParameters(
        learning_rate=0.003,
        steps=sizes.pretrain_steps,
        batch_size=16,
        sequence_length=SEQUENCE_LENGTH,
        warmup_steps=12,
        weight_decay=0.05,
        adam_beta2=0.98,
        final_learning_rate_ratio=0.05,
    )
    tune = HyperParameters(
        learning_rate=0.005,
        steps=sizes.tune_steps,
        batch_size=sizes.tune_batch,
        sequence_length=sizes.context_length,
        warmup_steps=20,
        adam_beta2=0.98,
    )
    return [
        Training(
            metadata=plans.identity.metadata("pretrain"),
            spec=TrainingSpec(
                base=called("tiny"),
                dataset=called("corpus"),
                method="pretrain",
                text_column=CORPUS_COLUMN,
                hyper_parameters=pretrain,
            ),
        ),
        Training(
            metadata=plans.identity.metadata("tune"),
            spec=TrainingSpec(
                base=called("base"),
                dataset=plans.identity.name,
                method="lora",
                prompt=called("prompt"),
                lora=Lora(rank=16, alpha=32, saved_modules=["embed_tokens"]),
                hyper_parameters=tune,
            ),
        ),
    ]


def _rails(plans: Plans) -> Guardrail:
    limit = plans.recipe.input_characters
    return Guardrail(
        metadata=plans.identity.metadata("rails"),
        spec=GuardrailSpec(
            input=[
                Rail(
                    max_length=MaxLength(characters=limit),
                    on_error="closed",
                    canary=_SENTENCE * (limit // len(_SENTENCE) + 1),
                    benign="This text is short.",
                ),
                Rail(
                    personal_data=PersonalData(),
                    on_fail="redact",
                    on_error="closed",
                    canary="Write to me at jo@example.org about it.",
                    benign="Write to me about it.",
                ),
            ],
            output=[
                Rail(
                    personal_data=PersonalData(),
                    on_error="closed",
                    canary="Call 030 1234 5678 for help.",
                    benign="Call for help.",
                )
            ],
        ),
    )


def _subject(plans: Plans) -> Subject:
    called = plans.identity.called
    return Subject(model=called("lora"), prompt=called("prompt"), guardrails=[called("rails")])


def _evaluation(plans: Plans) -> Evaluation:
    metrics = [MetricUse(name="label-accuracy" if plans.task == "label" else "rouge-l")]
    if plans.task == "answer":
        metrics.append(MetricUse(name="exact-match"))
    return Evaluation(
        metadata=plans.identity.metadata("eval"),
        spec=EvaluationSpec(
            subject=_subject(plans),
            dataset=plans.identity.name,
            splits=["heldout"],
            metrics=[*metrics, MetricUse(name="latency-seconds")],
        ),
    )


def _gate(plans: Plans) -> Gate:
    what = f"Shown better on {METRIC[plans.task]} than "
    baseline = "always answering the commonest label." if plans.task == "label" else "the untuned base."
    return Gate(
        metadata=plans.identity.metadata("quality", what + baseline),
        spec=GateSpec(evaluation=plans.identity.called("eval"), criteria=plans.carried.criteria),
    )


def _service(plans: Plans) -> Service:
    subject = _subject(plans)
    return Service(
        metadata=plans.identity.metadata(),
        spec=ServiceSpec(
            model=subject.model,
            prompt=subject.prompt,
            guardrails=subject.guardrails,
            gates=[plans.identity.called("quality")],
            smoke={plans.kept.input: plans.smoke},
        ),
    )


def _port(name: str) -> int:
    """A port of the project's own, by its name, so that two projects on one machine seldom want the same."""
    return 8100 + int(digest_bytes(name.encode())[:6], 16) % 800


def _environment(plans: Plans) -> Environment:
    return Environment(
        metadata=Metadata(name="local", owner=plans.identity.owner),
        spec=EnvironmentSpec(
            target=Target(local=LocalTarget(gateway_port=_port(plans.identity.name))),
            tracking=Tracking(mlflow=Mlflow(experiment=plans.identity.name)),
        ),
    )
