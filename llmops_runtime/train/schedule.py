"""The optimizer and its learning rate over the steps: the same for every method.

Called by `pretrain` and `finetune`. Pure but for building torch objects.
"""

from __future__ import annotations

import math

from torch.nn import Module
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from llmops_spec.training import HyperParameters

_BETA_1 = 0.9


def learning_rate_share(step: int, settings: HyperParameters) -> float:
    """Share of `learningRate` that step number `step`, counted from 0, uses: a linear rise, then half a cosine."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    falling = max(1, settings.steps - settings.warmup_steps)
    done = min(1.0, (step - settings.warmup_steps) / falling)
    final = settings.final_learning_rate_ratio
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))


def optimizer_for(model: Module, settings: HyperParameters) -> tuple[AdamW, LambdaLR]:
    """AdamW over what is trained, with weight decay on matrices alone, and its schedule."""
    trained = [one for one in model.parameters() if one.requires_grad]
    groups = [
        {"params": [one for one in trained if one.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [one for one in trained if one.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(_BETA_1, settings.adam_beta2),
    )
    return optimizer, LambdaLR(optimizer, lambda step: learning_rate_share(step, settings))
