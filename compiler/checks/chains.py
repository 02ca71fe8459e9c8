"""Chains: each step's variables are filled, from something that exists by then, with a value of the right type.

Reports `chain-step`, `chain-input`, `chain-type`, `chain-trust`, `chain-budget`, `missing-prompt`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler.checks.question import GraphCheck
from compiler.diagnostics.catalogue import (
    CHAIN_BUDGET,
    CHAIN_INPUT,
    CHAIN_STEP,
    CHAIN_TRUST,
    CHAIN_TYPE,
    MISSING_PROMPT,
)
from compiler.diagnostics.model import Diagnostic, Label
from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import ResourceGraph, ResourceNode
from compiler.source import Span
from llmops_spec.model import Model
from llmops_spec.prompt import Prompt, Variable
from llmops_spec.service import Service, Step

REQUEST = "request"
"""What callers send; a step must not have this name."""
ANSWER = "answer"
"""The whole answer of a step, as text."""


@dataclass(frozen=True, kw_only=True)
class _Source:
    """What an earlier step gives."""

    described: str
    type: str
    max_tokens: int
    place: Span


@dataclass(frozen=True, kw_only=True)
class _Input:
    """A variable of one step, and where its value is said to come from."""

    node: ResourceNode
    step: int
    name: str
    variable: Variable
    declared: ResourceNode
    """The prompt."""
    written: str

    @property
    def place(self) -> Span:
        return self.node.span("spec", "steps", self.step, "inputs", self.name)

    @property
    def declaration(self) -> Label:
        return Label(span=self.declared.key_span("spec", "variables", self.name), text="the variable")


def steps_have_names(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        seen: dict[str, int] = {}
        for index, step in enumerate(service.spec.steps):
            place = node.span("spec", "steps", index, "name")
            if step.name == REQUEST:
                said = f"a step of service `{node.name}` is called `{REQUEST}`, which means what the caller sends"
                yield CHAIN_STEP.at(place, said, help="rename the step")
            elif step.name in seen:
                yield CHAIN_STEP.at(
                    place,
                    f"two steps of service `{node.name}` are called `{step.name}`",
                    related=[Label(span=node.span("spec", "steps", seen[step.name], "name"), text="the first one")],
                    help="rename one of them: later steps take values by the name",
                )
            seen.setdefault(step.name, index)


def steps_have_served_models(graph: ResourceGraph) -> Iterator[Diagnostic]:
    """One engine answers every step: with the model that it loads, or an adapter on it; a provider has them all."""
    for node, service in graph.of(Service):
        engine, served = service.spec.engine, (service.spec.model, *service.spec.adapters)
        if engine.container is not None or engine.hosted is not None or graph.get(Model, service.spec.model) is None:
            continue
        for index, step in enumerate(service.spec.steps):
            if step.model is None or step.model in served or graph.get(Model, step.model) is None:
                continue
            yield CHAIN_STEP.at(
                node.span("spec", "steps", index, "model"),
                f"the engine of service `{node.name}` serves {', '.join(f'`{one}`' for one in served)}, and step"
                f" `{step.name}` asks for `{step.model}`",
                related=[Label(span=node.span("spec", "model"), text="what the engine loads")],
                help=f"remove `model` from the step, or serve `{step.model}` in `adapters` if it is one",
            )


def inputs_are_filled(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        for index, step in enumerate(service.spec.steps):
            prompt, declared = graph.get(Prompt, step.prompt), graph.node(Prompt, step.prompt)
            if prompt is None or declared is None:
                continue
            yield from _misfilled(node, index, step, prompt, declared)
            for name, written in step.inputs.items():
                variable = prompt.spec.variables.get(name)
                if variable is not None:
                    one = _Input(
                        node=node, step=index, name=name, variable=variable, declared=declared, written=written
                    )
                    yield from _value(graph, service, one)


def _misfilled(
    node: ResourceNode, index: int, step: Step, prompt: Prompt, declared: ResourceNode
) -> Iterator[Diagnostic]:
    """Inputs that the prompt does not have, and variables without an input."""
    variables = prompt.spec.variables
    place = Label(span=declared.key_span("spec", "variables"), text="its variables")
    unknown = step.inputs.keys() - variables.keys()
    for name in sorted(unknown):
        yield CHAIN_INPUT.at(
            node.key_span("spec", "steps", index, "inputs", name),
            f"`{name}` is not a variable of prompt `{declared.name}`",
            related=[place],
            help=did_you_mean(name, variables),
        )
    missing = sorted(variables.keys() - step.inputs.keys())
    if missing and not unknown:  # a misspelled name is also a missing one
        listed = ", ".join(f"`{name}`" for name in missing)
        yield CHAIN_INPUT.at(
            node.key_span("spec", "steps", index, "inputs")
            if step.inputs
            else node.span("spec", "steps", index, "prompt"),
            f"step `{step.name}` has no input for {listed} of prompt `{declared.name}`",
            related=[place],
            help=f"add `inputs: {{{', '.join(f'{name}: {REQUEST}.{name}' for name in missing)}}}`,"
            f" or the value of an earlier step: `STEP.{ANSWER}`",
        )


def _value(graph: ResourceGraph, service: Service, one: _Input) -> Iterator[Diagnostic]:
    """What is wrong with where one variable's value comes from."""
    origin, _, part = one.written.partition(".")
    if not part:
        said = f"`{one.written}` names no value"
        advice = f"write `{REQUEST}.NAME`, `STEP.{ANSWER}` or `STEP.FIELD`"
        yield CHAIN_INPUT.at(one.place, said, help=advice)
        return
    if origin == REQUEST:
        yield from _trusted(one, "what the caller sends")
        return
    names = [step.name for step in service.spec.steps]
    if origin not in names[: one.step]:
        yield _unknown_step(one, origin, names)
        return
    prompt = graph.get(Prompt, service.spec.steps[names.index(origin)].prompt)
    written = graph.node(Prompt, service.spec.steps[names.index(origin)].prompt)
    if prompt is None or written is None:
        return
    source = _given(prompt, written, part)
    if source is None:
        fields = {ANSWER, *prompt.spec.output.schema_}
        yield CHAIN_INPUT.at(
            one.place,
            f"the answer of step `{origin}` has no field `{part}`",
            related=[Label(span=written.key_span("spec", "output"), text="the answer's form")],
            help=did_you_mean(part, fields),
        )
        return
    yield from _trusted(one, source.described)
    yield from _typed(one, source)
    yield from _budgeted(one, source)


