"""Make a sound project of any size: `python -m benchmarks.projects FOLDER DOCUMENTS`."""

from __future__ import annotations

import sys
from pathlib import Path

HEAD = "apiVersion: llmops.dev/v1alpha1\n"
DOCUMENTS_A_SERVICE = 8


def make_project(folder: Path, documents: int) -> int:
    """Write a project of about so many documents, eight a service. Returns how many it has."""
    (folder / "data").mkdir(parents=True)
    (folder / "services").mkdir()
    (folder / "llmops.yaml").write_text(f"{HEAD}kind: Project\nmetadata: {{name: many, owner: team}}\n")
    (folder / "environment.yaml").write_text(
        f"{HEAD}kind: Environment\nmetadata: {{name: local, owner: team}}\nspec: {{target: {{local: {{}}}}}}\n"
    )
    (folder / "chat.jinja").write_text("{% for message in messages %}{{ message.content }}{% endfor %}")
    services = max(1, (documents - 2) // DOCUMENTS_A_SERVICE)
    for number in range(services):
        for split in ("train", "test"):
            path = folder / "data" / f"{split}-{number}.jsonl"
            path.write_text(
                f'{{"id": "{split}-{number}", "group": "g", "question": "why {number}", "answer": "{split}"}}\n'
            )
        (folder / "services" / f"service-{number:05}.yaml").write_text(_service(number))
    return services * DOCUMENTS_A_SERVICE + 2


def _service(number: int) -> str:
    name = f"s{number:05}"
    return "---\n".join(HEAD + text.replace("NAME", name).replace("NUMBER", str(number)) for text in _DOCUMENTS)


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
