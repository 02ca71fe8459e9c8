"""Make a sound project of any size: `python -m benchmarks.projects FOLDER DOCUMENTS`.

Services run on a desk, or with `engines` in vLLM on GPUs, each with weights of its own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HEAD = "apiVersion: llmops.dev/v1alpha1\n"
DOCUMENTS_A_SERVICE = 8


def make_project(folder: Path, documents: int, *, engines: bool = False) -> int:
    """Write a project of about so many documents, eight a service. Returns how many it has."""
    (folder / "data").mkdir(parents=True)
    (folder / "services").mkdir()
    (folder / "llmops.yaml").write_text(f"{HEAD}kind: Project\nmetadata: {{name: many, owner: team}}\n")
    pools = (
        "  gpuPools: [{name: small, gpu: L4, gpusPerNode: 8, quota: 10000, driverCuda: '12.8'}]\n" if engines else ""
    )
    (folder / "environment.yaml").write_text(
        f"{HEAD}kind: Environment\nmetadata: {{name: local, owner: team}}\nspec:\n  target: {{local: {{}}}}\n{pools}"
    )
    (folder / "chat.jinja").write_text("{% for message in messages %}{{ message.content }}{% endfor %}")
    services = max(1, (documents - 2) // DOCUMENTS_A_SERVICE)
    for number in range(services):
        for split in ("train", "test"):
            path = folder / "data" / f"{split}-{number}.jsonl"
            path.write_text(
                f'{{"id": "{split}-{number}", "group": "g", "question": "why {number}", "answer": "{split}"}}\n'
            )
        if engines:
            _weights(folder / "models" / str(number), layers=16 + number % 16)
        (folder / "services" / f"service-{number:05}.yaml").write_text(_service(number, engines=engines))
    return services * DOCUMENTS_A_SERVICE + 2


def _service(number: int, *, engines: bool) -> str:
    name = f"s{number:05}"
    texts = [_on_gpus(text) for text in _DOCUMENTS] if engines else _DOCUMENTS
    return "---\n".join(HEAD + text.replace("NAME", name).replace("NUMBER", str(number)) for text in texts)


def _on_gpus(text: str) -> str:
    """The same document where the model is a folder of weights that vLLM serves on two GPUs."""
    if "    scratch:" in text:
        return text[: text.index("    scratch:")] + "    path: models/NUMBER\n"
    engine = "{vllm: {version: '0.10.0', maxModelLen: 512, maxNumSeqs: 64}}"
    text = text.replace("model: NAME, prompt: NAME}", f"model: NAME, prompt: NAME, engine: {engine}}}")
    gpus = f"  engine: {engine}\n  gpu: {{type: [L4, L40S], count: 2}}\n  parallelism: {{tensor: 2}}\n"
    scaling = "  scaling: {min: 1, max: 4, target: {metric: 'vllm:num_requests_waiting', value: 4}}\n"
    return text.replace("  gates: [NAME]\n", f"  gates: [NAME]\n{gpus}{scaling}")


def _weights(folder: Path, layers: int) -> None:
    """A folder with the configuration of a small model and empty weights: nothing at compile time reads them."""
    folder.mkdir(parents=True)
    configuration = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": layers,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "_name_or_path": folder.name,
    }
    for name, content in (("config", configuration), ("tokenizer", {}), ("tokenizer_config", {})):
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(b"")


_DOCUMENTS = (
    """kind: Dataset
metadata: {name: NAME, owner: team, description: Rows of one service.}
spec:
  licence: Apache-2.0
  columns:
    id: {}
    group: {}
    question: {}
    answer: {}
  itemColumn: id
  clusterColumn: group
  inputColumns: [question]
  targetColumn: answer
  splits:
    train: {path: data/train-NUMBER.jsonl, rows: 1000, clusters: 200}
    test: {path: data/test-NUMBER.jsonl, rows: 400, clusters: 100}
""",
    """kind: Model
metadata: {name: NAME-base, owner: team}
spec:
  licence: Apache-2.0
  contextLength: 512
  chatTemplate: chat.jinja
  from:
    scratch:
      llama: {hiddenSize: 128, layers: 2, heads: 4, keyValueHeads: 2, feedForwardSize: 256}
      tokenizer: {vocabularySize: 1000, dataset: NAME, columns: [question]}
""",
    """kind: Model
metadata: {name: NAME, owner: team}
spec:
  licence: Apache-2.0
  from: {training: NAME}
""",
    """kind: Training
metadata: {name: NAME, owner: team}
spec:
  base: NAME-base
  dataset: NAME
  method: full
  prompt: NAME
  hyperParameters: {learningRate: 0.001, steps: 100, batchSize: 16, sequenceLength: 128}
""",
    """kind: Prompt
metadata: {name: NAME, owner: team}
spec:
  messages:
    - {role: system, content: Answer the question.}
    - {role: user, content: "{{ question }}"}
  variables:
    question: {maxTokens: 100}
  output: {maxTokens: 40}
""",
    """kind: Evaluation
metadata: {name: NAME, owner: team}
spec:
  subject: {model: NAME, prompt: NAME}
  dataset: NAME
  splits: [test]
  metrics: [{name: exact-match}]
""",
    """kind: Gate
metadata: {name: NAME, owner: team}
spec:
  evaluation: NAME
  criteria:
    - {metric: exact-match, atLeast: 0.7}
""",
    """kind: Service
metadata: {name: NAME, owner: team}
spec:
  model: NAME
  prompt: NAME
  gates: [NAME]
  smoke: {question: "why NUMBER"}
""",
)


if __name__ == "__main__":
    made = make_project(Path(sys.argv[1]), int(sys.argv[2]))
    print(f"{made} documents in {sys.argv[1]}")
