"""The Pulumi program, run with Pulumi's own mocks: what it registers is what the manifests say, object by object."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.pulumi.arguments import python_name
from backends.pulumi.backend import emit
from backends.pulumi.code import Call, Name, assignment, docstring, statement
from compiler.ports import KubernetesObject

VERSIONS = {"pulumi": "3.272.0", "pulumi_kubernetes": "4.34.2", "torch": "1.0"}

HARNESS = """
import json, runpy, sys
import pulumi

registered = []

class Collect(pulumi.runtime.Mocks):
    def new_resource(self, args):
        registered.append(
            {"type": args.typ, "name": args.name, "inputs": args.inputs, "provider": args.provider}
        )
        return [f"{args.name}-id", args.inputs]

    def call(self, args):
        return {}

pulumi.runtime.set_mocks(Collect(), project="p", stack="s", preview=False)

pulumi.runtime.set_all_config(json.loads(sys.argv[2]))

@pulumi.runtime.test
def program():
    runpy.run_path("__main__.py", run_name="__main__")

program()
with open(sys.argv[1], "w") as stream:
    json.dump(registered, stream)
"""


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder / "pulumi"


CONFIG = {"p:kubeContext": "staging-cluster"}


def run(folder: Path, config: Mapping[str, str] = CONFIG) -> list[dict]:
    """Run the program as Pulumi would: in its folder, first on the path."""
    done, result = start(folder, config)
    assert done.returncode == 0, done.stderr
    return json.loads(result.read_text())


def start(folder: Path, config: Mapping[str, str]) -> tuple[subprocess.CompletedProcess[str], Path]:
    harness, result = folder.parent / "harness.py", folder.parent / "registered.json"
    harness.write_text(f"import sys; sys.path[0] = {str(folder)!r}\n{HARNESS}")
    done = subprocess.run(
        [sys.executable, str(harness), str(result), json.dumps(config)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done, result


def objects(registered):
    return [one for one in registered if not one["type"].startswith("pulumi:")]


@pytest.fixture(scope="module")
def registered(staging, tmp_path_factory):
    return run(write(tmp_path_factory.mktemp("program"), emit(staging.graph, staging.lowered.standing, VERSIONS)))


def test_registered_inputs_are_the_manifests(staging, registered):
    found = {(one["inputs"]["kind"], one["name"]): one["inputs"] for one in objects(registered)}
    assert len(found) == len(objects(registered)) == len(staging.standing) > 10
    for body in staging.standing:
        assert found[body["kind"], body["metadata"]["name"]] == body


def test_every_object_goes_through_the_one_explicit_provider(registered):
    providers = [one for one in registered if one["type"] == "pulumi:providers:kubernetes"]
    assert [one["name"] for one in providers] == ["cluster"]
    assert str(providers[0]["inputs"]["enableServerSideApply"]).lower() == "true"
    assert {one["provider"].rsplit("::", 2)[-2] for one in objects(registered)} == {"cluster"}


def test_the_cluster_is_the_one_that_the_stack_names_and_never_whichever_is_current(staging, registered, tmp_path):
    (provider,) = [one["inputs"] for one in registered if one["type"] == "pulumi:providers:kubernetes"]
    assert (provider["context"], provider["clusterIdentifier"]) == ("staging-cluster", "staging-cluster")
    assert "kubeconfig" not in provider
    folder = write(tmp_path, emit(staging.graph, staging.lowered.standing, VERSIONS))
    more = {"p:clusterIdentifier": "42", "p:kubeconfig": "text"}
    (provider,) = [
        one["inputs"] for one in run(folder, {**CONFIG, **more}) if one["type"] == "pulumi:providers:kubernetes"
    ]
    assert (provider["context"], provider["clusterIdentifier"]) == ("staging-cluster", "42")
    assert "text" in json.dumps(provider["kubeconfig"])
    done, result = start(folder, {})
    result.unlink(missing_ok=True)
    assert done.returncode != 0
    assert "Missing required configuration variable 'p:kubeContext'" in done.stderr


def test_no_job_is_registered(registered):
    assert not [one for one in registered if "batch" in one["type"]]


def test_files_are_stable_pinned_and_read_alike(staging):
    files = emit(staging.graph, staging.lowered.standing, VERSIONS)
    assert files == emit(staging.graph, staging.lowered.standing, VERSIONS)
    assert files["pulumi/requirements.txt"] == b"pulumi==3.272.0\npulumi-kubernetes==4.34.2\n"
    assert yaml.safe_load(files["pulumi/Pulumi.yaml"])["name"] == "quickstart"
    stack = yaml.safe_load(files["pulumi/Pulumi.staging.yaml"])
    assert stack == {"config": {"pulumi:disable-default-providers": ["kubernetes"]}}


def test_the_program_imports_nothing_of_ours(staging):
    for path, data in emit(staging.graph, staging.lowered.standing, VERSIONS).items():
        if path.endswith(".py"):
            tree = ast.parse(data)
            names = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
            names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            assert names <= {"__future__", "pulumi", "pulumi_kubernetes", "standing"}


def test_the_namespace_is_protected_and_deployments_have_their_own_deadline(staging):
    text = b"".join(emit(staging.graph, staging.lowered.standing, VERSIONS).values()).decode()
    assert text.count("protect=True") == 1
    assert text.count("custom_timeouts=pulumi.CustomTimeouts(create='1860s', update='1860s')") == 2


def test_no_program_where_nothing_stands(staging):
    assert emit(staging.graph, (), VERSIONS) == {}


HOSTILE = [
    "$(id)",
    "'; import os; os.system('id'); '",
    "'''",
    '"""',
    "\\",
    "\\'",
    "{__import__('os')}",
    "x\nimport os\n",
    "x\rimport os",
    "\u2028import os",
    "\u202egnp",
    "x\nspec:\n  hostNetwork: true",
    'x"\nkind: ClusterRoleBinding',
    "é中文😀",
]


