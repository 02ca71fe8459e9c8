"""Fields that are checked, and that nothing is made of yet: every target refuses them with the reason given here.

Read by the back ends, for their capability tables. A field leaves this list when `compiler.artifacts` or a back end
honours it; then the back ends that do not must say so themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_ENGINE = "this version starts the transformers engine only; sizing and checks hold, and nothing can be served with it"
_WEIGHTS = "this version makes weights by training, or takes them from a folder of the project"
_ONE_PROMPT = "the gateway renders one prompt a request"
_PLACEMENT = "engines are placed as one pod on any machine"
_TASK = "engines answer chats only"

UNMADE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Retriever.spec": "no index is built yet",
        **{
            f"{kind}.engine.{engine}": _ENGINE
            for kind in ("Service.spec", "Evaluation.spec.subject")
            for engine in ("vllm", "sglang", "triton", "hosted", "container")
        },
        "Project.spec.sources.hub.token.kubernetesSecret": "what is remote is locked and fetched on a machine, which"
        " holds no objects of a cluster; name a variable or a file",
        "Model.spec.from.hosted": "requests are answered by our own engines only",
        "Model.spec.from.compress": _WEIGHTS,
        "Model.spec.trustRemoteCode": "a model that brings code is loaded by no training and no engine",
        **{f"Model.spec.task={task}": _TASK for task in ("encoder", "embedding", "reranker")},
        **{f"Guardrail.spec.{side}.toolCalls": "the gateway takes no tools" for side in ("input", "output")},
        "Prompt.spec.output.schema": "answers are free text or one of `labels`",
        **{f"Training.spec.method={one}": "trainings run full, lora or pretrain" for one in ("qlora", "dpo")},
        "Training.spec.preferences": "trainings run full, lora or pretrain",
        "Training.spec.distribution": "a training is one process",
        "Service.spec.adapters": "an engine serves one model",
        "Service.spec.steps": _ONE_PROMPT,
        "Service.spec.retrieval": _ONE_PROMPT,
        "Service.spec.gpu": _PLACEMENT,
        "Service.spec.parallelism": _PLACEMENT,
        "Service.spec.nodes": _PLACEMENT,
        **{
            f"Service.spec.workload={one}": "services are Deployments, or processes on a desk"
            for one in ("leader-worker-set", "kserve", "ray")
        },
        "Service.spec.scaling": "the number of `replicas` is fixed",
        "Service.spec.rollout": "a new version takes over when it is healthy, without steps between",
        "Service.spec.startupSeconds": "engines may take as long as they need to load",
        "Service.spec.api": "the gateway answers chat completions, streamed or not, without tools",
        "Service.spec.route": "the gateway of a service is reached by its own address",
    }
)
"""Field path, or field and value as `compiler.ports.Backend.abilities` has them, to the reason."""
