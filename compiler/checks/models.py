"""Models: weights that can be loaded, safely, and adapters on the model that they were trained on.

Reports `adapter-base-mismatch`, `unsafe-weights`, `missing-weights`, `missing-tokenizer`, `untrained-model`,
`attention-heads`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from compiler.checks.files import files_below, folder_files
from compiler.checks.prompt_uses import prompt_uses
from compiler.checks.question import FileCheck, GraphCheck
from compiler.diagnostics.catalogue import (
    ADAPTER_BASE_MISMATCH,
    ATTENTION_HEADS,
    MISSING_TOKENIZER,
    MISSING_WEIGHTS,
    UNSAFE_WEIGHTS,
    UNTRAINED_MODEL,
)
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.lineage import lineage
from compiler.ports import Reader
from llmops_spec.catalogue.weights import TOKENIZERS, is_code, is_configuration, is_pickled, names_code
from llmops_spec.evaluation import Evaluation
from llmops_spec.model import Llama, Model
from llmops_spec.service import Service
from llmops_spec.training import Training

MAX_CONFIGURATION_BYTES = 4 * 2**20
"""A published `config.json` is a few kilobytes; vocabularies of labels make the largest ones."""


def adapters_sit_on_their_base(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, model in graph.of(Model):
        training = graph.get(Training, model.spec.from_.training)
        made = graph.node(Training, model.spec.from_.training)
        if graph.dangles(node, "spec", "adapterOf") or (made is not None and graph.dangles(made, "spec", "base")):
            continue
        if training is not None and made is not None:
            yield from _trained_adapter(node, model, training, made)
        elif model.spec.from_.scratch is not None and model.spec.adapter_of is not None:
            yield ADAPTER_BASE_MISMATCH.at(
                node.key_span("spec", "adapterOf"),
                f"model `{node.name}` is random weights, which are no adapter of `{model.spec.adapter_of}`",
                help="remove `adapterOf`",
            )


def _trained_adapter(node: ResourceNode, model: Model, training: Training, made: ResourceNode) -> Iterator[Diagnostic]:
    base, adapter_of = training.spec.base, model.spec.adapter_of
    if not makes_adapter(training):
        if adapter_of is not None:
            yield ADAPTER_BASE_MISMATCH.at(
                node.key_span("spec", "adapterOf"),
                f"model `{node.name}` is called an adapter, and training `{made.name}` makes whole weights",
                related=[Label(span=made.span("spec", "method"), text="the method")],
                help="remove `adapterOf`",
            )
    elif adapter_of is None:
        yield ADAPTER_BASE_MISMATCH.at(
            node.span("spec", "from", "training"),
            f"training `{made.name}` makes an adapter, and model `{node.name}` does not say on which model it sits",
            related=[Label(span=made.span("spec", "base"), text="trained on this model")],
            help=f"add `adapterOf: {base}`",
        )
    elif adapter_of != base:
        yield ADAPTER_BASE_MISMATCH.at(
            node.span("spec", "adapterOf"),
            f"adapter `{node.name}` would be served on `{adapter_of}`, and was trained on `{base}`",
            label="served on this model",
            related=[Label(span=made.span("spec", "base"), text="trained on this model")],
            note="an adapter holds differences to the weights that it was trained on; on others they mean nothing",
            help=f"write `adapterOf: {base}`",
        )


def makes_adapter(training: Training) -> bool:
    """`lora` and `qlora` always do, `dpo` where it is given an adapter's shape."""
    return training.spec.method in ("lora", "qlora") or (
        training.spec.method == "dpo" and training.spec.lora is not None
    )


def folders_hold_safe_weights(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, model in graph.of(Model):
        path = model.spec.from_.path
        if path is None or not (names := folder_files(path, files)):
            continue  # no folder: `missing-file` says so
        place = node.span("spec", "from", "path")
        unsafe = list(_files_that_run_code(path, files))
        yield from (UNSAFE_WEIGHTS.at(place, said, note=note, help=advice) for said, note, advice in unsafe)
        configuration = "config.json" if model.spec.adapter_of is None else "adapter_config.json"
        if any(one.endswith(".safetensors") for one in names):
            if configuration not in names:
                yield MISSING_WEIGHTS.at(
                    place,
                    f"the model folder `{path}` has no `{configuration}`",
                    note=_configuration_note(names, adapter=model.spec.adapter_of is not None),
                    help="name the folder that the training library wrote, whole",
                )
        elif not unsafe:
            yield MISSING_WEIGHTS.at(
                place,
                f"the model folder `{path}` holds no `.safetensors` file",
                note=f"it holds {len(names)} file{'' if len(names) == 1 else 's'}, such as `{min(names)}`",
                help="add the weights; with Git LFS, fetch them first",
            )


def _files_that_run_code(path: str, files: Reader) -> Iterator[tuple[str, str, str]]:
    """What is said, why, and what to do about each sort of file that the runtime refuses, at any depth of a folder."""
    names = files_below(path, files)
    beside = any(one.endswith(".safetensors") for one in names)
    if pickled := [one for one in names if is_pickled(one)]:
        yield (
            f"{'files' if beside else 'the weights'} in `{path}` are pickled: {_some(pickled)}",
            "unpickling runs whatever the file holds, with the rights of the training job and the engine",
            "remove them: the `.safetensors` files are enough"
            if beside
            else "convert them once, where it can do no harm, and keep the `.safetensors` files",
        )
    if code := [one for one in names if is_code(one)]:
        yield (
            f"files in `{path}` are code: {_some(code)}",
            "a model that brings code is loaded by no training and no engine",
            "remove them, and use an architecture that transformers itself brings",
        )
    if naming := [one for one in names if is_configuration(one) and _names_code(f"{path.rstrip('/')}/{one}", files)]:
        yield (
            f"files in `{path}` name code to run, by `auto_map`: {_some(naming)}",
            "the classes that it names lie in Python files of the model's author, which nothing here loads",
            "use an architecture that transformers itself brings; if this is one, remove `auto_map`",
        )


def _names_code(path: str, files: Reader) -> bool:
    """False also for what cannot be read here: the runtime refuses such a folder before it loads anything of it."""
    fact = files.fact(path)
    if fact is None or fact.bytes > MAX_CONFIGURATION_BYTES:
        return False
    try:
        data = files.read(path)
        return b"auto_map" in data and names_code(json.loads(data))
    except (OSError, ValueError, RecursionError):
        return False


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(f'`{one}`' for one in names[:3])}{more}"


