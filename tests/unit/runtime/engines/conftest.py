"""A tiny Llama with random weights and a byte-level tokenizer, in a store, made once."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmops_runtime.environment import quiet_libraries
from llmops_runtime.stores import open_store
from llmops_spec.store import Store, publish
from tests.harness.tiny_model import save_tiny_model

KEY = "a" * 64


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    quiet_libraries()
    folder = tmp_path_factory.mktemp("made") / "model"
    folder.mkdir()
    save_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def store(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    found = open_store(f"file:{tmp_path_factory.mktemp('store')}")
    publish(found, KEY, model_folder.parent)
    return found


@pytest.fixture
def engine_payload() -> dict[str, Any]:
    content = {"modelName": "tiny", "weights": {"model": f"store://{KEY}/model"}, "versions": {}}
    return json.loads(json.dumps(content))
