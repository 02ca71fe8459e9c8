"""Make a graph concrete for a cluster: one-shot Jobs, standing objects, and the steps that act on them.

Called by `backend`. Pure: the same graph gives equal objects, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backends.kubernetes.jobs import jobs
from backends.kubernetes.site import Site, site_of
from backends.kubernetes.standing import standing
from compiler.graph import ResourceGraph
from compiler.plan import ActingStep, Decide, Provision, Record, RollOut, Verify, step_id
from compiler.ports import KubernetesObject, Lowered, Made, ServedPair
from llmops_spec.digests import digest
from llmops_spec.service import Service


def lower_to_cluster(graph: ResourceGraph, made: Made) -> Lowered:
    """Steps and objects; without images or a volume there is nothing that could run, so no objects and no acting."""
    site = site_of(graph)
    if site is None:
        return Lowered(steps=made.steps)
    objects = tuple(standing(site, made.services))
    return Lowered(
        steps=(*made.steps, *_acting_steps(site, made, objects)),
        jobs=tuple(jobs(site, made.steps)),
        standing=objects,
    )


def _acting_steps(site: Site, made: Made, objects: Sequence[KubernetesObject]) -> Iterable[ActingStep]:
    """`provision` comes after every decision, since it registers what serves; then each service is watched in."""
    environment = site.graph.environment.metadata.name
    decided = [step_id(one) for one in made.steps if isinstance(one, Decide)]
    weights = [one for pair in made.services for one in (*pair.needs, *pair.gates)]
    provision = Provision(
        name=environment,
        needs=list(dict.fromkeys((*decided, *weights))),
        revision=digest([one.body for one in objects]),
    )
    yield provision
    revisions = [provision.revision]
    last: list[str] = [step_id(provision)]
    for pair in made.services:
        roll_out, verify = _service_steps(site, pair, objects, after=provision)
        yield roll_out
        yield verify
        revisions.append(verify.revision)
        last.append(step_id(verify))
    yield Record(name=environment, needs=last, revision=digest(revisions))


def _service_steps(
    site: Site, pair: ServedPair, objects: Sequence[KubernetesObject], *, after: Provision
) -> tuple[RollOut, Verify]:
    source = f"service/{pair.service}"
    service = site.graph.get(Service, pair.service)
    roll_out = RollOut(
        name=pair.service,
        needs=[step_id(after), *pair.gates, *pair.needs],
        revision=digest([one.body for one in objects if one.source == source]),
        engine=pair.engine,
        gateway=pair.gateway,
        gates=list(pair.gates),
    )
    variables = dict(service.spec.smoke) if service else {}
    verify = Verify(
        name=pair.service,
        needs=[step_id(roll_out)],
        revision=digest({"rollOut": roll_out.revision, "variables": variables}),
        variables=variables,
    )
    return roll_out, verify
