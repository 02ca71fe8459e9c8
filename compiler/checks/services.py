"""Services: the smoke request that verifies a roll-out can be rendered.

Reports `smoke-variables`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.question import GraphCheck
from compiler.diagnostics.catalogue import SMOKE_VARIABLES
from compiler.diagnostics.model import Diagnostic, Label
from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import ResourceGraph, ResourceNode
from llmops_spec.prompt import Prompt
from llmops_spec.service import Service


def smoke_requests_fill_the_prompt(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
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
        missing = sorted(declared.keys() - given.keys())
        if missing and given.keys() <= declared.keys():  # a misspelled name is also a missing one
            listed = ", ".join(f"`{name}`" for name in missing)
            yield SMOKE_VARIABLES.at(
                node.key_span("spec", "smoke") if node.has("spec", "smoke") else node.span("spec", "prompt"),
                f"the smoke request of service `{node.name}` has no value for {listed}",
                related=[_declared_at(written)],
                note="a roll-out is verified by one request with these values",
                help=f"add `smoke: {{{', '.join(f'{name}: …' for name in missing)}}}`",
            )


def _declared_at(prompt: ResourceNode) -> Label:
    return Label(span=prompt.key_span("spec", "variables"), text="its variables")


CHECKS = (GraphCheck(name="smoke", ask=smoke_requests_fill_the_prompt),)