def test_hostile_texts_stay_values_and_a_service_named_like_a_library_hides_none(spec, tmp_path):
    spec.document("Service", "support")["metadata"]["name"] = "json"
    spec.document("Environment", "staging")["spec"]["overrides"] = {}
    spec.set("Service", "json", "metadata.annotations", {f"n{i}": text for i, text in enumerate(HOSTILE)})
    spec.set("Service", "json", "metadata.owner", HOSTILE[1])
    spec.set("Guardrail", "support-rails", "spec.refusal", "x".join(HOSTILE))
    spec.set("Environment", "staging", "spec.images.engine", HOSTILE[7])
    compiled = spec.compile()
    assert compiled.errors == []
    files = emit(compiled.graph, compiled.lowered.standing, VERSIONS)
    assert {path.split("/")[1] for path in files if path.endswith(".py")} == {"__main__.py", "standing"}
    assert "pulumi/standing/service_json.py" in files
    found = objects(run(write(tmp_path, files)))
    assert [one["inputs"] for one in sorted(found, key=_place)] == sorted(
        compiled.standing, key=lambda body: (body["kind"], body["metadata"]["name"])
    )


def _place(one):
    return (one["inputs"]["kind"], one["name"])


texts = st.one_of(st.sampled_from(HOSTILE), st.text())
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=20,
)


@settings(max_examples=200)
@given(values)
def test_a_value_is_written_as_a_literal_of_itself(value):
    source = "\n".join(assignment(Name(path="found"), value, depth=0))
    tree = ast.parse(source)
    assert len(tree.body) == 1
    assert ast.literal_eval(tree.body[0].value) == value


@pytest.mark.parametrize("path", ["", "a b", "import", "a.class", "x;y", "é", "a-b", "a."])
def test_only_names_are_names(path):
    with pytest.raises(ValueError, match="is no name"):
        Name(path=path)


def test_a_keyword_argument_must_be_a_name_too():
    with pytest.raises(ValueError, match="is no name"):
        statement(Call(function=Name(path="f"), named={"a=1, b": 2}), depth=0)


def test_a_docstring_holds_our_words_alone():
    with pytest.raises(ValueError, match="is no docstring"):
        docstring('x""" + evil() + """')


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        ("matchLabels", "match_labels"),
        ("from", "from_"),
        ("fsGroupChangePolicy", "fs_group_change_policy"),
        ("to", "to"),
    ],
)
def test_names_in_python(wire, name):
    assert python_name(wire) == name


def test_an_unknown_kind_is_refused_by_name(staging):
    body = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"}}
    with pytest.raises(LookupError, match="ScaledObject of keda"):
        emit(staging.graph, [KubernetesObject(body=body, source="service/support")], VERSIONS)


def test_a_library_without_a_version_is_refused_by_name(staging):
    with pytest.raises(LookupError, match="no version is known of pulumi-kubernetes"):
        emit(staging.graph, staging.lowered.standing, {"pulumi": "3.272.0"})
