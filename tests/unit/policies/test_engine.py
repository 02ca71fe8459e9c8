"""What the policy engine judges, what it says, and that it never lets through what it cannot judge."""

from __future__ import annotations

from importlib.resources import files

import pytest

from compiler.diagnostics.model import Severity
from compiler.ports import Denial, KubernetesObject
from policies.engine import CelPolicies
from policies.pack_reader import load_pack
from policies.rules import Pack

MODEL = "kind: Model\nmetadata: {name: base, owner: team}\nspec: {from: {path: weights}, licence: MIT}"
PROMPT = """\
kind: Prompt
metadata: {name: answer}
spec:
  messages: [{role: user, content: "{{ question }}"}]
  variables: {question: {maxTokens: 9}}
  output: {maxTokens: 9}"""
DATASET = """\
kind: Dataset
metadata: {name: chats, owner: team}
spec:
  columns: {question: {}, answer: {}}
  splits: {test: {path: rows.jsonl, rows: 9}}
  licence: CC0-1.0"""
EVALUATION = """\
kind: Evaluation
metadata: {name: eval}
spec:
  subject: {model: base, prompt: answer}
  dataset: chats
  splits: [test]
  metrics: [{name: exact-match}]"""
GATE = """\
kind: Gate
metadata: {name: quality, owner: team}
spec: {evaluation: eval, criteria: [{metric: exact-match, atLeast: 0.5}]}"""
SERVICE = """\
kind: Service
metadata: {name: support, owner: team}
spec: {model: base, prompt: answer, gates: [quality]}"""
SOUND = f"{MODEL}\n---\n{PROMPT}\n---\n{DATASET}\n---\n{EVALUATION}\n---\n{GATE}\n---\n{SERVICE}"


@pytest.fixture(scope="module")
def default() -> CelPolicies:
    return CelPolicies([load_pack("default.yaml", files("policies.packs").joinpath("default.yaml").read_bytes())])


def pack(expression: str, *, scope: str = "kinds: [Model]", severity: str = "low", more: str = "") -> Pack:
    return load_pack(
        "p.yaml",
        f"""\
formatVersion: 1
rules:
  - id: XX-01
    title: t
    severity: {severity}
    {scope}
    expression: {expression}
    {more}
    message: is wrong
    help: h
""".encode(),
    )


def said(found: list[Denial]) -> list[tuple[str, str, str, bool]]:
    return [(one.rule, one.resource, one.severity, one.broken) for one in found]


def test_a_sound_project_has_no_denial(default: CelPolicies, make_graph) -> None:
    assert list(default.judge(make_graph(SOUND), [])) == []


def test_a_denial_says_what_where_and_how_to_mend(default: CelPolicies, make_graph) -> None:
    graph = make_graph(
        SOUND.replace("spec: {model: base, prompt: answer, gates: [quality]}", "spec: {model: base, prompt: answer}")
    )
    [found] = default.judge(graph, [])
    assert (found.rule, found.resource, found.severity, found.broken) == (
        "QUA-01",
        "service/support",
        Severity.ERROR,
        False,
    )
    assert found.message == "service `support` has no gate, so anything could be served"
    node = graph.nodes["service/support"]
    assert found.span == node.span("metadata", "name")
    assert found.span.file == "spec.yaml"
    assert "`gates:`" in found.help
    assert found.references == ("NIST AI RMF MS 2.3", "NIST AI RMF MS 2.5")


def test_a_finding_stands_at_the_first_path_that_is_written(default: CelPolicies, make_graph) -> None:
    graph = make_graph(SOUND.replace("licence: MIT", "licence: unknown"))
    [found] = default.judge(graph, [])
    assert found.rule == "LIC-01"
    assert found.span == graph.nodes["model/base"].span("spec", "licence")


def test_a_production_service_needs_a_baseline_and_a_development_one_does_not(default: CelPolicies, make_graph) -> None:
    assert said(list(default.judge(make_graph(SOUND, tier="production"), []))) == [
        ("QUA-03", "service/support", "error", False)
    ]
    compared = SOUND.replace("atLeast: 0.5", "betterThan: {constant: majority-class}")
    assert list(default.judge(make_graph(compared, tier="production"), [])) == []
    assert list(default.judge(make_graph(SOUND, tier="staging"), [])) == []