def _configuration_note(names: list[str], *, adapter: bool) -> str:
    if not adapter and "adapter_config.json" in names:
        return "it holds `adapter_config.json`: an adapter, which needs `adapterOf`"
    if adapter and "config.json" in names:
        return "it holds `config.json`: a whole model, which has no `adapterOf`"
    return "the configuration says how the weights are put together"


def folders_hold_a_tokenizer(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    opened = _opened_by_transformers(graph)
    for node, model in graph.of(Model):
        path = model.spec.from_.path
        names = set(folder_files(path, files)) if path is not None and model.spec.adapter_of is None else set[str]()
        if "config.json" not in names or not any(one.endswith(".safetensors") for one in names):
            continue  # no whole model: `missing-weights` says so
        if "tokenizer.json" in names:
            continue
        others = sorted(TOKENIZERS & names)
        if others and node.name not in opened:
            continue  # for an engine that reads those
        yield MISSING_TOKENIZER.at(
            node.span("spec", "from", "path"),
            f"the model folder `{path}` has no `tokenizer.json`",
            note=f"it holds {_some(others)}, which trainings and the transformers engine do not read"
            if others
            else "without a tokenizer text cannot be trained on, and nothing can be asked",
            help="save the fast tokenizer beside the weights: `AutoTokenizer.from_pretrained(…).save_pretrained(…)`",
        )


def _opened_by_transformers(graph: ResourceGraph) -> set[str]:
    """Names of the models that trainings, evaluations and services open in our own runtime, bases included."""
    used = {training.spec.base for _, training in graph.of(Training)}
    subjects = (evaluation.spec.subject for _, evaluation in graph.of(Evaluation))
    used |= {one.model for one in subjects if one.engine.transformers is not None}
    used |= {one.spec.model for _, one in graph.of(Service) if one.spec.engine.transformers is not None}
    return {one.metadata.name for name in used for one in lineage(graph, name).models}


def used_models_are_trained(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for use in prompt_uses(graph):
        model, node = graph.get(Model, use.model), graph.node(Model, use.model)
        if model is None or node is None or model.spec.from_.scratch is None:
            continue
        training = graph.get(Training, use.node.name) if use.node.kind == Training.KIND else None
        if training is not None and training.spec.method in ("pretrain", "full"):
            continue  # a training in full is how random weights become something
        yield UNTRAINED_MODEL.at(
            use.model_span(),
            f"{use.described} names model `{node.name}`, which is random weights",
            related=[Label(span=node.key_span("spec", "from", "scratch"), text="random weights")],
            note="no training makes them into something that answers",
            help=f"name a model that is made `from: {{training: …}}` on base `{node.name}`",
        )


def heads_divide_their_sizes(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, model in graph.of(Model):
        if model.spec.from_.scratch is not None:
            yield from _uneven_heads(node, model.spec.from_.scratch.llama)


def _uneven_heads(node: ResourceNode, llama: Llama) -> Iterator[Diagnostic]:
    place = ("spec", "from", "scratch", "llama")
    size, rest = divmod(llama.hidden_size, llama.heads)
    if rest or size % 2:
        fitting = [heads for heads in range(1, llama.hidden_size + 1) if llama.hidden_size % (2 * heads) == 0]
        nearest = min(fitting, key=lambda heads: (abs(heads - llama.heads), heads)) if fitting else None
        yield ATTENTION_HEADS.at(
            node.span(*place, "heads"),
            f"{llama.heads} attention heads do not divide a hidden size of {llama.hidden_size} into even parts",
            related=[Label(span=node.span(*place, "hiddenSize"), text="the hidden size")],
            note=f"{llama.hidden_size} / {llama.heads} = {llama.hidden_size / llama.heads:g};"
            " rotary positions turn pairs, so each head needs an even whole number",
            help=f"use {nearest} heads, or another hidden size" if nearest else "use an even hidden size",
        )
    if llama.heads % llama.key_value_heads:
        fitting = [heads for heads in range(1, llama.heads + 1) if llama.heads % heads == 0]
        yield ATTENTION_HEADS.at(
            node.span(*place, "keyValueHeads"),
            f"{llama.key_value_heads} key-value heads do not divide {llama.heads} attention heads",
            related=[Label(span=node.span(*place, "heads"), text="the attention heads")],
            note="each key-value head serves the same number of attention heads",
            help=f"use one of {', '.join(map(str, fitting))}",
        )


CHECKS = (
    GraphCheck(name="adapter-base", ask=adapters_sit_on_their_base),
    FileCheck(name="weights", ask=folders_hold_safe_weights),
    FileCheck(name="tokenizer", ask=folders_hold_a_tokenizer),
    GraphCheck(name="trained", ask=used_models_are_trained),
    GraphCheck(name="attention-heads", ask=heads_divide_their_sizes),
)
