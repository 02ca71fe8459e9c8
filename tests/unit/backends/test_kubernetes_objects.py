"""What is rendered for a cluster: valid, walled in, and carrying exactly what a local run is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from backends.kubernetes.pods import USER_ID
from compiler.plan import Decide, Provision, Record, RollOut, Verify, step_id
from llmops_spec.payloads.base import payload_bytes, step_key
from llmops_spec.payloads.data import CheckDataPayload
from llmops_spec.payloads.evaluation import EvaluatePayload
from llmops_spec.payloads.training import TrainPayload

EXAMPLE = Path(__file__).parents[3] / "examples" / "quickstart"
PAYLOADS = {"check-data": CheckDataPayload, "train": TrainPayload, "evaluate": EvaluatePayload}


def pods(compiled):
    for body in (*compiled.jobs, *compiled.standing):
        if body["kind"] in ("Job", "Deployment"):
            yield body, body["spec"]["template"]["spec"]


def containers(spec):
    return [*spec.get("initContainers", []), *spec["containers"]]


@pytest.mark.parametrize("version", ["1.31", "1.34", "1.37"])
def test_every_object_passes_the_strict_schema(staging, schema_errors, version):
    bodies = [*staging.jobs, *staging.standing]
    assert {one["kind"] for one in bodies} >= {
        "Job",
        "ConfigMap",
        "Deployment",
        "Service",
        "NetworkPolicy",
        "Namespace",
    }
    assert [error for body in bodies for error in schema_errors(body, version)] == []


def test_an_unknown_field_would_be_noticed(staging, schema_errors):
    body = json.loads(json.dumps(staging.one("Deployment", "support-gateway")))
    body["spec"]["template"]["spec"]["containers"][0]["imagePulPolicy"] = "Always"
    assert schema_errors(body, "1.34")


def test_files_hold_the_objects_in_order(staging):
    bodies = [*staging.jobs, *staging.standing]
    assert [yaml.safe_load(staging.files[path]) for path in sorted(staging.files)] == bodies
    assert next(iter(staging.files)).startswith("jobs/01-configmap-check-data-")
    assert any(path.startswith("standing/01-namespace-support-staging") for path in staging.files)


def test_compiling_again_gives_equal_bytes_and_so_does_another_order_of_documents(staging, spec):
    spec.documents.reverse()
    assert spec.compile().files == staging.files


def test_every_pod_is_restricted(staging):
    found = list(pods(staging))
    assert len(found) > 5
    for body, spec in found:
        assert spec["automountServiceAccountToken"] is False, body["metadata"]["name"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        for one in containers(spec):
            security = one["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["readOnlyRootFilesystem"] is True
            assert one["resources"]["limits"]["memory"] == one["resources"]["requests"]["memory"]
            mounts = {mount["name"] for mount in one["volumeMounts"]}
            assert mounts <= {volume["name"] for volume in spec["volumes"]}


def test_processes_of_a_pod_share_nothing_that_can_be_written(staging):
    job = staging.one("Job", f"evaluate-{_evaluation(staging).key[:16]}")
    spec = job["spec"]["template"]["spec"]
    writable = [
        mount["name"]
        for one in containers(spec)
        for mount in one["volumeMounts"]
        if not mount.get("readOnly", False) and mount["name"] != "store"
    ]
    assert len(writable) == len(set(writable)) == 9
    stores = {
        one["name"]: [m["readOnly"] for m in one["volumeMounts"] if m["name"] == "store"] for one in containers(spec)
    }
    assert stores == {"engine": [True], "gateway": [], "evaluate": [False]}


def _evaluation(compiled):
    return next(one for one in compiled.lowered.steps if step_id(one) == "evaluate/support-eval")


def test_jobs_carry_the_payload_file_under_the_key_of_its_step(staging):
    steps = [one for one in staging.lowered.steps if one.kind in PAYLOADS]
    assert len([one for one in staging.jobs if one["kind"] == "Job"]) == len(steps) > 4
    for step in steps:
        name = f"{step.kind}-{step.key[:16]}"
        job, config = staging.one("Job", name), staging.one("ConfigMap", name)
        assert config["data"]["payload.json"].encode() == payload_bytes(step.payload)
        read = PAYLOADS[step.kind].model_validate_json(config["data"]["payload.json"])
        assert step_key(read) == step.key == job["metadata"]["annotations"]["llmops.dev/step-key"]
        task = job["spec"]["template"]["spec"]["containers"][0]
        assert task["command"] == ["python", "-I", "-m", "llmops_runtime", step.kind]
        assert task["args"] == ["--payload", "/payload/payload.json", "--result", "/result/result.json"]
        assert {"name": "LLMOPS_STORE", "value": "file:/store"} in task["env"]
        volumes = {one["name"]: one for one in job["spec"]["template"]["spec"]["volumes"]}
        assert volumes["payload"]["configMap"]["name"] == name
        assert volumes["store"]["persistentVolumeClaim"]["claimName"] == "llmops-store"


def test_neither_fetch_nor_decide_is_a_job(staging):
    assert {"fetch", "decide"} <= {one.kind for one in staging.lowered.steps}
    assert {
        one["spec"]["template"]["spec"]["containers"][0]["name"] for one in staging.jobs if one["kind"] == "Job"
    } == set(PAYLOADS)


def test_an_evaluation_starts_its_candidate_beside_it_and_asks_the_gateway(staging):
    step = _evaluation(staging)
    spec = staging.one("Job", f"evaluate-{step.key[:16]}")["spec"]["template"]["spec"]
    engine, gateway = spec["initContainers"]
    assert (engine["name"], gateway["name"]) == ("engine", "gateway")
    for one in (engine, gateway):
        assert one["restartPolicy"] == "Always"
        assert one["startupProbe"]["httpGet"]["path"] == "/health"
    env = {one["name"]: {e["name"]: e["value"] for e in one["env"]} for one in containers(spec)}
    assert env["gateway"]["LLMOPS_ENGINE_URL"] == f"http://127.0.0.1:{engine['ports'][0]['containerPort']}"
    assert env["evaluate"]["LLMOPS_GATEWAY_URL"] == f"http://127.0.0.1:{gateway['ports'][0]['containerPort']}"
    data = staging.one("ConfigMap", f"evaluate-{step.key[:16]}")["data"]
    assert data["engine.json"].encode() == payload_bytes(step.payload.engine)
    assert data["gateway.json"].encode() == payload_bytes(step.payload.gateway)
    assert engine["args"][1] == "/payload/engine.json"


def test_a_constant_baseline_needs_no_processes_beside_it(spec):
    criteria = spec.document("Gate", "support-quality")["spec"]["criteria"]
    criteria.append({"metric": "exact-match", "betterThan": {"constant": "majority-class"}})
    compiled = spec.compile()
    step = next(one for one in compiled.lowered.steps if one.kind == "evaluate" and one.payload.constant)
    job = compiled.one("Job", f"evaluate-{step.key[:16]}")
    assert "initContainers" not in job["spec"]["template"]["spec"]
    assert set(compiled.one("ConfigMap", f"evaluate-{step.key[:16]}")["data"]) == {"payload.json"}


def test_services_are_reached_inside_the_cluster_alone(staging):
    services = [one for one in staging.standing if one["kind"] == "Service"]
    assert [one["spec"]["type"] for one in services] == ["ClusterIP", "ClusterIP"]
    for service in services:
        deployment = staging.one("Deployment", service["metadata"]["name"])
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_walls_let_through_clients_to_gateway_to_engine_and_nothing_else(staging):
    walls = {one["metadata"]["name"]: one["spec"] for one in staging.standing if one["kind"] == "NetworkPolicy"}
    assert set(walls) == {"default-deny", "support-engine", "support-gateway"}
    denied = walls["default-deny"]
    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}
    engine, gateway = walls["support-engine"], walls["support-gateway"]
    assert engine["egress"] == []
    assert engine["ingress"][0]["from"] == [{"podSelector": gateway["podSelector"]}]
    assert gateway["ingress"][0]["from"] == [{"podSelector": {"matchLabels": {"llmops.dev/client": "true"}}}]
    assert {"podSelector": engine["podSelector"]} in gateway["egress"][1]["to"]
    assert [one["port"] for one in gateway["egress"][0]["ports"]] == [53, 53]
    for role, wall in (("engine", engine), ("gateway", gateway)):
        name = next(
            one["metadata"]["name"]
            for one in staging.standing
            if one["kind"] == "Deployment" and one["metadata"]["name"].startswith(f"support-{role}")
        )
        deployment = staging.one("Deployment", name)
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert wall["podSelector"]["matchLabels"].items() <= labels.items()
        port = deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]
        assert [one["port"] for one in wall["ingress"][0]["ports"]] == [port]


def _names(compiled, kind):
    return [one["metadata"]["name"] for one in compiled.standing if one["kind"] == kind]


def test_an_engine_of_another_revision_stands_beside_and_the_gateway_moves_over(staging, spec, new_spec):
    other_weights = spec.set("Training", "support-tune", "spec.hyperParameters.learningRate", 0.001).compile()
    assert _names(staging, "Deployment")[0] != _names(other_weights, "Deployment")[0]
    assert _names(staging, "Deployment")[1] == _names(other_weights, "Deployment")[1] == "support-gateway"
    url = {
        e["name"]: e["value"]
        for e in other_weights.one("Deployment", "support-gateway")["spec"]["template"]["spec"]["containers"][0]["env"]
    }["LLMOPS_ENGINE_URL"]
    assert url == f"http://{_names(other_weights, 'Deployment')[0]}:8000"
    refused = new_spec().set("Guardrail", "support-rails", "spec.refusal", "No.").compile()
    assert _names(staging, "Deployment") == _names(refused, "Deployment")
    assert _names(staging, "ConfigMap")[0] == _names(refused, "ConfigMap")[0]
    assert _names(staging, "ConfigMap")[1] != _names(refused, "ConfigMap")[1]


def test_nothing_is_provisioned_before_every_decision(staging):
    steps = staging.lowered.steps
    provision = next(one for one in steps if isinstance(one, Provision))
    assert {step_id(one) for one in steps if isinstance(one, Decide)} <= set(provision.needs)
    roll_out = next(one for one in steps if isinstance(one, RollOut))
    assert roll_out.gates == ["decide/support-quality", "decide/support-safety"]
    assert step_id(provision) in roll_out.needs
    verify = next(one for one in steps if isinstance(one, Verify))
    assert verify.variables == {"question": "How do I change the units?"}
    assert isinstance(steps[-1], Record)
    done: set[str] = set()
    for step in steps:
        assert set(step.needs) <= done, step_id(step)
        done.add(step_id(step))


def test_a_change_of_what_stands_is_another_revision(staging, spec):
    changed = spec.set("Service", "support", "spec.resources.memory", "6Gi")
    changed.document("Environment", "staging")["spec"]["overrides"]["Service"]["support"]["resources"] = {
        "memory": "6Gi"
    }
    before = {step_id(one): one.revision for one in staging.lowered.steps if hasattr(one, "revision")}
    after = {step_id(one): one.revision for one in changed.compile().lowered.steps if hasattr(one, "revision")}
    assert before.keys() == after.keys()
    assert not {key for key in before if before[key] == after[key]}


def test_graphics_cards_are_asked_for_where_they_are_used(spec):
    spec.set("Training", "support-tune", "spec.compute", {"device": "cuda"})
    spec.set("Service", "support", "spec.engine", {"transformers": {"device": "cuda"}})
    spec.set("Evaluation", "support-eval", "spec.subject.engine", {"transformers": {"device": "cuda"}})
    asked = {
        (body["metadata"]["name"].rsplit("-", 1)[0], one["name"])
        for body, pod in pods(spec.compile())
        for one in containers(pod)
        if one["resources"]["limits"].get("nvidia.com/gpu") == "1"
    }
    assert asked == {("train", "train"), ("evaluate", "engine"), ("support-engine", "engine")}


def test_a_tracking_server_is_named_to_trainings_and_let_through_for_them_alone(spec):
    spec.set("Environment", "staging", "spec.tracking", {"mlflow": {"uri": "http://mlflow.tracking:5000"}})
    compiled = spec.compile()
    for body, pod in pods(compiled):
        env = {one["name"] for container in containers(pod) for one in container["env"]}
        assert ("LLMOPS_TRACKING_URI" in env) == body["metadata"]["name"].startswith("train-")
    wall = compiled.one("NetworkPolicy", "training-tracking")["spec"]
    assert wall["podSelector"]["matchLabels"] == {"llmops.dev/task": "train"}
    assert wall["egress"][1] == {"ports": [{"port": 5000, "protocol": "TCP"}]}
    trained = next(body for body, _ in pods(compiled) if body["metadata"]["name"].startswith("train-"))
    assert trained["spec"]["template"]["metadata"]["labels"]["llmops.dev/task"] == "train"


def test_a_tracking_token_is_a_key_of_a_secret_that_trainings_alone_are_given(spec):
    token = {"kubernetesSecret": {"name": "mlflow", "key": "token"}}
    spec.set("Environment", "staging", "spec.tracking", {"mlflow": {"uri": "http://mlflow:5000", "token": token}})
    compiled = spec.compile()
    for body, pod in pods(compiled):
        given = [one for container in containers(pod) for one in container["env"] if "valueFrom" in one]
        is_training = body["metadata"]["name"].startswith("train-")
        assert [one["name"] for one in given] == (["MLFLOW_TRACKING_TOKEN"] if is_training else [])
        for one in given:
            assert one["valueFrom"] == {"secretKeyRef": {"name": "mlflow", "key": "token", "optional": False}}
    names = {body["metadata"]["name"] for body in compiled.jobs}
    spec.set("Environment", "staging", "spec.tracking.mlflow.token.kubernetesSecret.key", "other")
    assert {body["metadata"]["name"] for body in spec.compile().jobs} == names  # keys know nothing of secrets


@pytest.mark.parametrize("token", [{"env": "TOKEN"}, {"file": "token"}])
def test_a_secret_of_this_machine_is_refused_for_a_cluster(spec, token):
    spec.set("Environment", "staging", "spec.tracking", {"mlflow": {"uri": "http://mlflow:5000", "token": token}})
    (found,) = spec.compile().findings
    assert found.name == "unsupported-field"
    assert "kubernetesSecret" in found.note


def test_one_replica_has_no_disruption_budget(spec, staging):
    assert len(_names(staging, "PodDisruptionBudget")) == 2
    spec.set("Environment", "staging", "spec.overrides", {})
    assert _names(spec.compile(), "PodDisruptionBudget") == []


def test_no_object_names_a_path_of_this_machine(staging):
    text = b"".join(staging.files.values()).decode()
    assert "store://" in text
    assert str(Path(__file__).parents[3]) not in text
    assert "examples/quickstart" not in text


def test_pods_take_requests_once_they_are_healthy_and_only_an_engine_is_restarted_for_its_health(staging):
    for role, restarted in (("engine", True), ("gateway", False)):
        name = next(one for one in _names(staging, "Deployment") if one.startswith(f"support-{role}"))
        (one,) = staging.one("Deployment", name)["spec"]["template"]["spec"]["containers"]
        assert one["startupProbe"]["httpGet"] == {"path": "/health", "port": "http", "scheme": "HTTP"}
        assert one["readinessProbe"]["httpGet"] == one["startupProbe"]["httpGet"]
        assert ("livenessProbe" in one) is restarted
        assert {"name": "LLMOPS_LISTEN", "value": f"0.0.0.0:{one['ports'][0]['containerPort']}"} in one["env"]


def test_walls_stand_before_the_pods_that_need_them(staging):
    kinds = [one["kind"] for one in staging.standing]
    assert max(i for i, kind in enumerate(kinds) if kind == "NetworkPolicy") < kinds.index("Deployment")
    assert kinds[0] == "Namespace"


def test_the_image_runs_as_the_user_of_the_pods():
    lines = (EXAMPLE.parents[1] / "deploy" / "Containerfile").read_text().splitlines()
    assert f"USER {USER_ID}:{USER_ID}" in lines
    assert any("--constraint" in line for line in lines)
