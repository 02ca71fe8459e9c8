"""The steps that make artifacts, from data to decisions, with their keys: the same for every target.

Called by the `lower` pass on a sound graph. Every key is known here, before anything has run: an input that another
step makes enters by that step's key and output name, a file of the project by its digest. So a moved or renamed file,
a comment or a reordered document moves no key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from compiler.graph import ResourceGraph
from compiler.lineage import chat_template, context_length
from compiler.locked_files import locked_files, locked_rows
from compiler.plan import (
    ArtifactStep,
    CheckData,
    Decide,
    DecidePayload,
    Evaluate,
    Fetch,
    SourceFile,
    StepId,
    Train,
    TransformData,
    step_id,
)
from compiler.ports import Facts, Made, Reader, ServedPair
from llmops_spec.base import Resource, SpecModel
from llmops_spec.catalogue.versions import ENGINE, RECIPES, TRAIN
from llmops_spec.dataset import Column, Dataset, Split
from llmops_spec.digests import Json, digest
from llmops_spec.engine import Engine, TransformersEngine
from llmops_spec.evaluation import Evaluation, Subject
from llmops_spec.gate import Baseline, Gate
from llmops_spec.guardrail import Guardrail
from llmops_spec.model import Model
from llmops_spec.payloads.base import step_key
from llmops_spec.payloads.data import CheckDataPayload, CheckedSplit, Rows, TransformPayload
from llmops_spec.payloads.evaluation import ConstantSubject, EvaluatePayload
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload
from llmops_spec.payloads.training import RenderedPrompt, ScratchInput, StoredModel, TokenizerInput, TrainPayload
from llmops_spec.prompt import Prompt
from llmops_spec.service import Service
from llmops_spec.store import make_ref
from llmops_spec.training import Training

R = TypeVar("R", bound=Resource)

ROWS = "rows"
"""Output name of a split's rows; the ending says the format."""


def make_artifacts(graph: ResourceGraph, facts: Facts, files: Reader) -> Made:
    """Every artifact step of a sound graph, needs before what needs them, and what each service will run."""
    return _Maker(graph=graph, facts=facts, files=files).made()