@pytest.mark.parametrize(
    ("severity", "tier", "expected"),
    [
        ("critical", "development", "error"),
        ("high", "development", "error"),
        ("medium", "development", "warning"),
        ("medium", "staging", "warning"),
        ("medium", "production", "error"),
        ("low", "production", "warning"),
    ],
)
def test_severity_decides_by_tier(make_graph, severity: str, tier: str, expected: str) -> None:
    engine = CelPolicies([pack("'false'", severity=severity)])
    [found] = engine.judge(make_graph(MODEL, tier=tier), [])
    assert (found.severity, found.broken) == (expected, False)


@pytest.mark.parametrize(
    "expression",
    [
        "resource.spec.nothing == 1",
        "resource.metadata",
        "resource.metadata.name",
        "1 / (size(resource) - size(resource)) == 1",
        "related.base.spec.x == 1",
    ],
)
def test_a_rule_that_gives_no_boolean_denies_even_at_low_severity(make_graph, expression: str) -> None:
    [found] = CelPolicies([pack(f'"{expression}"')]).judge(make_graph(MODEL), [])
    assert (found.severity, found.broken) == (Severity.ERROR, True)
    assert found.message.startswith("rule `XX-01` broke on model `base`, which counts as a denial: ")
    assert len(found.message) > len("rule `XX-01` broke on model `base`, which counts as a denial: ")


def test_a_condition_that_breaks_denies_too(make_graph) -> None:
    engine = CelPolicies([pack("'true'", more="when: resource.spec.nothing == 1")])
    [found] = engine.judge(make_graph(MODEL), [])
    assert found.broken


def test_a_rule_whose_condition_is_false_is_kept(make_graph) -> None:
    assert list(CelPolicies([pack("'false'", more="when: 'false'")]).judge(make_graph(MODEL), [])) == []


def test_a_loop_above_the_budget_denies(make_graph) -> None:
    columns = ", ".join(f"c{i}: {{}}" for i in range(10_001))
    dataset = DATASET.replace("question: {}, answer: {}", columns)
    engine = CelPolicies([pack("resource.spec.columns.all(name, name != '')", scope="kinds: [Dataset]")])
    [found] = engine.judge(make_graph(dataset), [])
    assert found.broken
    assert "budget" in found.message


def test_no_rule_at_all_denies(make_graph) -> None:
    [found] = CelPolicies([]).judge(make_graph(SOUND), [])
    assert (found.severity, found.resource) == (Severity.ERROR, "environment/here")


def test_one_rule_cannot_change_what_the_next_sees(make_graph) -> None:
    engine = CelPolicies([pack("resource.metadata.name == 'base'")])
    graph = make_graph(SOUND)
    assert list(engine.judge(graph, [])) == list(engine.judge(graph, [])) == []


def test_poisoned_resources_and_what_is_computed_from_them_stay_silent(default: CelPolicies, make_graph) -> None:
    broken = SOUND.replace("atLeast: 0.5", "atLeast: high")
    graph = make_graph(broken, tier="production", sound=False)
    assert graph.nodes["gate/quality"].resource is None
    assert list(default.judge(graph, [])) == []


def test_a_missing_target_silences_only_rules_about_it(default: CelPolicies, make_graph) -> None:
    graph = make_graph(
        SOUND.replace("gates: [quality]", "gates: [qualitty]").replace("support, owner: team", "support"),
        tier="production",
        sound=False,
    )
    assert [one.rule for one in default.judge(graph, [])] == ["GOV-01"]


def test_only_the_environment_that_is_compiled_is_judged(default: CelPolicies, make_graph) -> None:
    other = """\
kind: Environment
metadata: {name: there}
spec: {target: {local: {}}, images: {runtime: a, engine: b}}"""
    assert list(default.judge(make_graph(SOUND + "\n---\n" + other), [])) == []


