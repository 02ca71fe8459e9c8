"""What is sent to a model fits into its context, and chat messages can be rendered for it at all.

Reports `context-budget`, `missing-chat-template`, `missing-context-length`.
Budgets are declared tokens. Text of the template is bounded where the tokenizer is byte-level: no token is shorter
than a byte. For other tokenizers it is estimated, and the finding says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from compiler.checks.prompt_uses import PromptUse, prompt_uses
from compiler.checks.question import FileCheck, GraphCheck
from compiler.checks.template_size import TEXT, bytes_and_budgets
from compiler.diagnostics.catalogue import CONTEXT_BUDGET, MISSING_CHAT_TEMPLATE, MISSING_CONTEXT_LENGTH
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph
from compiler.lineage import Lineage, lineage
from compiler.ports import Reader
from compiler.source import Span
from llmops_spec.model import Model
from llmops_spec.prompt import Prompt
from llmops_spec.prompt_language import analyse
from llmops_spec.service import Service

BYTES_A_TOKEN = 4
"""Of English text under common vocabularies; used only where the tokenizer is not known."""
TOKENS_A_MESSAGE = 3
"""Start mark, line break and end mark that chat templates put around a role and a message."""
ANSWER_ROLE = "assistant"


def prompts_fit_the_context(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    """One finding for a prompt and a model that declares a context, however many resources put them together."""
    seen: set[tuple[str, str]] = set()
    for use in prompt_uses(graph):
        prompt, line = graph.get(Prompt, use.prompt), lineage(graph, use.model)
        limit = _limit(graph, files, use, line)
        if prompt is None or limit is None or (use.prompt, limit.key) in seen:
            continue
        if any(analyse(message.content).problems for message in prompt.spec.messages):
            continue
        seen.add((use.prompt, limit.key))
        yield from _over_budget(graph, use, prompt, limit, line)


@dataclass(frozen=True, kw_only=True)
class _Limit:
    """Tokens that prompt and answer share, and who says so."""

    tokens: int
    described: str
    place: Span
    key: str


def _limit(graph: ResourceGraph, files: Reader, use: PromptUse, line: Lineage) -> _Limit | None:
    """The model's context, or what the service's engine is told to serve of it, whichever is shorter."""
    source = line.context_source
    node = graph.node(Model, source.metadata.name) if source is not None else None
    context = source.spec.context_length if source is not None else None
    service = use.node.resource
    told = service.spec.engine.max_length if isinstance(service, Service) else None
    if told is not None and (context is None or told < context) and isinstance(service, Service):
        place = use.node.key_span("spec", "engine", service.spec.engine.name)
        said = f"the engine of service `{use.node.name}` serves {told}"
        return _Limit(tokens=told, described=said, place=place, key=f"service/{use.node.name}")
    if source is None or node is None or context is None:
        return _configured(graph, files, use.model, line)
    said = f"model `{source.metadata.name}` has a context of {context}"
    place = node.span("spec", "contextLength")
    return _Limit(tokens=context, described=said, place=place, key=f"model/{source.metadata.name}")


def _configured(graph: ResourceGraph, files: Reader, name: str, line: Lineage) -> _Limit | None:
    """What the weights' own configuration has positions for, where nobody declares a context."""
    if not line.whole or not (line.models[-1].spec.from_.path or line.models[-1].spec.from_.remote):
        return None
    from compiler.checks.model_facts import longest  # reads the catalogue of architectures

    found = longest(graph, files, name)
    if found is None:
        return None
    said = f"model `{name}` reads {found.tokens}, {found.said},"
    return _Limit(tokens=found.tokens, described=said, place=found.place, key=f"model/{line.models[-1].metadata.name}")