@dataclass(kw_only=True)
class _Maker:
    """Builds steps once each, dependencies first."""

    graph: ResourceGraph
    facts: Facts
    files: Reader
    steps: dict[StepId, ArtifactStep] = field(default_factory=dict[StepId, ArtifactStep])

    def made(self) -> Made:
        for _, dataset in self.graph.of(Dataset):
            self._check_data(dataset)
        for _, training in self.graph.of(Training):
            self._train(training)
        for _, gate in self.graph.of(Gate):
            self._decide(gate)
        services = tuple(self._served(service) for _, service in self.graph.of(Service))
        return Made(steps=tuple(self.steps.values()), services=services)

    def _add(self, step: ArtifactStep) -> ArtifactStep:
        known = self.steps.setdefault(step_id(step), step)
        assert known.key == step.key, step_id(step)  # one id, one step
        return known

    # --- data

    def _fetch(self, name: str, sources: dict[str, SourceFile]) -> Fetch:
        """Bring files into the store, by output name."""
        files = dict(sorted(sources.items()))
        key = digest({"fetch": {output: one.digest for output, one in files.items()}})
        step = self._add(Fetch(name=name, key=key, files=files))
        assert isinstance(step, Fetch)
        return step

    def _source(self, path: str) -> SourceFile:
        fact = self.files.fact(path)
        assert fact is not None, path  # the check `missing-file` has passed
        return SourceFile(path=path, digest=fact.digest, bytes=fact.bytes)

    def _rows_file(self, dataset: Dataset, name: str, split: Split) -> SourceFile:
        if split.path is not None:
            return self._source(split.path)
        entry = self.graph.lock.split(dataset.metadata.name, name, split)
        assert entry is not None  # the check `unlocked-artifact` has passed
        return SourceFile(remote=locked_rows(entry), digest=entry.sha256, bytes=entry.bytes)

    def _raw_rows(self, dataset: Dataset, name: str, split: Split) -> tuple[Rows, StepId]:
        ending = "csv" if split.file.endswith(".csv") else "jsonl"
        output = f"{ROWS}.{ending}"
        fetched = self._fetch(f"{dataset.metadata.name}@{name}", {output: self._rows_file(dataset, name, split)})
        return Rows(ref=make_ref(fetched.key, output), format=ending), step_id(fetched)

    def _rows(self, dataset: Dataset, split_name: str) -> tuple[Rows, StepId]:
        """What readers of a split get: its rows after the dataset's transforms, and the step that makes them."""
        rows, made_by = self._raw_rows(dataset, split_name, dataset.spec.splits[split_name])
        redactions = [one.redact for one in dataset.spec.transforms if one.redact is not None]
        if not redactions:
            return rows, made_by
        payload = TransformPayload(
            splits={ROWS: rows},
            columns={name: Column(type=one.type) for name, one in dataset.spec.columns.items()},
            redact=redactions,
            recipe=RECIPES["transform"],
        )
        name = f"{dataset.metadata.name}@{split_name}"
        step = self._add(TransformData(name=name, key=step_key(payload), payload=payload, needs=[made_by]))
        return Rows(ref=make_ref(step.key, f"{ROWS}.jsonl")), step_id(step)

    def _check_data(self, dataset: Dataset) -> StepId:
        known = self.steps.get(f"check-data/{dataset.metadata.name}")
        if known is not None:
            return step_id(known)
        spec = dataset.spec
        splits: dict[str, CheckedSplit] = {}
        needs: list[StepId] = []
        for name, split in spec.splits.items():
            rows, made_by = self._raw_rows(dataset, name, split)
            splits[name] = CheckedSplit(rows=rows, declared_rows=split.rows, declared_clusters=split.clusters)
            needs.append(made_by)
        payload = CheckDataPayload(
            columns=spec.columns,
            splits=splits,
            item_column=spec.item_column,
            cluster_column=spec.cluster_column,
            input_columns=spec.input_columns,
            target_column=spec.target_column,
            limits=spec.limits,
            recipe=RECIPES["check-data"],
        )
        step = CheckData(name=dataset.metadata.name, key=step_key(payload), payload=payload, needs=needs)
        return step_id(self._add(step))

    # --- models

    def _train(self, training: Training) -> tuple[StepId, str]:
        """The step that runs a training, with its key."""
        spec = training.spec
        assert spec.method in ("pretrain", "full", "lora")  # every target refuses the others
        known = self.steps.get(f"train/{training.metadata.name}")
        if known is not None:
            return step_id(known), known.key
        dataset = self._get(Dataset, spec.dataset)
        rows, rows_from = self._rows(dataset, spec.split)
        scratch, base, weights_from = self._starting_weights(spec.base)
        payload = TrainPayload(
            method=spec.method,
            scratch=scratch,
            base=base,
            rows=rows,
            text_column=spec.text_column,
            prompt=RenderedPrompt.of(self._get(Prompt, spec.prompt).spec) if spec.prompt else None,
            target_column=dataset.spec.target_column if spec.prompt else None,
            hyper_parameters=spec.hyper_parameters,
            lora=spec.lora,
            seed=spec.seed,
            compute=spec.compute,
            recipe=RECIPES["train"],
            versions=self._versions(TRAIN),
        )
        needs = [rows_from, self._check_data(dataset), *weights_from]
        step = Train(name=training.metadata.name, key=step_key(payload), payload=payload, needs=_unique(needs))
        return step_id(self._add(step)), step.key

    def _starting_weights(self, model_name: str) -> tuple[ScratchInput | None, StoredModel | None, list[StepId]]:
        """What a training begins with: random weights to draw, or stored ones; and the steps that make it."""
        model = self._get(Model, model_name)
        scratch = model.spec.from_.scratch
        if scratch is None:
            stored, needs = self._weights(model_name)
            return None, stored, needs
        dataset = self._get(Dataset, scratch.tokenizer.dataset)
        rows, rows_from = self._rows(dataset, scratch.tokenizer.split)
        length = context_length(self.graph, model_name)
        assert length is not None  # the check `missing-context-length` has passed
        drawn = ScratchInput(
            llama=scratch.llama,
            tokenizer=TokenizerInput(
                vocabulary_size=scratch.tokenizer.vocabulary_size, rows=rows, columns=scratch.tokenizer.columns
            ),
            context_length=length,
            chat_template=self._text(chat_template(self.graph, model_name)),
            seed=scratch.seed,
        )
        return drawn, None, [rows_from]

    def _weights(self, model_name: str) -> tuple[StoredModel, list[StepId]]:
        """Where a model's weights lie once they are made, and the steps that make them."""
        model = self._get(Model, model_name)
        output = "adapter" if model.spec.adapter_of else "model"
        key, needs = self._made_weights(model, output)
        template = self._text(model.spec.chat_template)
        if model.spec.adapter_of is None:
            return StoredModel(model=make_ref(key, output), chat_template=template), needs
        base, base_needs = self._weights(model.spec.adapter_of)
        stored = StoredModel(
            model=base.model, adapter=make_ref(key, output), chat_template=template or base.chat_template
        )
        return stored, _unique([*base_needs, *needs])

    def _made_weights(self, model: Model, output: str) -> tuple[str, list[StepId]]:
        source = model.spec.from_
        if source.training is not None:
            made_by, key = self._train(self._get(Training, source.training))
            return key, [made_by]
        entry = self.graph.lock.model(model)
        files = locked_files(entry) if entry is not None else self._folder(source.path)
        fetched = self._fetch(model.metadata.name, {f"{output}/{name}": one for name, one in files.items()})
        return fetched.key, [step_id(fetched)]

    def _folder(self, path: str | None) -> dict[str, SourceFile]:
        """The files below a folder of the project, by their names in it."""
        assert path is not None  # scratch, unlocked, hosted or compressed: refused by checks and by the targets
        folder = f"{path.rstrip('/')}/"
        names = (one for one in self.files.list_files() if one.startswith(folder))
        return {one.removeprefix(folder): self._source(one) for one in names}

    # --- evaluations and decisions

    def _pair(self, subject: Subject, service: str) -> tuple[EnginePayload, GatewayPayload, list[StepId]]:
        """Engine and gateway of a system, as they run for an evaluation and for users alike."""
        weights, needs = self._weights(subject.model)
        engine = EnginePayload(
            model_name=subject.model,
            weights=weights,
            transformers=_transformers(subject.engine),
            versions=self._versions(ENGINE),
        )
        gateway = GatewayPayload(
            service=service,
            model_name=subject.model,
            prompt=self._get(Prompt, subject.prompt).spec,
            guardrails=[self._get(Guardrail, name).spec for name in subject.guardrails],
            requests=subject.requests,
        )
        return engine, gateway, needs

    def _evaluate(self, evaluation: Evaluation, baseline: Baseline | None) -> tuple[StepId, str]:
        """Measure the subject, or a baseline in its place. Returns the step and its record's store name."""
        spec = evaluation.spec
        dataset = self._get(Dataset, spec.dataset)
        splits = {name: self._rows(dataset, name) for name in spec.splits}
        needs = [made_by for _, made_by in splits.values()] + [self._check_data(dataset)]
        engine = gateway = constant = None
        if baseline is not None and baseline.constant is not None:
            rows, made_by = self._rows(dataset, "train")
            constant = ConstantSubject(training_rows=rows)
            needs.append(made_by)
        else:
            model = baseline.model if baseline is not None and baseline.model else spec.subject.model
            subject = spec.subject.model_copy(update={"model": model})
            engine, gateway, weights_from = self._pair(subject, service="subject")
            needs += weights_from
        prompt = self._get(Prompt, spec.subject.prompt)
        assert dataset.spec.target_column is not None  # the check `metric-without-target` has passed
        payload = EvaluatePayload(
            evaluation=evaluation.metadata.name,
            splits={name: rows for name, (rows, _) in splits.items()},
            item_column=dataset.spec.item_column,
            cluster_column=dataset.spec.cluster_column,
            target_column=dataset.spec.target_column,
            input_variables=sorted(prompt.spec.variables),
            metrics=spec.metrics,
            sampling=spec.sampling,
            draws=spec.draws,
            engine=engine,
            gateway=gateway,
            constant=constant,
            code=self._evaluation_code(evaluation),
        )
        name = evaluation.metadata.name + (f"@{baseline.label}" if baseline is not None else "")
        step = Evaluate(name=name, key=step_key(payload), payload=payload, needs=_unique(needs))
        return step_id(self._add(step)), make_ref(step.key, "record.jsonl")

    def _evaluation_code(self, evaluation: Evaluation) -> dict[str, str]:
        """Digests of our modules that take part in measuring: prompt language, rails in use, metrics in use."""
        subject = evaluation.spec.subject
        guardrails = [self._get(Guardrail, name).spec for name in subject.guardrails]
        rails = {rail.validator for one in guardrails for rail in (*one.input, *one.output)}
        areas = ["prompt-language", "serving", "measuring", *(f"rail:{one}" for one in rails)]
        areas += [f"metric:{one.name}" for one in evaluation.spec.metrics]
        return {area: self.facts.code[area] for area in sorted(areas)}

    def _decide(self, gate: Gate) -> StepId:
        known = self.steps.get(f"decide/{gate.metadata.name}")
        if known is not None:
            return step_id(known)
        evaluation = self._get(Evaluation, gate.spec.evaluation)
        measured, record = self._evaluate(evaluation, None)
        needs = [measured]
        baselines: dict[str, str] = {}
        for one in (criterion.baseline for criterion in gate.spec.criteria):
            if one is not None and one.label not in baselines:
                made_by, baselines[one.label] = self._baseline(gate, evaluation, one)
                needs.append(made_by)
        payload = DecidePayload(
            gate=gate.metadata.name,
            spec=gate.spec,
            record=record,
            baselines=baselines,
            subject=self._subject_facts(evaluation, gate),
            environment=self.graph.environment.metadata.name,
            policies=self.facts.policies,
            code={"statistics": self.facts.code["statistics"]},
        )
        step = Decide(name=gate.metadata.name, key=step_key(payload), payload=payload, needs=_unique(needs))
        return step_id(self._add(step))

    def _baseline(self, gate: Gate, evaluation: Evaluation, baseline: Baseline) -> tuple[StepId, str]:
        if baseline.record is None:
            return self._evaluate(evaluation, baseline)
        name = f"{gate.metadata.name}@baseline-{digest(baseline.record)[:8]}"
        fetched = self._fetch(name, {"record.jsonl": self._source(baseline.record)})
        return step_id(fetched), make_ref(fetched.key, "record.jsonl")

    def _subject_facts(self, evaluation: Evaluation, gate: Gate) -> dict[str, str]:
        """All that can change what users get, by name: a digest, or the store name of what another step makes."""
        subject = evaluation.spec.subject
        engine, gateway, _ = self._pair(subject, service="subject")
        dataset = self._get(Dataset, evaluation.spec.dataset)
        facts = {
            "model": engine.weights.model,
            "adapter": engine.weights.adapter or "none",
            "chat-template": digest({"text": engine.weights.chat_template}),
            "engine": digest(engine.key_view()),
            "prompt": digest(_plain(gateway.prompt)),
            "guardrails": digest([_plain(one) for one in gateway.guardrails]),
            "evaluation": digest(_plain(evaluation.spec)),
            "gate": digest(_plain(gate.spec)),
            "policies": self.facts.policies,
        }
        images = self.graph.environment.spec.images
        facts |= {"image": images.engine, "runtime-image": images.runtime} if images is not None else {}
        facts |= {f"data:{name}": self._rows(dataset, name)[0].ref for name in evaluation.spec.splits}
        return facts | {f"code:{area}": one for area, one in self._evaluation_code(evaluation).items()}

    # --- services

    def _served(self, service: Service) -> ServedPair:
        spec = service.spec
        assert spec.prompt is not None  # a service without one is refused by checks and by the targets
        subject = Subject(
            model=spec.model,
            prompt=spec.prompt,
            guardrails=spec.guardrails,
            engine=spec.engine,
            requests=spec.requests,
        )
        engine, gateway, needs = self._pair(subject, service=service.metadata.name)
        gates = tuple(self._decide(self._get(Gate, name)) for name in spec.gates)
        return ServedPair(
            service=service.metadata.name, engine=engine, gateway=gateway, gates=gates, needs=tuple(needs)
        )

    # --- small things

    def _get(self, kind: type[R], name: str | None) -> R:
        found = self.graph.get(kind, name)
        assert found is not None, name  # references were resolved
        return found

    def _versions(self, libraries: tuple[str, ...]) -> dict[str, str]:
        return {name: self.facts.versions[name] for name in libraries}

    def _text(self, path: str | None) -> str | None:
        return self.files.read(path).decode() if path is not None else None


def _transformers(engine: Engine) -> TransformersEngine:
    assert engine.transformers is not None  # every other engine is refused by every target
    return engine.transformers


def _plain(part: SpecModel) -> Json:
    return part.model_dump(by_alias=True, mode="json", exclude_defaults=True)


def _unique(ids: list[StepId]) -> list[StepId]:
    return list(dict.fromkeys(ids))