def deployment(image: str = "r/e@sha256:" + "0" * 64, **pod: object) -> KubernetesObject:
    container = {
        "name": "engine",
        "image": image,
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        **pod,
    }
    body = {"kind": "Deployment", "metadata": {"name": "support"}, "spec": {"template": {"spec": spec}}}
    return KubernetesObject(body=body, source="service/support")


def test_rendered_objects_are_judged_and_point_at_the_resource_they_come_from(default: CelPolicies, make_graph) -> None:
    graph = make_graph(SOUND)
    assert list(default.judge(graph, [deployment()])) == []
    [found] = default.judge(graph, [deployment(image="r/e:latest")])
    assert (found.rule, found.resource) == ("SEC-01b", "service/support")
    assert found.message.startswith("Deployment `support` runs an image by a tag")
    assert found.span == graph.nodes["service/support"].span()


def test_a_missing_security_context_and_a_host_path_are_found(default: CelPolicies, make_graph) -> None:
    found = default.judge(make_graph(SOUND), [deployment(securityContext={}, volumes=[{"name": "v", "hostPath": {}}])])
    assert [one.rule for one in found] == ["SEC-03", "SEC-04"]


def test_an_object_of_a_kind_that_nothing_judges_is_denied(default: CelPolicies, make_graph) -> None:
    binding = KubernetesObject(
        body={"kind": "ClusterRoleBinding", "metadata": {"name": "admin"}}, source="nothing/at-all"
    )
    [found] = default.judge(make_graph(SOUND), [binding])
    assert (found.rule, found.resource, found.severity) == ("SEC-20", "environment/here", Severity.ERROR)


CLUSTER = "{kubernetes: {namespace: llm}}"


def policy(spec: dict[str, object]) -> KubernetesObject:
    body = {"kind": "NetworkPolicy", "metadata": {"name": "deny", "namespace": "llm"}, "spec": spec}
    return KubernetesObject(body=body, source="environment/here")


def test_a_cluster_needs_a_policy_that_denies_by_default(default: CelPolicies, make_graph) -> None:
    graph = make_graph(SOUND, target=CLUSTER)
    deny = policy({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
    assert [one.rule for one in default.judge(graph, [deployment()])] == ["SEC-07"]
    assert list(default.judge(graph, [deployment(), deny])) == []
    # Where nothing could be rendered, that was reported elsewhere.
    assert list(default.judge(graph, [])) == []


def test_tuples_and_other_mappings_in_rendered_objects_are_judged_as_what_they_are(
    default: CelPolicies, make_graph
) -> None:
    deny = policy({"podSelector": {}, "policyTypes": ("Ingress", "Egress")})
    assert list(default.judge(make_graph(SOUND, target=CLUSTER), [deny])) == []


def test_two_packs_may_not_give_one_id_two_meanings() -> None:
    with pytest.raises(ValueError, match=r"`XX-01` stands in `p\.yaml` and in `p\.yaml`"):
        CelPolicies([pack("'true'"), pack("'false'")])


def test_the_digest_does_not_depend_on_the_order_of_packs(default: CelPolicies) -> None:
    one = load_pack("default.yaml", files("policies.packs").joinpath("default.yaml").read_bytes())
    two = pack("'true'")
    assert CelPolicies([one, two]).digest() == CelPolicies([two, one]).digest() != default.digest()


STEPS = (
    "kind: Prompt\nmetadata: {name: ask}\n"
    'spec: {messages: [{role: user, content: "Hello."}], output: {maxTokens: 8}}\n---\n'
    "kind: Service\nmetadata: {name: chain}\n"
    "spec: {model: base, steps: [{name: one, prompt: ask}, {name: two, prompt: ask}]}\n"
)


def test_fields_of_one_name_are_told_apart_by_what_holds_them(make_graph) -> None:
    rule = "\"size(related.stepsPrompt) == 2 && related.stepsPrompt[0].metadata.name == 'ask' && !has(related.prompt)\""
    engine = CelPolicies([pack(rule, scope="kinds: [Service]")])
    assert list(engine.judge(make_graph(f"{MODEL}\n---\n{STEPS}"), [])) == []
