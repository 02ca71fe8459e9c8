"""Train on prompts with their answers, by TRL's `SFTTrainer`: all weights, or a LoRA adapter by PEFT.

Called by `run_train` for `method: full` and `method: lora`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from llmops_runtime.failures import TaskFailed
from llmops_runtime.train.curve import Curve
from llmops_runtime.train.examples import Example
from llmops_runtime.train.schedule import learning_rate_share, optimizer_for
from llmops_spec.payloads.training import TrainPayload
from llmops_spec.training import HyperParameters, Lora


def finetune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    payload: TrainPayload,
    *,
    curve: Curve,
    work: Path,
) -> None:
    """Train `model` in place. `work` takes what the trainer wants to write.

    Raises:
        TaskFailed: the loss is no longer finite.
    """
    from datasets import Dataset
    from trl.trainer.sft_trainer import SFTTrainer

    model.config.use_cache = False
    rows = Dataset.from_list([{"input_ids": one.input_ids, "labels": one.labels} for one in examples])
    trainer = SFTTrainer(
        model=model,
        args=_arguments(payload, work),
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=[_CurveKeeper(curve, payload.hyper_parameters)],
        optimizers=optimizer_for(model, payload.hyper_parameters),
    )
    trainer.train()
    model.config.use_cache = True


def with_lora(model: PreTrainedModel, lora: Lora) -> PreTrainedModel:
    """Put a fresh adapter on `model`; only it, and the saved modules, are trained.

    Raises:
        TaskFailed: the model has no module of a given name.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        modules_to_save=list(lora.saved_modules) or None,
        # A saved input embedding that shares its weights with the output layer would otherwise part from it in silence.
        ensure_weight_tying=bool(lora.saved_modules) and bool(getattr(model.config, "tie_word_embeddings", False)),
        task_type="CAUSAL_LM",
    )
    names = [name for name, _ in model.named_modules()]
    wanted = [] if isinstance(lora.target_modules, str) else lora.target_modules
    for name in [*wanted, *lora.saved_modules]:
        if not any(one == name or one.endswith(f".{name}") for one in names):
            raise TaskFailed("bad-model", f"the base model has no module `{name}`")
    return get_peft_model(model, config)  # pyright: ignore[reportReturnType, reportArgumentType]


def _arguments(payload: TrainPayload, work: Path) -> Any:
    from trl.trainer.sft_config import SFTConfig

    settings = payload.hyper_parameters
    return SFTConfig(
        output_dir=str(work / "trainer"),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        max_length=settings.sequence_length,
        max_grad_norm=settings.max_gradient_norm,
        learning_rate=settings.learning_rate,
        dataset_kwargs={"skip_prepare_dataset": True},
        gradient_checkpointing=False,
        bf16=False,
        fp16=False,
        use_cpu=payload.compute.device == "cpu",
        seed=payload.seed,
        data_seed=payload.seed,
        report_to="none",
        save_strategy="no",
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
    )


class _CurveKeeper(TrainerCallback):
    """Hands the trainer's log to the curve."""

    def __init__(self, curve: Curve, settings: HyperParameters) -> None:
        self._curve = curve
        self._settings = settings

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002  # the trainer's signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: Mapping[str, float] | None = None,
        **_: object,
    ) -> None:
        if logs and "loss" in logs:
            share = learning_rate_share(state.global_step - 1, self._settings)
            self._curve.add(state.global_step, float(logs["loss"]), self._settings.learning_rate * share)
