"""The modules of a program that registers standing objects, one for the environment and one for each service.

Called by `backend`. The program imports Pulumi's libraries and itself, and nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from backends.pulumi.arguments import LIBRARY, resource_call
from backends.pulumi.code import Call, Expression, Name, assignment, docstring, statement
from compiler.ports import KubernetesObject
from llmops_spec.digests import Json

PACKAGE: Final = "standing"
"""Folder of the modules. Nothing outside it is named after a user's resource, so no name can hide a library."""

_HEADER: Final = ("from __future__ import annotations", "", "import pulumi", f"import pulumi_kubernetes as {LIBRARY}")


def module_name(source: str) -> str:
    """`service/support` is the module `service_support`."""
    return source.replace("/", "_").replace("-", "_")


def by_source(objects: Iterable[KubernetesObject]) -> Mapping[str, list[KubernetesObject]]:
    """Objects by the resource that they came from, in the order of the first of each."""
    groups: dict[str, list[KubernetesObject]] = {}
    for one in objects:
        groups.setdefault(one.source, []).append(one)
    return groups


def write_module(source: str, objects: Sequence[KubernetesObject]) -> bytes:
    """A module with one function that registers the objects of one resource, one after the other.

    The order is that of the manifests: walls before pods, and an engine is up before its gateway moves over.
    """
    lines = [
        docstring(f"What stands in the cluster for {source}."),
        "",
        *_HEADER,
        "",
        "",
        "def register(provider: pulumi.ProviderResource, after: list[pulumi.Resource]) -> list[pulumi.Resource]:",
        f"    {docstring('Register each object once those before it are ready. Returns all of them.')}",
        "    done = list(after)",
    ]
    for one in objects:
        lines += statement(Call(function=Name(path="done.append"), positional=[_registered(one)]), depth=1)
    lines.append("    return done")
    return _text(lines)


def write_main(sources: Sequence[str], *, environment: str) -> bytes:
    """The entry: one explicit provider, then the environment's objects, then every service's."""
    provider = Call(
        function=Name(path=f"{LIBRARY}.Provider"),
        positional=["cluster"],
        named={
            "enable_server_side_apply": True,
            "kubeconfig": Name(path="kubeconfig"),
            "context": Name(path="context"),
            "cluster_identifier": Name(path="cluster"),
            "delete_unreachable": False,
            "suppress_deprecation_warnings": False,
        },
    )
    first, *others = [module_name(one) for one in sources]
    lines = [
        docstring(f"Everything that stands in environment {environment}: exactly the manifests beside this folder."),
        "",
        *_HEADER,
        f"from {PACKAGE} import {', '.join(sorted([first, *others]))}",
        "",
        "config = pulumi.Config()",
        "# Which cluster is changed is said, and never whichever is current: pulumi up --config kubeContext=NAME",
        'context = config.require("kubeContext")',
        "# Another kubeconfig than this machine's: pulumi config set --secret kubeconfig, with its text",
        'kubeconfig = config.get_secret("kubeconfig")',
        "# What moves the objects to a new cluster when it changes; the context's name where nothing is said",
        'cluster = config.get("clusterIdentifier") or context',
        *assignment(Name(path="provider"), provider, depth=0),
        "",
        f"place = {first}.register(provider, [])",
        *(f"{one}.register(provider, place)" for one in others),
    ]
    return _text(lines)


def _registered(one: KubernetesObject) -> Call:
    needs = Call(function=Name(path="list"), positional=[Name(path="done")])
    options: dict[str, Expression] = {"provider": Name(path="provider"), "depends_on": needs}
    if one.kind == "Namespace":
        options["protect"] = True
    if (limit := _deadline(one.body)) is not None:
        limits: dict[str, Expression] = {"create": f"{limit}s", "update": f"{limit}s"}
        options["custom_timeouts"] = Call(function=Name(path="pulumi.CustomTimeouts"), named=limits)
    return resource_call(one, options)


def _deadline(body: Mapping[str, Json]) -> int | None:
    spec = body.get("spec")
    found = spec.get("progressDeadlineSeconds") if isinstance(spec, Mapping) else None
    return found if isinstance(found, int) else None


def _text(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
