"""The `local` target: each service is an engine and a gateway as supervised processes on loopback.

Called by the `lower` pass. Pure: it only says what should run; `llmops.apply` starts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from compiler.graph import ResourceGraph
from compiler.plan import ActingStep, Provision, Record, RollOut, Verify, step_id
from compiler.ports import Ability, Check, FieldAbility, Lowered, Made, ServedPair
from compiler.unmade import UNMADE
from llmops_spec.digests import digest
from llmops_spec.kinds import KINDS
from llmops_spec.service import Service

_ONE_PROCESS: Final = "one engine process serves all requests on a desk"
_WHOLE_MACHINE: Final = "processes share the whole machine"
_NO_OBJECTS: Final = "a desk has no objects that could carry them"


def _trivial(reason: str) -> FieldAbility:
    return FieldAbility(ability=Ability.SATISFIED_TRIVIALLY, reason=reason)


def _unsupported(reason: str) -> FieldAbility:
    return FieldAbility(ability=Ability.UNSUPPORTED, reason=reason)


ABILITIES: Final[Mapping[str, FieldAbility]] = {
    "Service.spec.replicas": _trivial(_ONE_PROCESS),
    "Service.spec.resources": _trivial(_WHOLE_MACHINE),
    **{f"{kind}.metadata.{part}": _trivial(_NO_OBJECTS) for kind in KINDS for part in ("labels", "annotations")},
    "Environment.spec.images": _unsupported("processes run from the installed package, not from images"),
    "Environment.spec.store.pvc": _unsupported("a volume claim exists in a cluster only; use `store: {file: …}`"),
    "Environment.spec.target.kubernetes": _unsupported("the environment is this machine"),
    "Environment.spec.tracking.mlflow.token.kubernetesSecret": _unsupported(
        "a Secret object exists in a cluster only; use `env: NAME` or `file: PATH`"
    ),
    "Environment.spec.gpuPools": _unsupported("the environment is this machine, which has no pools"),
    **{field: _unsupported(reason) for field, reason in UNMADE.items()},
}


class LocalBackend:
    """Implements `compiler.ports.Backend`."""

    @property
    def target(self) -> str:
        return "local"

    def abilities(self) -> Mapping[str, FieldAbility]:
        return ABILITIES

    def checks(self) -> Sequence[Check]:
        return ()

    def lower(self, graph: ResourceGraph, make: Callable[[], Made]) -> Lowered:
        made = make()
        acting: list[ActingStep] = []
        target = graph.environment.spec.target.local
        assert target is not None  # the pipeline chose this back end by it
        for offset, pair in enumerate(made.services):
            service = graph.get(Service, pair.service)
            assert service is not None  # it was lowered from the graph
            acting += _serve(pair, service, target.ports.get(pair.service, target.gateway_port + offset))
        deployed = digest([one.revision for one in acting])
        acting.append(
            Record(name=graph.environment.metadata.name, revision=deployed, needs=[step_id(one) for one in acting])
        )
        return Lowered(steps=(*made.steps, *acting))

    def emit(self, graph: ResourceGraph, lowered: Lowered) -> Mapping[str, bytes]:  # noqa: ARG002  # the port's
        """Nothing: a desk runs the steps themselves."""
        return {}


def _serve(pair: ServedPair, service: Service, port: int) -> list[ActingStep]:
    """Provision, roll-out and verification of one service on one port."""
    place = digest({"service": pair.service, "port": port})
    running = digest({"engine": pair.engine.key_view(), "gateway": pair.gateway.key_view(), "port": port})
    provision = Provision(name=pair.service, revision=place, port=port, needs=list(pair.gates))
    roll_out = RollOut(
        name=pair.service,
        revision=running,
        engine=pair.engine,
        gateway=pair.gateway,
        gates=list(pair.gates),
        port=port,
        needs=[*pair.needs, *pair.gates, step_id(provision)],
    )
    smoke = dict(service.spec.smoke)
    verify = Verify(
        name=pair.service,
        revision=digest({"of": running, "smoke": smoke}),
        variables=smoke,
        needs=[step_id(roll_out)],
    )
    return [provision, roll_out, verify]
