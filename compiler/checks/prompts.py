"""Prompts: what a template may hold, and whether it, its declaration and the rows agree on the variables.

Reports `template-not-allowed`, `undeclared-variable`, `unused-variable`, `untrusted-in-system`,
`variable-not-a-column`, `variable-column-type`, `target-in-prompt`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.prompt_uses import prompt_uses
from compiler.checks.question import FileCheck, GraphCheck
from compiler.checks.template_places import place_of_line, place_of_variable
from compiler.diagnostics.catalogue import (
    TARGET_IN_PROMPT,
    TEMPLATE_NOT_ALLOWED,
    UNDECLARED_VARIABLE,
    UNTRUSTED_IN_SYSTEM,
    UNUSED_VARIABLE,
    VARIABLE_COLUMN_TYPE,
    VARIABLE_NOT_A_COLUMN,
)
from compiler.diagnostics.model import Diagnostic, Label
from compiler.diagnostics.suggestions import did_you_mean, nearest
from compiler.graph import ResourceGraph, ResourceNode
from compiler.ports import Reader
from llmops_spec.dataset import Dataset
from llmops_spec.prompt import Prompt, Variable
from llmops_spec.prompt_language import analyse


def templates_stay_in_the_language(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, prompt in graph.of(Prompt):
        for index, message in enumerate(prompt.spec.messages):
            template = node.span("spec", "messages", index, "content")
            for problem in analyse(message.content).problems:
                yield TEMPLATE_NOT_ALLOWED.at(
                    place_of_line(files, template, problem.line),
                    f"line {problem.line} of the template: {problem.message}",
                    note="a template that could call, index or compute could run away with the gateway",
                    help="compute the value before the request and pass it as a variable",
                )


def templates_use_what_is_declared(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, prompt in graph.of(Prompt):
        declared = prompt.spec.variables
        facts = [analyse(message.content) for message in prompt.spec.messages]
        for index, fact in enumerate(facts):
            template = node.span("spec", "messages", index, "content")
            for name in sorted(fact.variables - declared.keys()):
                yield UNDECLARED_VARIABLE.at(
                    place_of_variable(files, template, name),
                    f"prompt `{node.name}` uses `{name}`, which is not one of its variables",
                    label="used here",
                    help=did_you_mean(name, declared) or f"declare it: `variables: {{{name}: {{maxTokens: …}}}}`",
                )
        if any(fact.problems for fact in facts):
            continue  # what a refused template uses is not known
        used = frozenset[str]().union(*(fact.variables for fact in facts))
        used |= {meant for name in used - declared.keys() for meant in nearest(name, declared)}  # one slip, one finding
        for name in declared.keys() - used:
            yield UNUSED_VARIABLE.at(
                node.key_span("spec", "variables", name),
                f"no message of prompt `{node.name}` uses the variable `{name}`",
                label="declared here",
                note="callers must send it, and the model never sees it",
                help=f"write `{{{{ {name} }}}}` into a message, or remove the variable",
            )


def system_messages_are_trusted(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, prompt in graph.of(Prompt):
        untrusted = {name for name, one in prompt.spec.variables.items() if one.trust == "untrusted"}
        for index, message in enumerate(prompt.spec.messages):
            if message.role != "system":
                continue
            template = node.span("spec", "messages", index, "content")
            for name in sorted(analyse(message.content).variables & untrusted):
                yield UNTRUSTED_IN_SYSTEM.at(
                    place_of_variable(files, template, name),
                    f"the untrusted variable `{name}` enters a system message",
                    label="in a system message",
                    related=[Label(span=node.key_span("spec", "variables", name), text="untrusted")],
                    note="whoever fills it can give the model orders",
                    help="move it to a user message, or declare `trust: trusted` if only your own code fills it",
                )


def rows_fill_the_variables(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for use in prompt_uses(graph):
        prompt, dataset = graph.get(Prompt, use.prompt), graph.get(Dataset, use.dataset)
        prompt_node, dataset_node = graph.node(Prompt, use.prompt), graph.node(Dataset, use.dataset)
        if prompt is None or prompt_node is None or dataset is None or dataset_node is None:
            continue
        for name, variable in prompt.spec.variables.items():
            yield from _unfilled(name, variable, prompt_node, dataset, dataset_node)


def _unfilled(
    name: str, variable: Variable, prompt: ResourceNode, dataset: Dataset, rows: ResourceNode
) -> Iterator[Diagnostic]:
    """What is wrong with one variable and the column that should fill it. At the variable, since many may use it."""
    column = dataset.spec.columns.get(name)
    if column is None:
        yield VARIABLE_NOT_A_COLUMN.at(
            prompt.key_span("spec", "variables", name),
            f"variable `{name}` of prompt `{prompt.name}` is not a column of dataset `{rows.name}`",
            related=[Label(span=rows.key_span("spec", "columns"), text="its columns")],
            note="rows of that dataset fill the prompt in training and evaluation",
            help=did_you_mean(name, dataset.spec.columns),
        )
        return
    if name == dataset.spec.target_column:
        yield TARGET_IN_PROMPT.at(
            prompt.key_span("spec", "variables", name),
            f"prompt `{prompt.name}` shows the model `{name}`, which is the answer of dataset `{rows.name}`",
            related=[Label(span=rows.span("spec", "targetColumn"), text="the answer")],
            note="every score would measure copying",
            help="remove the variable, or choose another `targetColumn`",
        )
    if column.type != variable.type and (variable.type, column.type) != ("number", "integer"):
        yield VARIABLE_COLUMN_TYPE.at(
            prompt.span("spec", "variables", name, "type"),
            f"variable `{name}` is of type {variable.type}, and column `{name}` of dataset `{rows.name}` is"
            f" of type {column.type}",
            related=[Label(span=rows.span("spec", "columns", name, "type"), text="the column")],
            note="rows of that dataset fill the prompt in training and evaluation",
            help=f"declare `type: {column.type}` for the variable, or change the column",
        )


CHECKS = (
    FileCheck(name="prompt-templates", ask=templates_stay_in_the_language),
    FileCheck(name="prompt-variables", ask=templates_use_what_is_declared),
    FileCheck(name="prompt-trust", ask=system_messages_are_trusted),
    GraphCheck(name="prompt-rows", ask=rows_fill_the_variables),
)
