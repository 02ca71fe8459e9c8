"""A model folder is judged before any library loads it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from llmops_runtime.failures import TaskFailed
from llmops_runtime.weights import check_adapter_folder, check_model_folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    save_file({"w": np.zeros((2, 2), dtype=np.float32)}, folder / "model.safetensors")
    return folder


def _sharded(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))


def _overlapping(folder: Path) -> None:
    header = json.dumps(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        }
    ).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 12)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda one: (one / "model.safetensors").unlink(), "no weights"),
    "pickle beside": (lambda one: (one / "pytorch_model.bin").write_bytes(b"\x80\x04."), "pickled code"),
    "pickle below": (lambda one: ((one / "x").mkdir(), (one / "x" / "a.PT").write_bytes(b"")), "pickled code"),
    "keras weights": (lambda one: (one / "tf_model.H5").write_bytes(b""), "pickled code"),
    "pickle by another name": (lambda one: (one / "model.safetensors").write_bytes(b"\x80\x04K\x01."), "not a sound"),
    "giant header": (
        lambda one: (one / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}"),
        "not a sound",
    ),
    "overlapping tensors": (_overlapping, "not a sound"),
    "empty file": (lambda one: (one / "model.safetensors").write_bytes(b""), "not a sound"),
    "code": (lambda one: (one / "modeling_x.py").write_text("raise SystemExit"), "is code"),
    "code in capitals": (lambda one: (one / "MODELING.PY").write_text("raise SystemExit"), "is code"),
    "library": (lambda one: (one / "kernel.so").write_bytes(b""), "is code"),
    "auto_map": (lambda one: (one / "config.json").write_text('{"auto_map": {"AutoModel": "x.Y"}}'), "auto_map"),
    "nested auto_map": (
        lambda one: (one / "tokenizer_config.json").write_text('{"a": [{"auto_map": {}}]}'),
        "auto_map",
    ),
    "auto_map in another file": (
        lambda one: (one / "extra.JSON").write_text('{"auto_map": {"AutoModel": "x.Y"}}'),
        "auto_map",
    ),
    "broken configuration": (lambda one: (one / "config.json").write_text("{"), "not JSON"),
    "list configuration": (lambda one: (one / "config.json").write_text("[]"), "not a JSON object"),
    "no configuration": (lambda one: (one / "config.json").unlink(), "no `config.json`"),
    "no tokenizer": (lambda one: (one / "tokenizer.json").unlink(), "no `tokenizer.json`"),
    "index that climbs out": (lambda one: _sharded(one, "../../secret.safetensors"), "no safetensors file beside"),
    "index beside the single file": (
        lambda one: (one / "model.safetensors.index.json").write_text('{"weight_map": {"w": "absent.safetensors"}}'),
        "no safetensors file beside",
    ),
    "index to a pickle by another name": (
        lambda one: (_sharded(one, "a.safetensors"), (one / "a.safetensors").write_bytes(b"\x80\x04K\x01.")),
        "not a sound",
    ),
    "index to nothing": (lambda one: _sharded(one, "absent.safetensors"), "no safetensors file beside"),
    "index to another type": (lambda one: _sharded(one, "config.json"), "no safetensors file beside"),
}


def test_a_plain_folder_passes(model: Path) -> None:
    check_model_folder(model)
    (model / "model.safetensors").rename(model / "model-1.safetensors")
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": "model-1.safetensors"}}))
    check_model_folder(model)


def test_a_word_of_a_vocabulary_is_no_code(model: Path) -> None:
    (model / "tokenizer.json").write_text('{"model": {"vocab": {"auto_map": 1}}}')
    (model / "merges.json").write_text("[]")
    check_model_folder(model)


@pytest.mark.parametrize("name", BROKEN)
def test_a_folder_that_could_harm_or_cannot_work_is_refused(model: Path, name: str) -> None:
    damage, message = BROKEN[name]
    damage(model)
    with pytest.raises(TaskFailed, match=message) as caught:
        check_model_folder(model)
    assert caught.value.failure.code == "bad-model"


def test_an_adapter_is_a_lora_in_safetensors(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    for step, message in (
        (lambda: None, "no `adapter_config.json`"),
        (lambda: (folder / "adapter_config.json").write_text('{"peft_type": "PREFIX_TUNING"}'), "not a LoRA"),
        (lambda: (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}'), "no `adapter_model"),
        (lambda: (folder / "adapter_model.safetensors").write_bytes(b"\x80"), "not a sound"),
    ):
        step()
        with pytest.raises(TaskFailed, match=message):
            check_adapter_folder(folder)
    save_file({"w": np.zeros(1, dtype=np.float32)}, folder / "adapter_model.safetensors")
    check_adapter_folder(folder)
