"""Chat templates: they are templates, and serving renders the one that training rendered.

Reports `invalid-chat-template`, `template-mismatch`. Templates are parsed, never rendered: they may be anybody's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from compiler.checks.question import FileCheck
from compiler.diagnostics.catalogue import INVALID_CHAT_TEMPLATE, TEMPLATE_MISMATCH
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.lineage import chat_template, lineage
from compiler.ports import Reader
from compiler.source import Span
from llmops_spec.model import Model
from llmops_spec.service import Service
from llmops_spec.training import Training

MAX_TEMPLATE_BYTES = 2**20
"""Published templates are below 100 KiB."""


def templates_parse(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for path, place in _named_templates(graph):
        problem = _problem(path, files)
        if problem is not None:
            yield INVALID_CHAT_TEMPLATE.at(
                place,
                f"`{path}` is not a chat template: {problem}",
                note="an engine reads it at the first chat request, and answers each one with an error",
                help="write it in Jinja as the model's card shows it",
            )


def _named_templates(graph: ResourceGraph) -> Iterator[tuple[str, Span]]:
    """Each template once, where it is named first."""
    seen: set[str] = set()
    for node, model in graph.of(Model):
        path = model.spec.chat_template
        if path is not None and path not in seen:
            seen.add(path)
            yield path, node.span("spec", "chatTemplate")
    for node, service in graph.of(Service):
        own = engine_template(node, service)
        if own is not None and own[0] not in seen:
            seen.add(own[0])
            yield own


def engine_template(node: ResourceNode, service: Service) -> tuple[str, Span] | None:
    """A template that the engine is told to use in place of the model's."""
    for name in ("vllm", "sglang"):
        engine = getattr(service.spec.engine, name)
        if engine is not None and engine.chat_template is not None:
            return engine.chat_template, node.span("spec", "engine", name, "chatTemplate")
    return None


def _problem(path: str, files: Reader) -> str | None:
    """What is wrong with a template's file; None where it parses, or where `missing-file` says that it is not there."""
    fact = files.fact(path)
    if fact is not None and fact.bytes > MAX_TEMPLATE_BYTES:
        return f"it is larger than {MAX_TEMPLATE_BYTES // 2**20} MiB"
    try:
        return _syntax_problem(files.read(path).decode())
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    except OSError:
        return None


def _syntax_problem(text: str) -> str | None:
    from jinja2 import TemplateSyntaxError

    try:
        unknown = next(_unknown_names(_parser().parse(text)), None)
    except TemplateSyntaxError as error:
        return f"line {error.lineno}: {(error.message or 'it does not parse').rstrip('.')}"
    except RecursionError:
        return "it is nested too deeply"
    return unknown if text.strip() else "it is empty"


def _unknown_names(node: Any) -> Iterator[str]:
    """What transformers does not have. Inside of a condition Jinja looks for filters and tests once they are needed."""
    from jinja2 import nodes

    for one in node.iter_child_nodes():
        if isinstance(one, (nodes.If, nodes.CondExpr)):
            continue
        if isinstance(one, (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            yield f"line {one.lineno}: engines load no other template, and it names another template"
        if isinstance(one, nodes.Filter) and one.name not in _parser().filters:
            yield f"line {one.lineno}: no filter is named `{one.name}`"
        if isinstance(one, nodes.Test) and one.name not in _parser().tests:
            yield f"line {one.lineno}: no test is named `{one.name}`"
        yield from _unknown_names(one)


@cache
def _parser() -> Any:
    """Parses what transformers renders: loop controls, and `generation` blocks around answers."""
    from jinja2 import Environment, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012  # the library's own form

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return Environment(extensions=[loopcontrols, Generation], trim_blocks=True, lstrip_blocks=True)  # noqa: S701  # parses only


def serving_renders_what_training_rendered(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        trained = _trained_template(graph, service.spec.model)
        served = _served_template(graph, node, service)
        if trained is None or served is None or _same(trained[0], served[0], files):
            continue
        yield TEMPLATE_MISMATCH.at(
            served[1],
            f"service `{node.name}` renders chats with `{served[0]}`, and its model was trained on `{trained[0]}`",
            label="served",
            related=[Label(span=trained[1], text="trained")],
            note="a model that sees other marks between messages than in training answers worse, and says nothing",
            help=f"serve with `{trained[0]}`, or train again with `{served[0]}`",
        )


def _trained_template(graph: ResourceGraph, name: str) -> tuple[str, Span] | None:
    """The template that the last training on chats rendered, and where it is named."""
    for model in lineage(graph, name).models:
        training = graph.get(Training, model.spec.from_.training)
        if training is None or training.spec.method == "pretrain":
            continue
        path, source = chat_template(graph, training.spec.base), lineage(graph, training.spec.base).chat_template_source
        node = graph.node(Model, source.metadata.name) if source is not None else None
        return (path, node.span("spec", "chatTemplate")) if path is not None and node is not None else None
    return None


def _served_template(graph: ResourceGraph, node: ResourceNode, service: Service) -> tuple[str, Span] | None:
    own = engine_template(node, service)
    if own is not None:
        return own
    path, source = chat_template(graph, service.spec.model), lineage(graph, service.spec.model).chat_template_source
    named = graph.node(Model, source.metadata.name) if source is not None else None
    return (path, named.span("spec", "chatTemplate")) if path is not None and named is not None else None


def _same(one: str, other: str, files: Reader) -> bool:
    """Equal paths or equal bytes; a file that is not there is reported elsewhere, and is no difference."""
    left, right = files.fact(one), files.fact(other)
    return one == other or left is None or right is None or left.digest == right.digest


CHECKS = (
    FileCheck(name="chat-template-parses", ask=templates_parse),
    FileCheck(name="chat-template-served", ask=serving_renders_what_training_rendered),
)
