"""Is it allowed? CEL rules judge every resource and every rendered object of one environment.

`CelPolicies` implements `compiler.ports.PolicyEngine`; the `govern` pass calls it. Pure.

Promises: a rule that breaks denies, whatever its severity; so does an empty set of rules, since it was meant to hold
some. What is computed from a poisoned resource stays silent, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from compiler.diagnostics.model import Severity
from compiler.graph import ResourceGraph, ResourceId, ResourceNode
from compiler.ports import Denial, KubernetesObject
from compiler.source import Span
from llmops_spec.digests import Json, digest
from llmops_spec.environment import Environment
from llmops_spec.kinds import KINDS
from policies.bindings import document_of, environment_of, plain, related_of, rendered_of
from policies.expressions import Bound, Broken
from policies.rules import ANY_OBJECT, Pack, Rule


@dataclass(frozen=True, kw_only=True)
class _Target:
    """One thing to judge."""

    id: str
    subject: str
    """How a message names it."""
    node: ResourceNode
    bound: Bound


class CelPolicies:
    """The rules of some packs. Ids must differ between packs."""

    def __init__(self, packs: Iterable[Pack]) -> None:
        """Raises: ValueError: two packs hold a rule of the same id."""
        self._packs = tuple(packs)
        self.rules: tuple[Rule, ...] = tuple(rule for pack in self._packs for rule in pack.rules)
        homes: dict[str, str] = {}
        for pack in self._packs:
            for rule in pack.rules:
                if rule.id in homes:
                    raise ValueError(f"rule `{rule.id}` stands in `{homes[rule.id]}` and in `{pack.name}`")
                homes[rule.id] = pack.name
        self._rules_of = {kind: [rule for rule in self.rules if kind in rule.kinds] for kind in KINDS}

    def digest(self) -> str:
        """Of all that can change an answer; the order of packs and rules, and their wording, cannot."""
        return digest([rule.deciding() for rule in sorted(self.rules, key=lambda one: one.id)])

    def judge(self, graph: ResourceGraph, objects: Sequence[KubernetesObject]) -> Iterable[Denial]:
        """Every rule that something does not keep: resources in the order of the graph, then objects as given."""
        environment = environment_of(graph)
        if not self.rules:
            yield _no_rules(graph)
            return
        yield from self._judge_resources(graph, environment, rendered_of(objects))
        yield from self._judge_objects(graph, environment, objects)

    def _judge_resources(
        self, graph: ResourceGraph, environment: dict[str, Json], rendered: dict[str, Json]
    ) -> Iterator[Denial]:
        documents: dict[ResourceId, dict[str, Json]] = {
            name: document_of(node.resource) for name, node in graph.nodes.items() if node.resource is not None
        }
        for name, node in graph.nodes.items():
            rules = self._rules_of[node.kind]
            if not rules or name not in documents or _is_other_environment(node, graph):
                continue
            related = related_of(node, documents)
            bindings: dict[str, Json] = {
                "resource": documents[name],
                "related": related,
                "environment": environment,
                "object": {},
                "rendered": rendered,
            }
            target = _Target(id=name, subject=f"{node.kind.lower()} `{node.name}`", node=node, bound=Bound(bindings))
            answerable = [rule for rule in rules if related is not None or "related" not in rule.variables]
            yield from _denials(answerable, target, graph)

    def _judge_objects(
        self, graph: ResourceGraph, environment: dict[str, Json], objects: Sequence[KubernetesObject]
    ) -> Iterator[Denial]:
        for one in objects:
            rules = [rule for rule in self.rules if one.kind in rule.objects or ANY_OBJECT in rule.objects]
            node = graph.nodes.get(ResourceId(one.source), graph.environment_node)
            bindings: dict[str, Json] = {
                "resource": {},
                "related": {},
                "environment": environment,
                "object": plain(one.body),
                "rendered": {},
            }
            target = _Target(id=node.id, subject=f"{one.kind} `{one.name}`", node=node, bound=Bound(bindings))
            yield from _denials(rules, target, graph)


def blocks(rule: Rule, tier: str) -> bool:
    """Whether breaking this rule denies in an environment of this tier, or warns."""
    return rule.severity in ("critical", "high") or (rule.severity == "medium" and tier == "production")


def answer(rule: Rule, bound: Bound) -> bool | Broken:
    """True where the rule is kept, or does not apply."""
    if rule.when is not None:
        applies = rule.when.holds(bound)
        if applies is not True:
            return True if applies is False else applies
    return rule.expression.holds(bound)


def _denials(rules: Iterable[Rule], target: _Target, graph: ResourceGraph) -> Iterator[Denial]:
    for rule in rules:
        said = answer(rule, target.bound)
        if said is not True:
            yield _denial(rule, target, graph, said)


def _denial(rule: Rule, target: _Target, graph: ResourceGraph, said: bool | Broken) -> Denial:  # noqa: FBT001  # a value
    broken = isinstance(said, Broken)
    denies = broken or blocks(rule, graph.environment.spec.tier)
    return Denial(
        rule=rule.id,
        resource=target.id,
        message=(
            f"rule `{rule.id}` broke on {target.subject}, which counts as a denial: {said.why}"
            if isinstance(said, Broken)
            else f"{target.subject} {rule.message}"
        ),
        span=_place(rule, target.node),
        severity=Severity.ERROR if denies else Severity.WARNING,
        help=rule.help,
        references=rule.references,
        broken=broken,
        environments=(graph.environment.metadata.name,),
    )


def _place(rule: Rule, node: ResourceNode) -> Span:
    if rule.objects:
        return node.span()
    return node.span(*next((path for path in rule.paths if node.has(*path)), rule.paths[0]))


def _is_other_environment(node: ResourceNode, graph: ResourceGraph) -> bool:
    return node.kind == Environment.KIND and node.id != graph.environment_node.id


def _no_rules(graph: ResourceGraph) -> Denial:
    return Denial(
        rule="no-rules",
        resource=graph.environment_node.id,
        message="no policy rule is in force, and nothing may pass unjudged",
        span=graph.environment_node.span(),
        severity=Severity.ERROR,
        help="name at least one policy pack",
        broken=True,
        environments=(graph.environment.metadata.name,),
    )
