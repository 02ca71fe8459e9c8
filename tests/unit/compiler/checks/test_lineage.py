"""What a model is made from, on sound and on broken graphs."""

from __future__ import annotations

from compiler.graph import ResourceGraph
from compiler.lineage import base_chain, chat_template, context_length, lineage
from tests.harness.project import HEAD, compile_files

TRAINING = """\
  base: {base}
  dataset: support-corpus
  method: pretrain
  textColumn: text
  hyperParameters: {{learningRate: 0.003, steps: 400, batchSize: 16, sequenceLength: 64}}
"""


def _graph(text: str) -> ResourceGraph:
    return compile_files({"spec.yaml": text.encode()}, checks=()).environments["local"].graph


def _model(name: str, spec: str) -> str:
    return f"---\n{HEAD}kind: Model\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


def _training(name: str, base: str) -> str:
    return f"---\n{HEAD}kind: Training\nmetadata: {{name: {name}}}\nspec:\n{TRAINING.format(base=base)}"


def test_an_adapter_goes_back_to_random_weights_and_inherits_on_the_way() -> None:
    graph = _graph("# support-lora\n")
    line = lineage(graph, "support-lora")
    assert [one.metadata.name for one in line.models] == ["support-lora", "tiny-base", "tiny-scratch"]
    assert line.whole
    assert line.scratch is not None
    assert [one.metadata.name for one in base_chain(graph, "tiny-base")] == ["tiny-base", "tiny-scratch"]
    assert context_length(graph, "support-lora") == 512
    assert chat_template(graph, "support-lora") == "templates/chat.jinja"


def test_the_nearest_declaration_wins() -> None:
    spec = "from: {training: tiny-pretraining}, contextLength: 128, chatTemplate: own.jinja"
    graph = _graph(_model("nearer", spec))
    assert (context_length(graph, "nearer"), chat_template(graph, "nearer")) == (128, "own.jinja")


def test_an_adapter_in_a_folder_goes_on_with_the_model_it_sits_on() -> None:
    graph = _graph(_model("downloaded", "from: {path: models/a}, adapterOf: tiny-base"))
    assert [one.metadata.name for one in base_chain(graph, "downloaded")] == ["downloaded", "tiny-base", "tiny-scratch"]


def test_a_cycle_ends_the_walk_and_is_not_whole() -> None:
    graph = _graph(_model("egg", "from: {training: hen}") + _training("hen", "egg"))
    line = lineage(graph, "egg")
    assert [one.metadata.name for one in line.models] == ["egg"]
    assert not line.whole
    assert line.scratch is None
    assert context_length(graph, "egg") is None


def test_a_missing_or_poisoned_link_is_not_whole() -> None:
    graph = _graph(_model("a", "from: {training: none}") + _model("b", "from: {training: t}") + _training("t", "c"))
    assert not lineage(graph, "a").whole
    assert not lineage(graph, "b").whole
    assert not lineage(graph, "nowhere").whole
    assert not lineage(graph, None).whole
    poisoned = _graph(
        _model("c", "from: {path: x}, colour: red") + _model("b", "from: {training: t}") + _training("t", "c")
    )
    assert [one.metadata.name for one in base_chain(poisoned, "b")] == ["b"]
    assert not lineage(poisoned, "b").whole
