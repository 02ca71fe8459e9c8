"""What is sized: a model by its catalogue name, its repository or its `config.json`, and a GPU by its name or memory.

Called by `llmops size`. Names are looked up in the catalogue, files are read from disk; nothing is fetched.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from compiler.diagnostics.suggestions import nearest
from compiler.sizing.architecture import MOST_BYTES, Architecture, read_architecture
from compiler.sizing.budget import GIB
from compiler.sizing.gpus import Gpu, GpuName, all_gpus, find_gpu, gpus_named
from compiler.sizing.json_values import Json
from compiler.sizing.models import all_models, find_model

MAX_CONFIG_BYTES: Final = 16 * 2**20
INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"


class UnknownSubjectError(ValueError):
    """A model or a GPU that cannot be found or read; the text says why."""

    def __init__(self, text: str, *, wrong: str = "", known: Callable[[], Iterable[str]] = tuple) -> None:
        super().__init__(text)
        self._wrong = wrong
        self._known = known

    def hint(self) -> str:
        """The nearest known name, for a person: comparing all of them takes a twentieth of a second. Empty if none."""
        near = nearest(self._wrong, self._known()) if self._wrong else []
        return f"did you mean `{near[0]}`?" if near else ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model, and the weight format that its repository's name tells beside its configuration."""

    architecture: Architecture
    quantization: str | None = None
    shown: str
    """As people know it: the repository's name, or the file's."""


def find_subject(text: str, *, beside: Path | None = None) -> Subject:
    """The model that the text names: a file or folder that is there, else a name of the catalogue.

    `beside` is a further folder that relative paths may start from.

    Raises:
        UnknownSubjectError: no such model, or its configuration cannot be read.
    """
    if not text:
        raise UnknownSubjectError("model is not given")
    path = _path(text, beside)
    if path is not None:
        return read_subject(path)
    found = None if "\0" in text else find_model(text)
    if found is None:
        said = f"model `{text[:120]}` is not in the catalogue; give the path of its config.json"
        raise UnknownSubjectError(said, wrong=text[:120], known=_model_names)
    return Subject(architecture=found.architecture, quantization=found.quantization, shown=text)


def read_subject(path: Path) -> Subject:
    """The model of a `config.json`, or of a folder that holds one, with its weights' byte count where they lie beside.

    Raises:
        UnknownSubjectError: the file cannot be read, or is no configuration of a model.
    """
    file = path / "config.json" if path.is_dir() else path
    config = _mapping(file)
    architecture = read_architecture(config, name=str(path), weight_bytes=_weight_bytes(file.parent))
    if not architecture.layers and not architecture.missing:
        raise UnknownSubjectError(f"{file} describes no layers of a model")
    return Subject(architecture=architecture, shown=str(path))


def find_card(name: str, memory_gib: float | None = None) -> tuple[Gpu, int]:
    """The GPU of that name with the bytes that it shows; a GPU of the given memory alone where no name is known.

    A whole number that is the size by which the card is sold (80 for an H100) stands for the card, whose visible memory
    is smaller; any other figure is taken as it is.

    Raises:
        UnknownSubjectError: the name is unknown or means several cards, and no memory tells which.
    """
    memory = None if memory_gib is None else round(memory_gib * GIB)
    gpu = find_gpu(name, memory_bytes=memory) if name else None
    if gpu is None:
        if memory is None:
            raise _card_trouble(name)
        return _unlisted(name or "GPU", memory), memory
    if memory is None or memory_gib == gpu.marketed_gb:
        return gpu, gpu.visible_bytes
    return gpu, memory


def _card_trouble(name: str) -> UnknownSubjectError:
    if not name:
        return UnknownSubjectError("gpu is not given")
    several = gpus_named(name)
    if several:
        return UnknownSubjectError(f"gpu `{name}` may be {' or '.join(one.name for one in several)}")
    said = f"gpu `{name[:80]}` is not in the catalogue"
    return UnknownSubjectError(said, wrong=name[:80], known=lambda: [one.name for one in all_gpus()])


def _unlisted(name: str, memory: int) -> Gpu:
    """A card of which nothing is known but its memory: it can be filled, its speed cannot be told."""
    return Gpu(
        name=GpuName(name[:80]),
        vendor="nvidia",
        marketed_gb=round(memory / GIB),
        visible_bytes=memory,
        visible_basis="given",
        bandwidth_bytes_per_second=0,
        tflops={},
        compute_capability=None,
        link="unknown",
        product_labels=(),
        aliases=(),
        source="given",
    )


def _model_names() -> list[str]:
    return [one.name for one in all_models()] + [one for record in all_models() for one in record.repositories]


def _path(text: str, beside: Path | None) -> Path | None:
    """The path, if the text is one: it ends like a file's name, or a configuration lies there."""
    if "\0" in text or len(text) > 4096:
        return None
    for start in (Path(), beside):
        path = Path(text) if start is None else start / text
        try:
            if path.is_file() or (path / "config.json").is_file():
                return path
        except OSError:  # a name that is too long for the file system
            return None
    if text.endswith(".json") or text.startswith(("./", "../", "/")):
        raise UnknownSubjectError(f"there is no file `{text}`")
    return None


def _mapping(file: Path) -> dict[str, Json]:
    """A JSON object of at most `MAX_CONFIG_BYTES`."""
    try:
        if file.stat().st_size > MAX_CONFIG_BYTES:
            raise UnknownSubjectError(f"{file} is larger than 16 MiB, which no configuration is")
        value = cast("object", json.loads(file.read_bytes()))
    except OSError as error:
        raise UnknownSubjectError(f"{file}: {error.strerror or 'cannot be read'}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnknownSubjectError):
            raise
        raise UnknownSubjectError(f"{file} is not JSON") from error
    if not isinstance(value, dict):
        raise UnknownSubjectError(f"{file} is not a JSON object")
    return cast("dict[str, Json]", value)


def _weight_bytes(folder: Path) -> int | None:
    """Bytes of the tensors that lie beside a configuration: what the index says, or the one file less its header."""
    index = folder / INDEX
    if index.is_file():
        try:
            metadata = _mapping(index).get("metadata")
        except UnknownSubjectError:
            return None
        total = metadata.get("total_size") if isinstance(metadata, dict) else None
        return int(total) if isinstance(total, int | float) and 0 < total <= MOST_BYTES else None
    return _single_file_bytes(folder / SINGLE)


def _single_file_bytes(file: Path) -> int | None:
    try:
        with file.open("rb") as stream:
            (header,) = struct.unpack("<Q", stream.read(8))
        size = file.stat().st_size - 8 - int(header)
    except (OSError, struct.error):
        return None
    return size if size > 0 else None
