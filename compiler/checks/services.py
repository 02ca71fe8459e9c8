"""Services: the smoke request that verifies a roll-out can be rendered.

Reports `smoke-variables`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.chains import REQUEST
from compiler.checks.question import GraphCheck
from compiler.diagnostics.catalogue import SMOKE_VARIABLES
from compiler.diagnostics.model import Diagnostic, Label
from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import ResourceGraph, ResourceNode
from llmops_spec.prompt import Prompt
from llmops_spec.service import Service


def smoke_requests_fill_the_prompt(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        if service.spec.steps:
            yield from _smoke_of_a_chain(node, service)
            continue
        prompt, written = graph.get(Prompt, service.spec.prompt), graph.node(Prompt, service.spec.prompt)
        if prompt is None or written is None:
            continue
        given, declared = service.spec.smoke, prompt.spec.variables
        for name in given.keys() - declared.keys():
            yield SMOKE_VARIABLES.at(
                node.key_span("spec", "smoke", name),
                f"`{name}` is not a variable of prompt `{written.name}`",
                related=[_declared_at(written)],
                help=did_you_mean(name, declared),
            )
        retrieval = service.spec.retrieval
        found = {retrieval.into} if retrieval is not None else set[str]()
        missing = sorted(declared.keys() - given.keys() - found)
        if missing and given.keys() <= declared.keys():  # a misspelled name is also a missing one
            listed = ", ".join(f"`{name}`" for name in missing)
            yield SMOKE_VARIABLES.at(
                node.key_span("spec", "smoke") if node.has("spec", "smoke") else node.span("spec", "prompt"),
                f"the smoke request of service `{node.name}` has no value for {listed}",
                related=[_declared_at(written)],
                note="a roll-out is verified by one request with these values",
                help=f"add `smoke: {{{', '.join(f'{name}: …' for name in missing)}}}`",
            )


def _smoke_of_a_chain(node: ResourceNode, service: Service) -> Iterator[Diagnostic]:
    """The values that a chain takes from its request, wherever in the chain."""
    sources = [source for step in service.spec.steps for source in step.inputs.values()]
    wanted = {source.partition(".")[2] for source in sources if source.startswith(f"{REQUEST}.")}
    given = service.spec.smoke
    steps = Label(span=node.key_span("spec", "steps"), text="the steps")
    for name in sorted(given.keys() - wanted):
        place = node.key_span("spec", "smoke", name)
        said = f"no step of service `{node.name}` takes `{REQUEST}.{name}`"
        yield SMOKE_VARIABLES.at(place, said, related=[steps], help=did_you_mean(name, wanted))
    missing = sorted(wanted - given.keys())
    if missing and given.keys() <= wanted:
        yield SMOKE_VARIABLES.at(
            node.key_span("spec", "smoke") if node.has("spec", "smoke") else node.key_span("spec", "steps"),
            f"the smoke request of service `{node.name}` has no value for {', '.join(f'`{one}`' for one in missing)}",
            note="a roll-out is verified by one request with these values",
            help=f"add `smoke: {{{', '.join(f'{name}: …' for name in missing)}}}`",
        )


def _declared_at(prompt: ResourceNode) -> Label:
    return Label(span=prompt.key_span("spec", "variables"), text="its variables")


CHECKS = (GraphCheck(name="smoke", ask=smoke_requests_fill_the_prompt),)