def _unknown_step(one: _Input, origin: str, names: list[str]) -> Diagnostic:
    if origin in names:
        when = "itself" if names.index(origin) == one.step else "a later step"
        said = f"step `{names[one.step]}` takes a value of `{origin}`, which is {when}"
        return CHAIN_INPUT.at(one.place, said, note="steps run in the order in which they are written")
    said = f"`{origin}` is not an earlier step"
    return CHAIN_INPUT.at(one.place, said, help=did_you_mean(origin, [REQUEST, *names[: one.step]]))


def _given(prompt: Prompt, written: ResourceNode, part: str) -> _Source | None:
    output = prompt.spec.output
    if part == ANSWER:
        place = written.span("spec", "output", "maxTokens")
        return _Source(
            described=f"the answer of prompt `{written.name}`",
            type="string",
            max_tokens=output.max_tokens,
            place=place,
        )
    field = output.schema_.get(part)
    if field is None:
        return None
    return _Source(
        described=f"`{part}` of prompt `{written.name}`",
        type=field.type,
        max_tokens=field.max_tokens or output.max_tokens,
        place=written.key_span("spec", "output", "schema", part),
    )


def _trusted(one: _Input, described: str) -> Iterator[Diagnostic]:
    if one.variable.trust == "trusted":
        yield CHAIN_TRUST.at(
            one.place,
            f"the trusted variable `{one.name}` is filled with {described}",
            label="untrusted text",
            related=[one.declaration],
            note="an answer can repeat whatever a caller or a document put into the question",
            help="declare the variable `trust: untrusted`, and use it in user messages only",
        )


def _typed(one: _Input, source: _Source) -> Iterator[Diagnostic]:
    if source.type == one.variable.type or (one.variable.type, source.type) == ("number", "integer"):
        return
    yield CHAIN_TYPE.at(
        one.place,
        f"variable `{one.name}` is of type {one.variable.type}, and {source.described} is of type {source.type}",
        related=[Label(span=source.place, text=f"type {source.type}"), one.declaration],
        help=f"declare `type: {source.type}` for the variable, or give the answer a `schema` with such a field",
    )


def _budgeted(one: _Input, source: _Source) -> Iterator[Diagnostic]:
    if source.max_tokens <= one.variable.max_tokens:
        return
    yield CHAIN_BUDGET.at(
        one.place,
        f"{source.described} may be {source.max_tokens} tokens long, and variable `{one.name}` takes"
        f" {one.variable.max_tokens}",
        related=[Label(span=source.place, text="the longest value"), one.declaration],
        note=f"{source.max_tokens} > {one.variable.max_tokens}: the gateway refuses what is longer, half-way through",
        help=f"set `maxTokens` of the variable to {source.max_tokens}, or shorten the answer",
    )


def offers_chats(service: Service) -> bool:
    """Whether an endpoint is answered by a model that writes."""
    return any(one not in ("embeddings", "rerank") for one in service.spec.api.endpoints)


def chats_have_a_prompt(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        model = graph.get(Model, service.spec.model)
        if service.spec.prompt is not None or service.spec.steps or not offers_chats(service):
            continue
        if model is not None and model.spec.task == "causal":
            yield MISSING_PROMPT.at(
                node.key_span("spec"),
                f"service `{node.name}` has neither a prompt nor steps",
                related=[Label(span=node.span("spec", "model"), text="a model that answers chats")],
                note="gates measure a model with its prompt; without one nothing can be measured",
                help="add `prompt: …`",
            )


CHECKS = (
    GraphCheck(name="chain-steps", ask=steps_have_names),
    GraphCheck(name="chain-models", ask=steps_have_served_models),
    GraphCheck(name="chain-inputs", ask=inputs_are_filled),
    GraphCheck(name="service-prompt", ask=chats_have_a_prompt),
)
