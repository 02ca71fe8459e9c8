"""A repository as the Hugging Face Hub answers for it: its revisions, its list of files, its files.

Used by the tests of the lock, with a server of `tests/unit/llmops/lock/conftest.py`. Shapes of answers are those of
the Hub's API: `GET /api/models/{name}/revision/{revision}`, `…/tree/{commit}`, `/{name}/resolve/{commit}/{path}`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 1000,
    "max_position_embeddings": 512,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-05,
    "id2label": {"0": "LABEL_0"},
}
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
WEIGHTS = b"not quite safetensors" * 50
LLAMA: Mapping[str, bytes] = {
    ".gitattributes": b"*.safetensors filter=lfs\n",
    "README.md": b"# A model\n",
    "config.json": json.dumps(CONFIG).encode(),
    "tokenizer.json": b'{"version": "1.0"}',
    "tokenizer_config.json": json.dumps({"chat_template": TEMPLATE}).encode(),
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"a pickle",
}


@dataclass(kw_only=True)
class HubRepository:
    name: str = "some/model"
    kind: str = "models"
    files: dict[str, bytes] = field(default_factory=lambda: dict(LLAMA))
    large: tuple[str, ...] = (".safetensors", ".bin", ".gguf", ".jsonl")
    """Endings of the files that Git holds a pointer to."""
    gated: bool | str = False
    card: dict[str, object] = field(default_factory=lambda: {"license": "apache-2.0"})

    @property
    def commit(self) -> str:
        """Another one for every change of a file."""
        parts = [f"{name} {hashlib.sha256(data).hexdigest()}" for name, data in sorted(self.files.items())]
        return hashlib.sha1("\n".join(parts).encode(), usedforsecurity=False).hexdigest()

    def described(self) -> dict[str, object]:
        """What `revision/…` answers."""
        return {"id": self.name, "sha": self.commit, "gated": self.gated, "cardData": self.card, "private": False}

    def listed(self) -> list[dict[str, object]]:
        """What `tree/…` answers."""
        folders = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "original"}]
        return [*folders, *(self._entry(name, data) for name, data in self.files.items())]

    def _entry(self, name: str, data: bytes) -> dict[str, object]:
        entry: dict[str, object] = {"type": "file", "path": name, "size": len(data), "oid": _git(data)}
        if name.endswith(self.large):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            entry["oid"] = "1" * 40
        return entry

    def file_path(self, name: str, commit: str | None = None) -> str:
        prefix = "" if self.kind == "models" else f"/{self.kind}"
        return f"{prefix}/{self.name}/resolve/{commit or self.commit}/{quote(name)}"


def _git(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()