def _over_budget(
    graph: ResourceGraph, use: PromptUse, prompt: Prompt, limit: _Limit, line: Lineage
) -> Iterator[Diagnostic]:
    node = graph.node(Prompt, use.prompt)
    if node is None:
        return
    byte_level = line.scratch is not None
    parts = _parts(prompt, byte_level=byte_level)
    needed = sum(parts.values())
    if needed <= limit.tokens:
        return
    arithmetic = " + ".join(f"{tokens} {name}" for name, tokens in parts.items())
    reason = (
        "the tokenizer is byte-level, so text takes at most a token a byte"
        if byte_level
        else f"the tokenizer is not known here, so text is estimated at {BYTES_A_TOKEN} bytes a token"
    )
    yield CONTEXT_BUDGET.at(
        node.span("spec", "output", "maxTokens"),
        f"prompt `{node.name}` may need {needed} tokens, and {limit.described}",
        related=[
            Label(span=limit.place, text="the context"),
            Label(span=use.prompt_span(), text=f"{use.described} puts them together"),
        ],
        note=f"{arithmetic} = {needed} tokens > {limit.tokens}\n{reason}",
        help=f"take {needed - limit.tokens} tokens from the answer, the variables' `maxTokens` or the text",
    )


def _parts(prompt: Prompt, *, byte_level: bool) -> Counter[str]:
    """Tokens of each part of the longest exchange, in the order of reading."""
    budgets = {name: one.max_tokens for name, one in prompt.spec.variables.items()}
    total: Counter[str] = Counter()
    frame = 2  # begin and end of the sequence
    for role in (*(message.role for message in prompt.spec.messages), ANSWER_ROLE):
        frame += TOKENS_A_MESSAGE + (len(role) if byte_level else 1)
    for message in prompt.spec.messages:
        total.update(bytes_and_budgets(message.content, budgets))
    text = total.pop(TEXT, 0)
    parts = Counter({"text": text if byte_level else text // BYTES_A_TOKEN, "roles and marks": frame})
    parts.update({f"`{name}`": tokens for name, tokens in sorted(total.items()) if tokens})
    parts["answer"] = prompt.spec.output.max_tokens
    return parts


def chats_have_a_template(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    """One finding for each first model without a template, at the model: that is where it belongs."""
    reported: set[str] = set()
    for use in prompt_uses(graph):
        line = lineage(graph, use.model)
        if not line.whole or line.chat_template_source is not None or _brings_a_template(line, graph, files):
            continue
        first = line.models[-1]
        node = graph.node(Model, first.metadata.name)
        if node is None or first.metadata.name in reported or graph.get(Prompt, use.prompt) is None:
            continue
        reported.add(first.metadata.name)
        yield MISSING_CHAT_TEMPLATE.at(
            node.key_span("spec", "from"),
            f"model `{node.name}` has no chat template, and prompt `{use.prompt}` is a chat",
            related=[Label(span=use.model_span(), text=f"{use.described} sends it chat messages")],
            note="a chat template makes one text of the messages, the same in training and in serving",
            help="add `chatTemplate: <path of a Jinja file>`; models trained from this one inherit it",
        )


def _brings_a_template(line: Lineage, graph: ResourceGraph, files: Reader) -> bool:
    """Whether a model's own files may hold a template. Of remote ones that are not locked nothing is said."""
    for model in line.models:
        origin = model.spec.from_
        if origin.remote is not None:
            entry = graph.lock.model(model)
            if entry is None or entry.chat_template is not None:
                return True
        if origin.hosted is not None:
            return True
        if origin.path is None:
            continue
        folder = origin.path.rstrip("/")
        if files.fact(f"{folder}/chat_template.jinja") is not None:
            return True
        try:
            if b'"chat_template"' in files.read(f"{folder}/tokenizer_config.json"):
                return True
        except OSError:
            continue
    return False


def random_weights_have_a_context(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, model in graph.of(Model):
        if model.spec.from_.scratch is not None and model.spec.context_length is None:
            yield MISSING_CONTEXT_LENGTH.at(
                node.key_span("spec", "from", "scratch"),
                f"model `{node.name}` begins with random weights and does not say how long a sequence may be",
                help="add `contextLength: …` in tokens, beside `from`",
            )


CHECKS = (
    FileCheck(name="context-budget", ask=prompts_fit_the_context),
    FileCheck(name="chat-template", ask=chats_have_a_template),
    GraphCheck(name="context-length", ask=random_weights_have_a_context),
)
