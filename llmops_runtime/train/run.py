"""The `train` task.

Called by the runner. Outputs: `model/` (methods `pretrain` and `full`) or `adapter/` (`lora`), and `curve.jsonl`.
Promises: the same payload on the same device kind and thread count gives the same bytes; a learning rate of 0 leaves
the weights as they were.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from llmops_runtime.context import TaskContext
from llmops_runtime.data.rows import NumberedRow, read_rows, texts
from llmops_runtime.discovery import Notes
from llmops_runtime.failures import TaskFailed
from llmops_runtime.trackers import TrackedRun, Tracker, open_tracker
from llmops_spec.payloads import process
from llmops_spec.payloads.training import TrainPayload

_PHASES: Final = {"pretrain": "pretraining", "full": "fine-tuning", "lora": "LoRA fine-tuning"}


def run_train(payload: TrainPayload, context: TaskContext) -> Notes:
    """Train, and leave the outputs.

    Raises:
        TaskFailed: rows, base or settings do not allow it, or the loss diverged.
    """
    context.progress("loading libraries", 0, 1, "libraries")
    _set_up_torch(payload)
    cell_types = {name: variable.type for name, variable in payload.prompt.variables.items()} if payload.prompt else {}
    rows = read_rows(context.store(), payload.rows, context.work, cell_types=cell_types)
    tracker = open_tracker(context.environment.get(process.TRACKING_URI), _tracked(payload, context))
    try:
        notes = _train(payload, context, rows, tracker)
    except KeyboardInterrupt:
        tracker.end("killed")
        raise
    except Exception:
        tracker.end("failed")
        raise
    tracker.end("finished")
    return notes


def _set_up_torch(payload: TrainPayload) -> None:
    """Make the arithmetic repeatable. Raises: TaskFailed where the device is not there."""
    import torch

    torch.set_num_threads(payload.compute.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)  # noqa: FBT003
    torch.manual_seed(payload.seed)
    if payload.compute.device == "cuda" and not torch.cuda.is_available():
        raise TaskFailed(
            "internal", "the training asks for `device: cuda`, and this machine has no CUDA device", "use `device: cpu`"
        )


def _train(payload: TrainPayload, context: TaskContext, rows: list[NumberedRow], tracker: Tracker) -> Notes:
    from llmops_runtime.train.curve import Curve
    from llmops_runtime.train.start import starting_point

    start = starting_point(payload, context)
    _refuse_too_long(payload, start.model)
    model = start.model
    curve = Curve(
        phase=_PHASES[payload.method],
        steps=payload.hyper_parameters.steps,
        progress=context.progress,
        tracker=tracker,
    )
    if payload.method == "lora":
        from llmops_runtime.train.finetune import with_lora

        if payload.lora is None:
            raise TaskFailed("internal", "the payload has no `lora` settings")
        _seed(payload.seed)
        model = with_lora(model, payload.lora)
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    _seed(payload.seed)
    cut = _fit(payload, context, rows, model, start.tokenizer, curve)
    _save(payload, context, model, start.tokenizer)
    curve.write(context.outputs / "curve.jsonl")
    notes = {"trainedParameters": trained, "rows": len(rows), "finalLoss": round(curve.points[-1].loss, 6)}
    return notes | ({"cutRows": cut} if cut else {})


def _seed(seed: int) -> None:
    import torch

    torch.manual_seed(seed)


def _fit(
    payload: TrainPayload, context: TaskContext, rows: list[NumberedRow], model: Any, tokenizer: Any, curve: Any
) -> int:
    """Train in place; returns how many rows were cut to the sequence length."""
    settings = payload.hyper_parameters
    if payload.method == "pretrain":
        from llmops_runtime.train.pretrain import pretrain, token_lists

        if payload.text_column is None:
            raise TaskFailed("internal", "the payload has no `textColumn`")
        tokens = token_lists(tokenizer, list(texts(rows, [payload.text_column])))
        pretrain(model, tokens, settings, seed=payload.seed, curve=curve)
        return 0
    from llmops_runtime.train.examples import examples_of
    from llmops_runtime.train.finetune import finetune

    if payload.prompt is None or payload.target_column is None:
        raise TaskFailed("internal", "the payload has no `prompt`, or no `targetColumn`")
    context.progress("rendering prompts", 0, len(rows), "rows")
    examples, cut = examples_of(
        rows, payload.prompt, payload.target_column, tokenizer, sequence_length=settings.sequence_length
    )
    context.progress("rendering prompts", len(rows), len(rows), "rows")
    finetune(model, tokenizer, examples, payload, curve=curve, work=context.work)
    return cut


def _refuse_too_long(payload: TrainPayload, model: Any) -> None:
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and payload.hyper_parameters.sequence_length > longest:
        raise TaskFailed(
            "bad-model",
            f"`sequenceLength` is {payload.hyper_parameters.sequence_length}; the model reads at most {longest} tokens",
            "lower `sequenceLength`, or raise the model's `contextLength`",
        )


def _save(payload: TrainPayload, context: TaskContext, model: Any, tokenizer: Any) -> None:
    context.progress("saving", 0, 1, "models")
    model.eval()
    if payload.method == "lora":
        folder = context.outputs / "adapter"
        model.save_pretrained(folder, safe_serialization=True)
        _settle_adapter(folder)
    else:
        folder = context.outputs / "model"
        model.save_pretrained(folder, safe_serialization=True)
        tokenizer.save_pretrained(folder)
    context.progress("saving", 1, 1, "models")


def _settle_adapter(folder: Path) -> None:
    """Take out of the adapter's folder what differs from run to run: the base's temporary path, the order of sets."""
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"base_model_name_or_path": None}
    for name in ("target_modules", "modules_to_save", "exclude_modules"):
        if isinstance(config.get(name), list):
            config[name] = sorted(config[name])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _tracked(payload: TrainPayload, context: TaskContext) -> TrackedRun:
    settings: dict[str, Any] = payload.hyper_parameters.model_dump(by_alias=True)
    settings |= {"method": payload.method, "seed": payload.seed, **payload.compute.model_dump(by_alias=True)}
    if payload.lora is not None:
        settings |= {f"lora.{name}": value for name, value in payload.lora.model_dump(by_alias=True).items()}
    name = context.environment.get(process.RUN_NAME, "train")
    return TrackedRun(
        experiment=context.environment.get(process.TRACKING_EXPERIMENT, "llmops"),
        name=name,
        parameters={key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()},
        tags={"llmops.stepKey": context.key, "llmops.training": name, "llmops.rows": payload.rows.ref},
    )
